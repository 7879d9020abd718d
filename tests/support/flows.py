"""Calls of the client without any I/O: each step is answered from a script, and noted."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from app.client.core import Core
from app.client.retries import Retries
from app.client.steps import Answer, Give, Open, Read, Request, Running, Send, Sleep, Work
from app.errors import KadrError

R = TypeVar("R")


def answer(status: int = 200, body: object = None, **headers: str) -> Answer:
    """An answer whose body is JSON; names of headers are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, b"" if body is None else msgspec.json.encode(body))


def problem(status: int, code: str, detail: str = "It is so.", **more: Any) -> Answer:  # noqa: ANN401 - JSON
    """An error as Kadr tells it."""
    headers = {"retry_after": str(more.pop("retry_after"))} if "retry_after" in more else {}
    return answer(status, {"code": code, "detail": detail, "status": status, **more}, **headers)


def video(status: str = "queued", **more: object) -> dict[str, object]:
    """A video as Kadr tells it."""
    return {"id": "v", "status": status, "attempt": 1, "created_at": "2026-11-26T09:00:00Z", **more}


@dataclass
class Script:
    """Answers the steps of one call.

    Attributes:
        replies: to requests, in order: an answer, or an error that is raised.
        pieces: of the answers that are read piece by piece, for each in order.
        requests: that were made.
        slept: seconds between them.
        given: items.
    """

    replies: Sequence[Answer | KadrError]
    pieces: list[list[bytes | KadrError]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)
    time: float = 0.0

    def __post_init__(self) -> None:
        self._left = list(self.replies)

    @property
    def core(self) -> Core:
        """What calls stand on: without chance, and with a clock that only sleeping moves."""
        return Core(Retries(jitter=lambda: 1.0), clock=lambda: self.time)

    def run(self, flow: Generator[Any, Any, R]) -> R:
        """Return what a call returns, or raise what it raises."""
        running: Running[Any, R] = Running(flow)
        while (step := running.step) is not None:
            if isinstance(step, Give):
                self.given.append(step.item)
            if isinstance(step, (Send, Open)):
                self.requests.append(step.request)
                self._reply(running, self._left.pop(0))
            elif isinstance(step, Read):
                self._reply(running, self.pieces[0].pop(0) if self.pieces[0] else self._end_of_pieces())
            else:
                self._do(step)
                running.reply(None)
        return running.result

    def _do(self, step: object) -> None:
        if isinstance(step, Sleep):
            self.slept.append(step.seconds)
            self.time += step.seconds
        elif isinstance(step, Work):
            step.do()

    def _end_of_pieces(self) -> bytes:
        self.pieces.pop(0)
        return b""

    @staticmethod
    def _reply(running: Running[Any, Any], reply: Answer | bytes | KadrError) -> None:
        if isinstance(reply, KadrError):
            running.fail(reply)
        else:
            running.reply(reply)

    @property
    def asked(self) -> list[str]:
        """Methods and paths of the requests."""
        return [f"{request.method} {request.path}" for request in self.requests]

    def query(self, number: int = 0) -> Mapping[str, str]:
        """The query of one request."""
        return dict(self.requests[number].query)


def events(*all_events: tuple[str, object]) -> list[bytes | KadrError]:
    """Server-sent events, a piece for each."""
    return [
        f"event: {name}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode() for name, data in all_events
    ]


def whole_body(pieces: Iterable[bytes]) -> bytes:
    """A request's body."""
    return b"".join(pieces)
