"""The command line, against a stand-in that speaks Kadr's REST API."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import addresses, exits
from app.cli.entry import run
from app.client.documents import LARGEST_NOTE
from app.errors import EXIT_MISCONFIGURED
from tests.support.kadr_stand_in import StandIn, open_stand_in, refused

NOBODY = "http://127.0.0.1:1"
"""Port 1 belongs to a service that no machine has run for decades."""


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with open_stand_in() as found:
        yield found


@pytest.fixture(autouse=True)
def _only_the_stand_in(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reaches a stack that runs on this machine, and none waits."""
    monkeypatch.setenv("API_URL", stand_in.url)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("KADR_API_KEY", raising=False)
    monkeypatch.setattr(addresses, "TRIES", 1)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "street.mp4"
    path.write_bytes(b"not read by anybody here" * 100)
    return path


FAILED = {
    "status": "failed",
    "error": {"code": "not_a_video", "message": "The file is not a video."},
}


def test_submit_sends_the_file_whole_and_prints_its_id(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["submit", str(clip)]) == 0
    assert capsys.readouterr().out == "id-1  new  street.mp4\n"
    assert clip.read_bytes() in stand_in.uploads()[0]
    assert b'name="bucket"' not in stand_in.uploads()[0]


def test_submit_names_the_bucket_before_the_file(stand_in: StandIn, clip: Path) -> None:
    assert run(["submit", str(clip), "--bucket", "archive"]) == 0
    assert 0 < stand_in.uploads()[0].index(b"archive") < stand_in.uploads()[0].index(b"street.mp4")


