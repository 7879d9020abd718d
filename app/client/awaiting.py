"""The transport that awaits, for asyncio; what may block is done in threads."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
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
    pieces: AsyncIterator[bytes]


class AwaitingTransport:
    """Takes steps and lets others go on meanwhile.

    Args:
        requests: how requests are made.
        core: what calls stand on.
    """

    def __init__(self, requests: Requests, core: Core) -> None:
        self.core = core
        self._requests = requests
        self._client = httpx.AsyncClient(**requests.client_options)

    @property
    def url(self) -> str:
        """Where Kadr is."""
        return self._requests.url

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def run(self, flow: Flow[R]) -> R:
        """Take every step of a flow; answers what it returns."""
        running: Running[Any, R] = Running(flow)
        async for _ in self._take_steps(running):
            pass
        return running.result

    async def give(self, items: Items[T]) -> AsyncIterator[T]:
        """Take the steps of a flow as its items are wanted."""
        running: Running[T, None] = Running(items)
        async with contextlib.aclosing(self._take_steps(running)) as given:
            async for item in given:
                yield item

    async def _take_steps(self, running: Running[T, Any]) -> AsyncGenerator[T]:
        stream = _Stream()
        with contextlib.closing(running):
            async with contextlib.AsyncExitStack() as opened:
                while (step := running.step) is not None:
                    if isinstance(step, Give):
                        yield step.item
                        running.reply(None)
                        continue
                    try:
                        reply = await self._take(step, opened, stream)
                    except KadrError as error:
                        running.fail(error)
                    else:
                        running.reply(reply)

    async def _take(self, step: Step, opened: contextlib.AsyncExitStack, stream: _Stream) -> Reply:
        match step:
            case Send(request):
                with self._requests.translated(request):
                    return whole_answer(await self._client.request(**self._arguments(request)))
            case Open(request):
                await opened.aclose()
                with self._requests.translated(request):
                    response = await opened.enter_async_context(
                        self._client.stream(**self._arguments(request))
                    )
                    stream.request, stream.pieces = request, response.aiter_bytes()
                    if response.status_code not in WHOLE:
                        await response.aread()
                        return whole_answer(response)
                    return Answer(response.status_code, headers_of(response))
            case Read():
                with self._requests.translated(stream.request, has_begun=True):
                    return await anext(stream.pieces, b"")
            case Close():
                await opened.aclose()
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Work(do):
                await asyncio.to_thread(do)
        return None

    def _arguments(self, request: Request) -> dict[str, Any]:
        body = _counted(request.body) if isinstance(request.body, Body) else request.body
        return self._requests.arguments(request, body)


async def _counted(body: Body) -> AsyncIterator[bytes]:
    sent = 0
    with contextlib.closing(body.pieces()) as pieces:
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece
            sent += len(piece)
            body.tell(sent)
