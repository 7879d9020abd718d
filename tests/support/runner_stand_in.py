"""A runner's HTTP that tells what a test wants: `GET /progress/{video_id}`."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class RunnerStandIn:
    """What it tells next.

    Attributes:
        url: where it listens.
        progress: by video; one that is not there is unknown.
        asked: how often each was asked about.
        is_away: whether it answers with an error.
    """

    url: str
    progress: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    is_away: bool = False

    def tell(self, video_id: str, **told: Any) -> None:  # noqa: ANN401 - any field
        """Tell this of a video from now on."""
        known = {"attempt": 1, "status": "processing", "stage": "decoding", "seconds_decoding": 1.0}
        self.progress[video_id] = known | told

    def answer(self, video_id: str) -> tuple[int, bytes]:
        """Return the status and the body for one request."""
        self.asked[video_id] = self.asked.get(video_id, 0) + 1
        if self.is_away:
            return 503, b"{}"
        told = self.progress.get(video_id)
        return (404, b"{}") if told is None else (200, json.dumps(told).encode())


@contextmanager
def open_runner_stand_in() -> Iterator[RunnerStandIn]:
    """Yield one that listens."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = found.answer(self.path.rpartition("/")[2])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        found = RunnerStandIn(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        server.shutdown()
        thread.join()