def test_submit_finds_the_api_by_option_before_the_environment(
    stand_in: StandIn, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_URL", NOBODY)
    assert run(["submit", str(clip), "--api", f"{stand_in.url}/"]) == 0
    assert len(stand_in.uploads()) == 1


def test_waiting_counts_frames_and_objects(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.states[1] = [{"status": "queued"}, {"status": "processing"}, {"status": "ready"}]
    stand_in.objects = 3
    assert run(["submit", "--wait", str(clip)]) == 0
    assert capsys.readouterr().out == "id-1  ready  2 frames  6 objects  street.mp4\n"


def test_waiting_goes_on_while_nobody_knows_how_far_it_is(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = {"status": "processing", "progress": {"known": False}}
    known = {"status": "processing", "progress": {"known": True, "frames_done": 1, "frames_total": 2}}
    stand_in.states[1] = [unknown, known, {"status": "ready"}]
    assert run(["submit", "--wait", str(clip)]) == 0
    assert "ready  2 frames" in capsys.readouterr().out


def test_one_failed_video_fails_the_command_and_the_others_are_still_told(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.states[1] = [FAILED]
    assert run(["submit", "--wait", str(clip), str(clip)]) == exits.EXIT_FAILED
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "id-1  failed  not_a_video: The file is not a video.  street.mp4",
        "id-2  ready  2 frames  2 objects  street.mp4",
    ]


def test_a_refused_file_fails_the_command_with_its_reason(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.refusals = [refused(422, "invalid", "bucket is not one of: videos")]
    assert run(["submit", "--wait", str(clip)]) == exits.EXIT_FAILED
    assert capsys.readouterr().out == "-  refused  bucket is not one of: videos  street.mp4\n"


def test_a_service_that_cannot_work_now_is_told_apart_from_a_refusal(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.refusals = [refused(503, "unavailable", "S3 does not answer at the moment.", Retry_After="90")]
    assert run(["submit", str(clip)]) == exits.EXIT_UNAVAILABLE
    assert "S3 does not answer" in capsys.readouterr().err


def test_nothing_is_uploaded_when_one_file_is_missing(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["submit", str(clip), "/nowhere/a.mp4"]) == exits.EXIT_FILE
    assert capsys.readouterr().err == "kadr: /nowhere/a.mp4: No such file or directory\n"
    assert stand_in.uploads() == []


def test_an_api_that_is_away_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--api", NOBODY]) == exits.EXIT_UNAVAILABLE
    assert re.fullmatch(rf"kadr: Kadr at {NOBODY} is not available: .*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    "arguments", [["submit"], ["nonsense"], ["status", "--limit", "0"], ["rejected", "some"]]
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert re.fullmatch(r"kadr: .+\n", capsys.readouterr().err)


def test_a_port_that_is_none_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_PORT", "eighty")
    assert run(["status"]) == EXIT_MISCONFIGURED
    assert "API_PORT=eighty is not a port" in capsys.readouterr().err


def test_status_lists_videos_with_ids_that_are_never_broken(
    stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    video_id = "3f2b8c1e-6f0a-4c55-9d1e-0c8d0a4b7f11"
    stand_in.operations = [{"video_id": video_id, "status_code": "sent", "status_description": "Sent"}]
    assert run(["status"]) == 0
    said = capsys.readouterr()
    assert re.search(rf"^{video_id} +sent +Sent", said.out, re.MULTILINE)
    assert "1 of 1 videos" in said.err


def test_status_of_one_video_says_how_far_it_is(
    stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.submitted = 1
    progress = {"known": True, "frames_done": 3, "frames_total": 9}
    stand_in.states[1] = [{"status": "processing", "stage": "detecting", "progress": progress}]
    assert run(["status", "id-1"]) == 0
    assert capsys.readouterr().out == "id-1  sent  3 of 9 frames\n"


def test_a_long_result_arrives_byte_for_byte_and_costs_the_status_nothing(
    stand_in: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.submitted, stand_in.objects, stand_in.frames = 1, 9, 5000
    assert len(stand_in.result()) > 10 * LARGEST_NOTE
    assert run(["result", "id-1", "-o", str(tmp_path / "r.json")]) == 0
    assert (tmp_path / "r.json").read_bytes() == stand_in.result()
    assert run(["status", "id-1"]) == 0
    assert capsys.readouterr().out == "id-1  ready\n"


def test_a_result_goes_to_standard_output(
    stand_in: StandIn, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    stand_in.submitted = 1
    assert run(["result", "id-1"]) == 0
    assert capfdbinary.readouterr().out == stand_in.result()


@pytest.mark.parametrize(
    "case",
    [
        ({"status": "processing"}, exits.EXIT_NOT_READY, "not ready yet: its status is sent"),
        (FAILED, exits.EXIT_FAILED, "failed: not_a_video: The file is not a video."),
        (None, exits.EXIT_FAILED, "the video id-1 does not exist"),
    ],
    ids=["on its way", "failed", "unknown"],
)
def test_without_a_result_no_file_is_written(
    stand_in: StandIn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    case: tuple[dict[str, object] | None, int, str],
) -> None:
    state, exit_code, sentence = case
    stand_in.states[1] = [state or {}]
    stand_in.others = {} if state else {"GET /api/result_video/id-1": [refused(404, "not_found")]}
    assert run(["result", "id-1", "-o", str(tmp_path / "r.json")]) == exit_code
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_result_into_a_missing_folder_names_the_file_that_was_asked_for(
    stand_in: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.submitted = 1
    target = tmp_path / "missing" / "r.json"
    assert run(["result", "id-1", "-o", str(target)]) == exits.EXIT_FILE
    assert capsys.readouterr().err == f"kadr: {target}: No such file or directory\n"


def test_down_says_when_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["down"]) == 0
    assert "Nothing runs on" in capsys.readouterr().out


def test_a_demo_of_a_missing_file_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "/nowhere/a.mp4"]) == exits.EXIT_FILE
    assert capsys.readouterr().err == "kadr: /nowhere/a.mp4: No such file or directory\n"
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("expects_errors")  # aiokafka's own; `main` silences them
def test_kafka_that_is_away_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert run(["rejected", "list"]) == exits.EXIT_UNAVAILABLE
    assert re.fullmatch(r"kadr: Kafka is not available: .*\n", capsys.readouterr().err)


def test_the_key_goes_to_the_api(stand_in: StandIn, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADR_API_KEY", " kadr_key\n")
    assert run(["submit", str(clip), "--wait"]) == 0
    assert set(stand_in.keys().values()) == {"Bearer kadr_key"}


def test_what_can_be_no_key_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in ("ключ", "a\nb"):
        monkeypatch.setenv("KADR_API_KEY", wrong)
        assert run(["status"]) == EXIT_MISCONFIGURED
        shown = capsys.readouterr().err
        assert "KADR_API_KEY" in shown
        assert wrong not in shown


@pytest.mark.parametrize("group", ["rejected", "model", "keys"])
def test_a_group_without_a_command_says_which_there_are(
    group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([group]) == exits.EXIT_USAGE
    said = capsys.readouterr()
    assert run([group, "--help"]) == 0
    assert said.err == capsys.readouterr().out
    assert said.out == ""
