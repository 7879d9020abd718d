"""The commands about videos and their results, against a stand-in that speaks Kadr's REST API."""

import json
import signal
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import addresses, exits, opening
from app.cli.entry import run
from tests.support.kadr_stand_in import Said, StandIn, open_stand_in, refused, said
from tests.support.stack import own_environment, wait_until

CHECKOUT = Path(__file__).parents[2]

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Two videos: the first is being worked on, the second is ready."""
    monkeypatch.delenv("KADR_API_KEY", raising=False)
    monkeypatch.setattr(addresses, "TRIES", 1)
    with open_stand_in() as found:
        monkeypatch.setenv("API_URL", found.url)
        found.submitted = 2
        progress = {"known": True, "frames_done": 3, "frames_total": 9, "eta_seconds": 61}
        found.states[1] = [{"status": "processing", "stage": "detecting", "progress": progress}]
        yield found


def documents(capsys: Capture) -> list[dict[str, object]]:
    """What a command wrote to standard output, a document a line."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def listed(number: int, **more: object) -> dict[str, object]:
    return {"id": f"id-{number}", "status": "ready", "filename": f"{number}.mp4", "tags": ["a"], **more}


def test_videos_are_listed_as_many_as_are_wanted(stand_in: StandIn, capsys: Capture) -> None:
    pages = [{"videos": [listed(1), listed(2)], "next_cursor": "c"}, {"videos": [listed(3)]}]
    stand_in.others["GET /api/v1/videos"] = [said(page) for page in pages]
    assert (
        run(["ls", "--status", "ready", "--tag", "a", "--after", "2026-01-01", "--limit", "3", "--json"]) == 0
    )
    assert [each["id"] for each in documents(capsys)] == ["id-1", "id-2", "id-3"]
    query = stand_in.seen[0].query
    assert (query["status"], query["tag"], query["limit"]) == (["ready"], ["a"], ["3"])
    assert query["created_after"][0].endswith("Z")


def test_no_more_pages_are_asked_for_than_are_shown(stand_in: StandIn, capsys: Capture) -> None:
    stand_in.others["GET /api/v1/videos"] = [said({"videos": [listed(1), listed(2)], "next_cursor": "c"})]
    assert run(["ls", "--limit", "2"]) == 0
    assert capsys.readouterr().out.count(".mp4") == 2
    assert len(stand_in.seen) == 1


def test_a_status_that_is_none_is_a_wrong_command_line(capsys: Capture) -> None:
    assert run(["ls", "--status", "done"]) == exits.EXIT_USAGE
    assert "there is no status done" in capsys.readouterr().err


def test_a_video_is_shown_with_how_far_it_is(stand_in: StandIn, capsys: Capture) -> None:
    assert run(["show", "id-1"]) == 0
    shown = capsys.readouterr().out
    assert "3 of 9 frames, 1 min 1 s left" in shown
    assert run(["show", "id-1", "--json"]) == 0
    (document,) = documents(capsys)
    assert (document["status"], document["stage"]) == ("processing", "detecting")
    assert stand_in.seen[0].path == "/api/v1/videos/id-1"


def test_an_unknown_video_fails_each_command_that_names_it(stand_in: StandIn, capsys: Capture) -> None:
    for command in ("show", "watch", "cancel", "retry", "rm", "export", "summary", "tracks", "open"):
        assert run([command, "nobody"]) == exits.EXIT_FAILED, command
        said_ = capsys.readouterr()
        assert said_.out == "", command
        assert "There is no such video." in said_.err, command
    assert stand_in.seen


def test_watching_ends_when_all_have_ended_and_fails_if_one_did(stand_in: StandIn, capsys: Capture) -> None:
    stand_in.states[1] = [{"status": "processing"}, {"status": "cancelled"}]
    assert run(["watch", "id-1", "id-2"]) == exits.EXIT_FAILED
    assert capsys.readouterr().out.splitlines() == [
        "id-1  cancelled",
        "id-2  ready",
    ]
    assert run(["watch", "id-2", "--json"]) == 0
    assert [each["status"] for each in documents(capsys)] == ["ready"]


