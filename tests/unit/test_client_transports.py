"""Both clients, the one that blocks and the one that awaits, over real connections: the same suite."""

import asyncio
import inspect
import io
import subprocess
import sys
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.client import AsyncKadr, Kadr, NotFound, Retries, TooBusy, Unreachable
from tests.support.kadr_stand_in import Drop, Said, StandIn, open_stand_in, refused

NOBODY = "http://127.0.0.1:1"
"""Port 1 belongs to a service that no machine has run for decades."""

QUICK = Retries(tries=3, patience=0.5, jitter=lambda: 0.0)

Ask = Callable[..., Any]


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with open_stand_in() as found:
        yield found


@pytest.fixture(params=["blocking", "awaiting"])
def ask(request: pytest.FixtureRequest, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Makes one call, in one of the two ways; what iterates comes as a list."""
    monkeypatch.delenv("KADR_API_KEY", raising=False)

    def blocking(name: str, *args: object, url: str = stand_in.url, **kwargs: object) -> object:
        with Kadr(url, retries=QUICK) as kadr:
            found = getattr(kadr, name)(*args, **kwargs)
            return list(found) if inspect.isgenerator(found) else found

    async def awaited(name: str, *args: object, url: str = stand_in.url, **kwargs: object) -> object:
        async with AsyncKadr(url, retries=QUICK) as kadr:
            found = getattr(kadr, name)(*args, **kwargs)
            return [each async for each in found] if isinstance(found, AsyncIterator) else await found

    def awaiting(name: str, *args: object, **kwargs: object) -> object:
        return asyncio.run(awaited(name, *args, **kwargs))  # type: ignore[arg-type]

    return blocking if request.param == "blocking" else awaiting


def test_a_file_arrives_whole_and_with_its_length(ask: Ask, stand_in: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(range(256)) * 5000)
    sent: list[int] = []
    video = ask("submit", path, conf=0.5, on_sent=sent.append)
    assert (video.id, video.status) == ("id-1", "queued")
    (seen,) = stand_in.seen
    assert path.read_bytes() in seen.body
    assert int(seen.headers["content-length"]) == len(seen.body)
    assert sent[-1] == path.stat().st_size
    assert sent == sorted(sent)


def test_what_has_no_known_size_arrives_whole_too(ask: Ask, stand_in: StandIn) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    ask("submit", Pipe(b"frames" * 100_000))
    assert b"frames" * 100_000 in stand_in.seen[0].body
    assert stand_in.seen[0].headers["transfer-encoding"] == "chunked"


def test_a_refusal_that_passes_is_no_error_and_submits_once(ask: Ask, stand_in: StandIn) -> None:
    stand_in.refusals = [refused(503, "busy", Retry_After="0")]
    assert ask("submit", b"frames").id == "id-1"
    first, second = (each.headers["idempotency-key"] for each in stand_in.seen)
    assert first == second


@pytest.mark.parametrize("drop", typing.get_args(Drop))
def test_a_connection_that_is_lost_costs_no_upload_and_makes_no_second_one(
    ask: Ask, stand_in: StandIn, tmp_path: Path, drop: Drop
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(range(256)) * 5000)
    stand_in.drops = [drop, drop]
    sent: list[int] = []
    assert ask("submit", path, on_sent=sent.append).id == "id-1"
    assert (stand_in.drops, stand_in.submitted) == ([], 1)
    assert path.read_bytes() in stand_in.uploads()[-1]
    assert sent[-1] == path.stat().st_size


@pytest.mark.parametrize("drop", ["accepted", "head read", "body read", "half answered"])
def test_a_connection_that_is_lost_costs_no_file(
    ask: Ask, stand_in: StandIn, tmp_path: Path, drop: Drop
) -> None:
    ask("submit", b"frames")
    stand_in.frames = 5000
    for number, call in enumerate(("export", "save_result")):
        stand_in.drops = [drop, drop]
        ask(call, "id-1", tmp_path / f"{number}.json")
        assert (tmp_path / f"{number}.json").read_bytes() == stand_in.result()
    stand_in.drops = [drop]
    assert len(ask("result", "id-1").prediction) == 5000
    assert stand_in.drops == []


def test_what_was_handed_over_open_gets_no_byte_twice(ask: Ask, stand_in: StandIn) -> None:
    ask("submit", b"frames")
    stand_in.frames = 5000
    stand_in.drops = ["half answered"]
    file = io.BytesIO()
    with pytest.raises(Unreachable):
        ask("export", "id-1", file)
    assert stand_in.result().startswith(file.getvalue())


def test_a_refusal_that_stays_is_the_callers(ask: Ask, stand_in: StandIn) -> None:
    stand_in.refusals = [refused(503, "busy", "All places are taken.", Retry_After="60")]
    with pytest.raises(TooBusy, match="All places are taken"):
        ask("submit", b"frames")


def test_nobody_there_is_unreachable(ask: Ask) -> None:
    with pytest.raises(Unreachable, match=rf"Kadr at {NOBODY} is not available: .* \(does `kadr up` run\?\)"):
        ask("get", "id-1", url=NOBODY)
    assert ask("is_ready", url=NOBODY) is False


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/", "http://[", "http://127.0.0.1:port"])
def test_what_is_no_address_is_unreachable(ask: Ask, url: str) -> None:
    with pytest.raises(Unreachable):
        ask("get", "id-1", url=url)


def test_waiting_ends_with_the_video(ask: Ask, stand_in: StandIn) -> None:
    ask("submit", b"frames")
    stand_in.states[1] = [{"status": "processing"}, {"status": "ready"}]
    seen: list[str] = []
    assert ask("wait", "id-1", on_progress=lambda video: seen.append(video.status)).status == "ready"
    assert seen == ["processing", "ready"]


def test_events_are_iterated_and_may_be_left(ask: Ask, stand_in: StandIn) -> None:
    ask("submit", b"frames")
    stand_in.states[1] = [{"status": "processing"}, {"status": "ready"}]
    assert [each.status for each in ask("events", "id-1")] == ["processing", "ready"]
    with Kadr(stand_in.url) as kadr:
        assert next(kadr.events("id-1")).status == "ready"


def test_a_result_is_written_byte_for_byte_and_a_file_appears_whole(
    ask: Ask, stand_in: StandIn, tmp_path: Path
) -> None:
    ask("submit", b"frames")
    stand_in.frames = 5000
    target = tmp_path / "r.json"
    assert ask("save_result", "id-1", target) == len(stand_in.result())
    assert target.read_bytes() == stand_in.result()
    told: list[int] = []
    ask("export", "id-1", target, format="json", on_bytes=told.append)
    assert target.read_bytes() == stand_in.result()
    assert told[-1] == len(stand_in.result())
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_not_there_makes_no_file(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        ask("export", "nobody", tmp_path / "r.json")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(ask: Ask, tmp_path: Path) -> None:
    ask("submit", b"frames")
    target = tmp_path / "missing" / "r.json"
    with pytest.raises(FileNotFoundError) as raised:
        ask("save_result", "id-1", target)
    assert raised.value.filename == str(target)


def test_an_answer_that_breaks_off_leaves_no_file(ask: Ask, stand_in: StandIn, tmp_path: Path) -> None:
    ask("submit", b"frames")
    stand_in.others["GET /api/v1/videos/id-1/media"] = [Said(200, b"frames", {"Content-Encoding": "gzip"})]
    with pytest.raises(Unreachable):
        ask("download", "id-1", tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_its_bytes(ask: Ask, stand_in: StandIn) -> None:
    ask("submit", b"frames")
    stand_in.others["GET /api/v1/videos/id-1/frames/7.jpg"] = [Said(200, b"\xff\xd8")]
    assert ask("frame", "id-1", 7, boxes=True) == b"\xff\xd8"
    assert stand_in.seen[-1].query == {"boxes": ["1"]}


def test_the_key_goes_to_kadr_and_not_to_the_storage(ask: Ask, stand_in: StandIn, monkeypatch: Any) -> None:  # noqa: ANN401
    monkeypatch.setenv("KADR_API_KEY", "kadr_key")
    put = {"url": f"{stand_in.url}/bucket/u", "size": 6, "headers": {"x-mark": "1"}}
    begun = {"upload_id": "u", "video_id": "id-1", "method": "single", "put": put}
    stand_in.submitted = 1
    for place, facts in (
        ("POST /api/uploads", begun),
        ("PUT /bucket/u", {}),
        ("POST /api/uploads/u/complete", {"event_id": "id-1"}),
    ):
        stand_in.others[place] = [Said(200, msgspec.json.encode(facts))]
    assert ask("upload_directly", b"frames").id == "id-1"
    sent = {each.path: each for each in stand_in.seen}
    assert sent["/bucket/u"].headers.get("authorization") is None
    assert (sent["/bucket/u"].body, sent["/bucket/u"].headers["x-mark"]) == (b"frames", "1")
    assert sent["/api/uploads/u/complete"].headers["authorization"] == "Bearer kadr_key"


def test_both_clients_have_the_same_calls_with_the_same_words() -> None:
    def calls(of: type) -> dict[str, tuple[str, str]]:
        found = {
            name: call
            for name, call in vars(of).items()
            if callable(call) and not name.startswith("_") and name != "close"
        }
        return {name: (str(inspect.signature(call)), call.__doc__ or "") for name, call in found.items()}

    assert calls(Kadr) == calls(AsyncKadr)
    assert len(calls(Kadr)) > 20


def test_words_of_the_client_are_there_without_httpx_and_the_client_without_the_service() -> None:
    script = """if True:
        import sys
        from app.client import KadrError, Video
        assert "httpx" not in sys.modules
        from app.client import Kadr
        foreign = {"pydantic", "fastapi", "typer", "pymongo", "minio", "aiokafka", "faust", "numpy"}
        print(*(foreign & set(sys.modules)))
    """
    run = subprocess.run((sys.executable, "-c", script), check=True, capture_output=True, text=True)
    assert run.stdout.strip() == ""
