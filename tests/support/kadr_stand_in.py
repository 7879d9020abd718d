"""A server that speaks as much of Kadr's REST API as a client or the command line needs, from a script."""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Connections that wait to be taken: the kernel resets more than these, and 5 are usual."""

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection without a polite end before it, which would hide a reset."""
        self.close_request(request)


MODEL = {"name": "demo", "sha256": "ab" * 32, "backend": "openvino", "demo": True}
ENDED = {"ready", "failed", "cancelled"}
FACTS = {"width": 64, "height": 48, "fps": 25.0, "duration": 0.4, "frames": 10, "sampled": 2}


Drop = Literal["accepted", "head read", "body half read", "body read", "half answered"]
"""How far a server gets with a connection before it resets it."""


@dataclass(frozen=True)
class Said:
    """An answer: status, headers, and the pieces of its body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def said(facts: object, status: int = 200, **headers: str) -> Said:
    """An answer in JSON; names of headers are written with underscores."""
    return Said(
        status, json.dumps(facts).encode(), {key.replace("_", "-"): to for key, to in headers.items()}
    )


def refused(status: int, code: str, detail: str = "It is so.", **headers: str) -> Said:
    """An error as Kadr tells it."""
    return said({"status": status, "code": code, "detail": detail}, status, **headers)


@dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass
class StandIn:
    """What the server says next, and what it was asked.

    Attributes:
        url: where it listens.
        states: of each video, in order, by its number from 1; the last one stays. `ready` unless said.
        refusals: of the next uploads, in order.
        objects: that are found in each of the two frames of a video.
        operations: of `/api/status/all`.
        others: answers by method and path, in order; the last one stays.
        drops: connections that are reset, in order, for one client.
        losses: how many are reset at each point, for many clients at once; no request is lost twice.
        seen: requests, in order.
    """

    url: str = ""
    states: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    refusals: list[Said] = field(default_factory=list)
    objects: int = 1
    operations: list[dict[str, str]] = field(default_factory=list)
    others: dict[str, list[Said]] = field(default_factory=dict)
    drops: list[Drop] = field(default_factory=list)
    losses: dict[Drop, int] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)
    submitted: int = 0
    frames: int = 2
    _lost: set[tuple[str, ...]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def uploads(self) -> list[bytes]:
        """The bodies that arrived."""
        return [each.body for each in self.seen if each.method == "POST" and each.path == "/api/v1/videos"]

    def keys(self) -> dict[str, str | None]:
        """The header `Authorization` of the last request to each path."""
        return {each.path: each.headers.get("authorization") for each in self.seen}

    def result(self) -> bytes:
        """A result whose every frame holds so many cars."""
        car = {"class": "car", "box": [1, 2, 3, 4], "conf": 0.5}
        frames = [
            {"frame": 5 * n, "time": n / 5, "objects": [car] * self.objects} for n in range(self.frames)
        ]
        document = {"status": "ready", "event_id": "id-1", "video": FACTS, "model": MODEL}
        return json.dumps({**document, "prediction": frames}).encode()

    def answer(self, seen: Seen) -> Said:
        """The answer to one request; several threads ask."""
        with self._lock:
            return self._answer(seen)

    def _answer(self, seen: Seen) -> Said:
        self.seen.append(seen)
        if others := self.others.get(f"{seen.method} {seen.path}"):
            return others.pop(0) if len(others) > 1 else others[0]
        if seen.method == "POST" and seen.path == "/api/v1/videos":
            return self._submit(seen.headers.get("idempotency-key", ""))
        if seen.path == "/api/status/all":
            return said({"operations": self.operations, "total": len(self.operations)})
        if seen.path.startswith("/api/v1/videos/id-"):
            return self._about(seen, int(seen.path.split("/")[4].removeprefix("id-")))
        if seen.path.startswith("/api/result_video/id-"):
            return self._result(int(seen.path.rpartition("-")[2]))
        return refused(404, "not_found", "There is no such video.")

    def loses(self, point: Drop, *request: str) -> bool:
        """Whether the connection is to be reset at this point.

        Args:
            point: where it is.
            request: what distinguishes the request; nothing where none was read.
        """
        with self._lock:
            if self.drops[:1] == [point]:
                return bool(self.drops.pop(0))
            if not self.losses.get(point) or request in self._lost:
                return False
            self.losses[point] -= 1
            if request:
                self._lost.add(request)
            return True

    def _submit(self, key: str) -> Said:
        if self.refusals:
            return self.refusals.pop(0)
        if key not in self.made:
            self.submitted += 1
            self.made[key] = self.submitted
        return said(self._video(self.made[key], {"status": "queued"}), 202)

    def _about(self, seen: Seen, number: int) -> Said:
        if number > self.submitted:
            return refused(404, "not_found", "There is no such video.")
        what = "/".join([seen.method, *seen.path.split("/")[5:]])
        found: dict[str, Callable[[], Said]] = {
            "GET": lambda: said(self._video(number, self._state(number))),
            "GET/events": lambda: Said(200, self._events(number), {"Content-Type": "text/event-stream"}),
            "GET/summary": lambda: said(self._summary(number)),
            "GET/detections": lambda: Said(200, self.result()),
            "POST/cancel": lambda: self._cancel(number),
            "POST/retry": lambda: said(self._video(number, {"status": "queued", "attempt": 2}), 202),
            "DELETE": lambda: Said(204),
        }
        return found[what]() if what in found else refused(404, "not_found")

    def _cancel(self, number: int) -> Said:
        self.states[number] = [{"status": "cancelled"}]
        return said(self._video(number, {"status": "cancelled"}), 202)

    def _summary(self, number: int) -> dict[str, Any]:
        counts = {"detections": self.frames * self.objects, "frames": 2, "first": 0, "last": 0.2}
        car = {"class": "car", "most_at_once": 1, "conf": 0.5, "segments": [], **counts}
        facts = {"event_id": f"id-{number}", "gap": 1, "interval": 0.2, "not_looked_at": 0}
        return {**facts, "looked_at": self.frames, "classes": [car]}

    def _result(self, number: int) -> Said:
        state = self._state(number)
        if state["status"] == "ready":
            return Said(200, self.result())
        word = {"queued": "new", "processing": "sent", "failed": "failed"}[state["status"]]
        return said({"status": word, "event_id": f"id-{number}", "error": state.get("error")})

    def _events(self, number: int) -> bytes:
        states = self.states.get(number, [{"status": "ready"}])
        self.states[number] = states[-1:]
        names = ["end" if each["status"] in ENDED else "status" for each in states]
        bodies = [json.dumps(self._video(number, each)) for each in states]
        pairs = zip(names, bodies, strict=True)
        return "".join(f"event: {name}\ndata: {body}\n\n" for name, body in pairs).encode()

    def _state(self, number: int) -> dict[str, Any]:
        states = self.states.get(number, [{"status": "ready"}])
        return states.pop(0) if len(states) > 1 else states[0]

    def _video(self, number: int, state: dict[str, Any]) -> dict[str, Any]:
        name = {"filename": f"{number}.mp4", "created_at": "2026-11-26T09:00:00Z", "tags": []}
        return {"id": f"id-{number}", "attempt": 1, "options": {}, **name, **state}


class _LostError(Exception):
    """The connection is reset."""


class _Handler(BaseHTTPRequestHandler):
    found: StandIn
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with contextlib.suppress(_LostError):
            self._lose_at("accepted")
            super().handle()

    def handle_one_request(self) -> None:
        self.do_GET = self.do_POST = self.do_PUT = self.do_DELETE = self._respond
        super().handle_one_request()

    def _respond(self) -> None:
        place = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = (self.command, self.path, headers.get("idempotency-key", ""))
        self._lose_at("head read", *request)
        if self.command == "POST":
            self._lose_at("body half read", *request, read=int(headers.get("content-length", 0)) // 2)
        seen = Seen(self.command, place.path, parse_qs(place.query), headers, self._body(headers))
        answer = self.found.answer(seen)
        self._lose_at("body read", *request)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.body:
            self._lose_at("half answered", *request, write=answer.body[: len(answer.body) // 2])
        self.wfile.write(answer.body)

    def _lose_at(self, point: Drop, *request: str, read: int = 0, write: bytes = b"") -> None:
        if self.found.loses(point, *request):
            self.rfile.read(read)
            self.wfile.write(write)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise _LostError

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def open_stand_in() -> Iterator[StandIn]:
    """Yield a server that listens."""
    found = StandIn()
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"found": found})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
