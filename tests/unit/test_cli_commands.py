"""The command line, against a stand-in that speaks Kadr's REST API."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.cli import exits, following
from app.cli.entry import run
from app.clients.kadr_api import LARGEST_NOTE
from app.errors import EXIT_MISCONFIGURED

MODEL = {"name": "demo", "sha256": "ab" * 32, "backend": "openvino", "demo": True}
VIDEO = {"width": 64, "height": 48, "fps": 25.0, "duration": 0.4, "frames": 10, "sampled": 2}
NOBODY = "http://127.0.0.1:1"
"""Port 1 belongs to a service that no machine has run for decades."""


class StandIn:
    """The API and the runner in one server: what it says next is in its attributes.

    Attributes:
        url: where it listens.
        answers: of `/api/result_video/{id}`, in order; the last one stays.
        uploads: the bodies that arrived.
        refusal: status, code and detail of the next uploads.
        progress: of the runner; None is a runner that does not know the video.
        operations: of `/api/status/all`.
    """

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.uploads: list[bytes] = []
        self.refusal: tuple[int, str, str] | None = None
        self.progress: dict[str, Any] | None = None
        self.operations: list[dict[str, str]] = []
        self.url = ""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body for one request."""
        if method == "POST":
            self.uploads.append(body)
            if self.refusal is not None:
                status, code, detail = self.refusal
                return status, json.dumps({"status": status, "code": code, "detail": detail}).encode()
            return 200, json.dumps({"status": "ok", "event_id": f"id-{len(self.uploads)}"}).encode()
        if path.startswith("/progress/"):
            return (404, b"{}") if self.progress is None else (200, json.dumps(self.progress).encode())
        if path.startswith("/api/status/all"):
            body = json.dumps({"operations": self.operations, "total": len(self.operations)}).encode()
            return 200, body
        if not self.answers:
            return 404, b'{"status": 404, "code": "not_found", "detail": "There is no such video."}'
        return 200, self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    found = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond("GET")

        def do_POST(self) -> None:
            self._respond("POST")

        def _respond(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = found.answer(method, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _only_the_stand_in(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reaches a stack that runs on this machine, and none waits."""
    monkeypatch.setenv("API_URL", stand_in.url)
    monkeypatch.setenv("RUNNER_URL", stand_in.url)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(following, "LOOK_SECONDS", 0)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "street.mp4"
    path.write_bytes(b"not read by anybody here" * 100)
    return path


def ready(objects: int = 1, frames: int = 2) -> bytes:
    """A result whose every frame holds so many cars."""
    car = {"class": "car", "box": [1, 2, 3, 4], "conf": 0.5}
    prediction = [{"frame": 5 * n, "time": n / 5, "objects": [car] * objects} for n in range(frames)]
    document = {"status": "ready", "event_id": "id-1", "video": VIDEO, "model": MODEL}
    return json.dumps({**document, "prediction": prediction}).encode()


def note(status: str, **more: object) -> bytes:
    return json.dumps({"status": status, "event_id": "id-1", **more}).encode()


FAILED = note("failed", error={"code": "not_a_video", "message": "The file is not a video."})


def test_submit_sends_the_file_whole_and_prints_its_id(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["submit", str(clip)]) == 0
    assert capsys.readouterr().out == "id-1  new  street.mp4\n"
    assert clip.read_bytes() in stand_in.uploads[0]
    assert b'name="bucket"' not in stand_in.uploads[0]


def test_submit_names_the_bucket_before_the_file(stand_in: StandIn, clip: Path) -> None:
    assert run(["submit", str(clip), "--bucket", "archive"]) == 0
    assert 0 < stand_in.uploads[0].index(b"archive") < stand_in.uploads[0].index(b"street.mp4")


def test_submit_finds_the_api_by_option_before_the_environment(
    stand_in: StandIn, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_URL", NOBODY)
    assert run(["submit", str(clip), "--api", f"{stand_in.url}/"]) == 0
    assert len(stand_in.uploads) == 1


def test_waiting_counts_frames_and_objects(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.answers = [note("new"), note("sent"), ready(objects=3)]
    assert run(["submit", "--wait", str(clip)]) == 0
    assert capsys.readouterr().out == "id-1  ready  2 frames  6 objects  street.mp4\n"


def test_waiting_goes_on_while_the_runner_is_at_work_and_away(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.progress = {"status": "processing", "stage": "splitting", "frames_done": 1, "frames_split": 2}
    stand_in.answers = [note("sent"), ready()]
    assert run(["submit", "--wait", str(clip)]) == 0
    monkeypatch.setenv("RUNNER_URL", NOBODY)
    stand_in.answers = [note("sent"), ready()]
    assert run(["submit", "--wait", str(clip)]) == 0
    assert capsys.readouterr().out.count("ready  2 frames") == 2


def test_one_failed_video_fails_the_command_and_the_others_are_still_told(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.answers = [FAILED, ready(), ready()]
    assert run(["submit", "--wait", str(clip), str(clip)]) == exits.EXIT_FAILED
    assert capsys.readouterr().out.splitlines() == [
        "id-1  failed  not_a_video: The file is not a video.  street.mp4",
        "id-2  ready  2 frames  2 objects  street.mp4",
    ]


def test_a_refused_file_fails_the_command_with_its_reason(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.refusal = (422, "invalid", "bucket is not one of: videos")
    assert run(["submit", "--wait", str(clip)]) == exits.EXIT_FAILED
    assert capsys.readouterr().out == "-  refused  bucket is not one of: videos  street.mp4\n"


def test_a_service_that_cannot_work_now_is_told_apart_from_a_refusal(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.refusal = (503, "unavailable", "S3 does not answer at the moment.")
    assert run(["submit", str(clip)]) == exits.EXIT_UNAVAILABLE
    assert "S3 does not answer" in capsys.readouterr().err


def test_nothing_is_uploaded_when_one_file_is_missing(
    stand_in: StandIn, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["submit", str(clip), "/nowhere/a.mp4"]) == exits.EXIT_FILE
    assert capsys.readouterr().err == "kadr: /nowhere/a.mp4: No such file or directory\n"
    assert stand_in.uploads == []


def test_an_api_that_is_away_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--api", NOBODY]) == exits.EXIT_UNAVAILABLE
    assert re.fullmatch(rf"kadr: Kadr at {NOBODY} is not available: .*\n", capsys.readouterr().err)


@pytest.mark.parametrize("arguments", [["submit"], ["nonsense"], ["status", "--limit", "0"], ["rejected"]])
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
    stand_in.answers = [note("sent")]
    stand_in.progress = {"status": "processing", "frames_done": 3, "frames_total": 9}
    assert run(["status", "id-1"]) == 0
    assert capsys.readouterr().out == "id-1  sent  3 of 9 frames\n"


def test_a_long_result_arrives_byte_for_byte_and_costs_the_status_nothing(
    stand_in: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.answers = [ready(objects=9, frames=5000)]
    assert len(stand_in.answers[0]) > 10 * LARGEST_NOTE
    assert run(["result", "id-1", "-o", str(tmp_path / "r.json")]) == 0
    assert (tmp_path / "r.json").read_bytes() == stand_in.answers[0]
    assert run(["status", "id-1"]) == 0
    assert capsys.readouterr().out == "id-1  ready\n"


def test_a_result_goes_to_standard_output(
    stand_in: StandIn, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    stand_in.answers = [ready()]
    assert run(["result", "id-1"]) == 0
    assert capfdbinary.readouterr().out == ready()


@pytest.mark.parametrize(
    "case",
    [
        ([note("sent")], exits.EXIT_NOT_READY, "not ready yet: its status is sent"),
        ([FAILED], exits.EXIT_FAILED, "failed: not_a_video: The file is not a video."),
        ([], exits.EXIT_FAILED, "the video id-1 does not exist"),
    ],
    ids=["on its way", "failed", "unknown"],
)
def test_without_a_result_no_file_is_written(
    stand_in: StandIn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    case: tuple[list[bytes], int, str],
) -> None:
    stand_in.answers, exit_code, sentence = case
    assert run(["result", "id-1", "-o", str(tmp_path / "r.json")]) == exit_code
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_result_into_a_missing_folder_names_the_file_that_was_asked_for(
    stand_in: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.answers = [ready()]
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