def test_watching_for_too_long_says_that_it_may_be_asked_again(stand_in: StandIn, capsys: Capture) -> None:
    assert run(["watch", "id-1", "--within", "0.01"]) == exits.EXIT_NOT_READY
    assert "did not come within" in capsys.readouterr().err
    assert stand_in.seen


def test_several_videos_are_cancelled_whatever_becomes_of_one(stand_in: StandIn, capsys: Capture) -> None:
    stand_in.others["POST /api/v1/videos/id-2/cancel"] = [refused(409, "already_ended", "It is ready.")]
    assert run(["cancel", "id-2", "id-1"]) == exits.EXIT_FAILED
    told = capsys.readouterr()
    assert told.out == "id-1  cancelled\n"
    assert told.err == "kadr: id-2: It is ready.\n"


def test_videos_are_tried_again_and_deleted(stand_in: StandIn, capsys: Capture) -> None:
    assert run(["retry", "id-1"]) == 0
    assert run(["rm", "id-1", "id-2"]) == 0
    assert capsys.readouterr().out == "id-1  queued\nid-1  deleted\nid-2  deleted\n"
    assert run(["rm", "id-1", "--json"]) == 0
    assert documents(capsys) == [{"id": "id-1", "status": "deleted"}]
    assert [each.method for each in stand_in.seen] == ["POST", "DELETE", "DELETE", "DELETE"]


def test_a_result_is_exported_in_the_form_that_is_wanted(
    stand_in: StandIn, tmp_path: Path, capsys: Capture
) -> None:
    target = tmp_path / "cars.csv"
    filters = ["--class", "car", "--min-conf", "0.5", "--from", "1", "--to", "2", "--tracks"]
    assert run(["export", "id-2", "-f", "csv", "-o", str(target), *filters, "--json"]) == 0
    assert target.read_bytes() == stand_in.result()
    size = len(stand_in.result())
    assert documents(capsys) == [{"id": "id-2", "file": str(target), "format": "csv", "bytes": size}]
    query = {name: values[0] for name, values in stand_in.seen[0].query.items()}
    expected = {"class": "car", "min_conf": "0.5", "tracks": "true", "from": "1.0", "to": "2.0"}
    assert query == {**expected, "format": "csv", "limit": "0"}


def test_an_export_goes_to_standard_output(
    stand_in: StandIn, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["export", "id-2"]) == 0
    assert capfdbinary.readouterr().out == stand_in.result()
    assert run(["export", "id-2", "--json"]) == exits.EXIT_USAGE


