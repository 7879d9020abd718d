"""What a runner tells is taken if it comes in time; whatever else it does, we go on without."""

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import pytest

from app.clients.http.runner_progress import LARGEST, WITHIN, RunnerAnswers, open_runner_answers
from app.errors import Unavailable

NOBODY = "http://127.0.0.1:1"

TOLD: Final = {
    "video_id": "a",
    "attempt": 2,
    "status": "processing",
    "stage": "decoding",
    "frames_done": 3,
    "frames_total": None,
    "frames_expected": 60,
    "queue_position": 0,
    "seconds_decoding": 1.5,
    "times": {"accepted": "2026-01-01T00:00:00Z"},
    "of_a_later_version": True,
}

OLD: Final = {"video_id": "a", "attempt": 1, "status": "processing", "stage": "splitting", "frames_done": 3}
"""As runners told before they knew stages."""

ANSWERS: Final = {
    "a": (200, json.dumps(TOLD).encode()),
    "old": (200, json.dumps(OLD).encode()),
    "unknown": (404, b'{"status":"not_found"}'),
    "away": (503, b'{"status":"unknown"}'),
    "garbage": (200, b"<html>"),
    "large": (200, b'{"attempt":1,"status":"' + b"x" * LARGEST + b'"}'),
}


class Runner(BaseHTTPRequestHandler):
    """Answers by the id that it is asked about; of `slow` and `trickling` never to the end."""

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name == "slow":
            self.server.may_end.wait(30)  # type: ignore[attr-defined]
        status, body = ANSWERS.get(name, (200, b"{" * 10_000))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name == "trickling":
            for _ in range(300):
                self.wfile.write(b"{")
                if self.server.may_end.wait(0.1):  # type: ignore[attr-defined]
                    return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Runner) as server:
        server.daemon_threads = True
        server.may_end = threading.Event()  # type: ignore[attr-defined]
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.may_end.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.fixture
async def runner(url: str) -> AsyncIterator[RunnerAnswers]:
    async with open_runner_answers(url) as opened:
        yield opened


async def test_what_a_runner_tells_is_read_and_what_a_later_one_tells_beside_is_passed_over(
    runner: RunnerAnswers,
) -> None:
    found = await runner.progress_of("a")
    assert found is not None
    assert (found.attempt, found.stage, found.frames_done, found.total) == (2, "decoding", 3, 60)
    assert found.times.accepted == "2026-01-01T00:00:00Z"
    assert not found.has_ended


async def test_a_runner_of_before_is_understood(runner: RunnerAnswers) -> None:
    found = await runner.progress_of("old")
    assert found is not None
    assert (found.frames_done, found.total, found.times.accepted) == (3, None, None)


async def test_a_video_that_it_does_not_know_is_none(runner: RunnerAnswers) -> None:
    assert await runner.progress_of("unknown") is None


@pytest.mark.parametrize("video_id", ["away", "garbage", "large", "slow", "trickling"])
async def test_any_other_answer_is_none_at_all_and_costs_a_second(
    runner: RunnerAnswers, video_id: str
) -> None:
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        await runner.progress_of(video_id)
    assert time.monotonic() - begun < WITHIN + 1
    assert await runner.progress_of("a"), "the next answer is as good as ever"


async def test_a_runner_that_is_not_there_is_away_at_once() -> None:
    async with open_runner_answers(NOBODY) as runner:
        with pytest.raises(Unavailable):
            await runner.progress_of("a")


async def test_an_id_stays_one_piece_of_the_path(runner: RunnerAnswers) -> None:
    assert await runner.progress_of("unknown") is None
    with pytest.raises(Unavailable):
        await runner.progress_of("../health?x=/unknown")
