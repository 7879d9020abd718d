"""The transport that blocks."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import httpx

from app.client.core import Core
from app.client.sources import Body
from app.client.steps import (
    Answer,
    Close,
    Flow,
    Give,
    Items,
    Open,
    Read,
    Reply,
    Request,
    Running,
    Send,
    Sleep,
    Step,
    Work,
)
from app.client.transport import WHOLE, Requests, headers_of, whole_answer
from app.errors import KadrError

T = TypeVar("T")
R = TypeVar("R")


class _Stream:
    """The answer that is read piece by piece."""

    request: Request | None = None
    pieces: Iterator[bytes] = iter(())


class BlockingTransport:
    """Takes steps and blocks meanwhile.

    Args:
        requests: how requests are made.
        core: what calls stand on.
    """

    def __init__(self, requests: Requests, core: Core) -> None:
        self.core = core
        self._requests = requests
        self._client = httpx.Client(**requests.client_options)

    @property
    def url(self) -> str:
        """Where Kadr is."""
        return self._requests.url

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def run(self, flow: Flow[R]) -> R:
        """Take every step of a flow; answers what it returns."""
        running: Running[Any, R] = Running(flow)
        for _ in self._take_steps(running):
            pass
        return running.result

    def give(self, items: Items[T]) -> Iterator[T]:
        """Take the steps of a flow as its items are wanted."""
        running: Running[T, None] = Running(items)
        yield from self._take_steps(running)

    def _take_steps(self, running: Running[T, Any]) -> Iterator[T]:
        stream = _Stream()
        with contextlib.closing(running), contextlib.ExitStack() as opened:
            while (step := running.step) is not None:
                if isinstance(step, Give):
                    yield step.item
                    running.reply(None)
                    continue
                try:
                    reply = self._take(step, opened, stream)
                except KadrError as error:
                    running.fail(error)
                else:
                    running.reply(reply)

    def _take(self, step: Step, opened: contextlib.ExitStack, stream: _Stream) -> Reply:
        match step:
            case Send(request):
                with self._requests.translated(request):
                    return whole_answer(self._client.request(**self._arguments(request)))
            case Open(request):
                opened.close()
                with self._requests.translated(request):
                    response = opened.enter_context(self._client.stream(**self._arguments(request)))
                    stream.request, stream.pieces = request, response.iter_bytes()
                    if response.status_code not in WHOLE:
                        response.read()
                        return whole_answer(response)
                    return Answer(response.status_code, headers_of(response))
            case Read():
                with self._requests.translated(stream.request, has_begun=True):
                    return next(stream.pieces, b"")
            case Close():
                opened.close()
            case Sleep(seconds):
                time.sleep(seconds)
            case Work(do):
                do()
        return None

    def _arguments(self, request: Request) -> dict[str, Any]:
        body = _counted(request.body) if isinstance(request.body, Body) else request.body
        return self._requests.arguments(request, body)


def _counted(body: Body) -> Iterator[bytes]:
    sent = 0
    for piece in body.pieces():
        yield piece
        sent += len(piece)
        body.tell(sent)