def test_a_summary_says_what_is_in_a_video_and_when(stand_in: StandIn, capsys: Capture) -> None:
    counts = {"detections": 60, "frames": 30, "first": 0, "last": 5.8, "most_at_once": 2, "conf": 0.98}
    spans = [{"start": each, "end": each + 0.5, "conf": 0.9} for each in range(10)]
    facts = {"event_id": "id-2", "gap": 2, "interval": 0.2, "looked_at": 30, "not_looked_at": 1}
    answer = {**facts, "classes": [{"class": "circle", **counts, "segments": spans}]}
    stand_in.others["GET /api/v1/videos/id-2/summary"] = [said(answer)]
    assert run(["summary", "id-2", "--class", "circle", "--gap", "2"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1].split()[:6] == ["circle", "60", "30", "2", "0.98", "0.00-0.50,"]
    assert shown.out.rstrip().endswith("… 2 more")
    assert "frames that could not be looked at: 1" in shown.err
    assert stand_in.seen[0].query == {"gap": ["2.0"], "class": ["circle"]}
    assert run(["summary", "id-2", "--json"]) == 0
    assert documents(capsys) == [answer]


def test_tracks_are_listed(stand_in: StandIn, capsys: Capture) -> None:
    track = {"track": 7, "class": "car", "start": 0.2, "end": 1.4, "first_frame": 5, "last_frame": 35}
    stand_in.others["GET /api/v1/videos/id-2/tracks"] = [
        said({"tracks": [{**track, "frames": 4, "conf": 0.9}]})
    ]
    assert run(["tracks", "id-2"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["7", "car", "0.20", "1.40", "4", "0.90"]
    assert run(["tracks", "id-2", "--json"]) == 0
    assert documents(capsys)[0]["class"] == "car"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the browser has got."""
    found: list[str] = []

    def note(url: str) -> bool:
        found.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", note)
    monkeypatch.setattr(opening, "has_browser", lambda _environment: True)
    return found


def test_a_video_is_shown_once_it_is_made(stand_in: StandIn, opened: list[str], capsys: Capture) -> None:
    making = said({"status": "making"}, 202, Retry_After="0")
    stand_in.others["GET /api/v1/videos/id-2/annotated.mp4"] = [making, Said(200, b"frames")]
    assert run(["open", "id-2"]) == 0
    url = f"{stand_in.url}/api/v1/videos/id-2/annotated.mp4"
    assert capsys.readouterr().out == f"{url}\n"
    assert opened == [url]


def test_a_key_is_no_browsers_so_the_video_is_saved(
    stand_in: StandIn, opened: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KADR_API_KEY", "kadr_key")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stand_in.others["GET /api/v1/videos/id-2/preview.mp4"] = [Said(200, b"frames")]
    assert run(["open", "id-2", "--what", "preview"]) == 0
    (file,) = tmp_path.rglob("2.preview.mp4")
    assert file.read_bytes() == b"frames"
    assert opened == [file.as_uri()]


@pytest.mark.parametrize(
    "case",
    [({}, False), ({"DISPLAY": ":0"}, True), ({"BROWSER": "firefox"}, True), ({"DISPLAY": ""}, False)],
)
def test_a_browser_is_looked_for_where_somebody_sees_it(case: tuple[dict[str, str], bool]) -> None:
    environment, has_one = case
    assert opening.has_browser(environment) is has_one


def test_submitting_as_json_is_a_line_for_each_file(
    stand_in: StandIn, tmp_path: Path, capsys: Capture
) -> None:
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"frames")
    stand_in.refusals = [refused(422, "invalid", "too dark")]
    assert (
        run(["submit", "--json", "--conf", "0.3", "--class", "7", str(clip), str(clip)]) == exits.EXIT_FAILED
    )
    first, second = documents(capsys)
    assert (first["status"], first["error"], first["id"]) == ("refused", "too dark", None)
    assert (second["status"], second["id"], second["file"]) == ("queued", "id-3", str(clip))
    assert b'name="conf"\r\n\r\n0.3' in stand_in.uploads()[1]
    assert b'name="classes"\r\n\r\n7' in stand_in.uploads()[1]


def test_what_was_uploaded_is_told_when_kadr_goes_away(
    stand_in: StandIn, tmp_path: Path, capsys: Capture
) -> None:
    clips = [tmp_path / name for name in ("a.mp4", "b.mp4")]
    for clip in clips:
        clip.write_bytes(b"frames")
    upload = said({"id": "id-9", "status": "queued"}, 202)
    stand_in.others["POST /api/v1/videos"] = [upload, refused(503, "unavailable", Retry_After="90")]
    assert run(["submit", "--wait", *map(str, clips)]) == exits.EXIT_UNAVAILABLE
    assert capsys.readouterr().out == "id-9  new  a.mp4\n"


@pytest.mark.usefixtures("in_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_uploaded_is_told_when_the_wait_is_interrupted(
    stand_in: StandIn, tmp_path: Path, number: signal.Signals
) -> None:
    stand_in.states[3] = [{"status": "processing"}]
    (tmp_path / "a.mp4").write_bytes(b"frames")
    environment = {**own_environment(), "API_URL": stand_in.url, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(
        (sys.executable, "-m", "app.cli", "submit", "--wait", "a.mp4"),
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: any(each.path.endswith("/events") for each in stand_in.seen))
        process.send_signal(number)
        told, notes = process.communicate(timeout=30)
    assert (process.returncode, told) == (exits.EXIT_INTERRUPTED, "id-3  new  a.mp4\n"), notes
    assert "Traceback" not in notes
