"""`Kadr` and `AsyncKadr`: the same calls, once blocking and once awaited."""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from app.client import calls, documents, results, submissions, watching
from app.client.awaiting import AwaitingTransport
from app.client.blocking import BlockingTransport
from app.client.core import Core
from app.client.retries import Retries
from app.client.steps import Flow, Items
from app.client.transport import Requests

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

TIMEOUT: Final = 60.0
"""Seconds for each step of a request: on a busy disk, storing the last piece of an upload takes a while."""


def _call(call: Callable[Concatenate[Core, P], Flow[R]]) -> Callable[Concatenate["Kadr", P], R]:
    @functools.wraps(call)
    def method(kadr: "Kadr", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return kadr.transport.run(call(kadr.transport.core, *args, **kwargs))

    return method


def _each(call: Callable[Concatenate[Core, P], Items[T]]) -> Callable[Concatenate["Kadr", P], Iterator[T]]:
    @functools.wraps(call)
    def method(kadr: "Kadr", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return kadr.transport.give(call(kadr.transport.core, *args, **kwargs))

    return method


def _awaited(
    call: Callable[Concatenate[Core, P], Flow[R]],
) -> Callable[Concatenate["AsyncKadr", P], Coroutine[Any, Any, R]]:
    @functools.wraps(call)
    async def method(kadr: "AsyncKadr", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await kadr.transport.run(call(kadr.transport.core, *args, **kwargs))

    return method


def _async_each(
    call: Callable[Concatenate[Core, P], Items[T]],
) -> Callable[Concatenate["AsyncKadr", P], AsyncIterator[T]]:
    @functools.wraps(call)
    def method(kadr: "AsyncKadr", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return kadr.transport.give(call(kadr.transport.core, *args, **kwargs))

    return method


class Kadr:
    """A running Kadr. Close it, or use it in a `with` statement; nothing is asked before the first call.

    Every call raises what `app.client.errors` lists, and nothing else. What was not done because a server was
    away or busy is tried again, as long as `retries` says, where that cannot do a thing twice.

    Args:
        url: of its API, such as `https://kadr.example.org`; else `API_URL`, or port 8080 of this machine.
        key: an API key; else `KADR_API_KEY`.
        timeout: seconds for each step of a request.
        retries: how patient it is.
        trust_env: whether proxies and certificates that the environment names are used.

    Raises:
        Misconfigured: the key cannot be one.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        trust_env: bool = False,
    ) -> None:
        requests = Requests(url, key, timeout=timeout, trust_env=trust_env)
        self.transport = BlockingTransport(requests, Core(retries or Retries()))

    @property
    def url(self) -> str:
        """Where it is."""
        return self.transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    submit = _call(submissions.submit)
    upload_directly = _call(submissions.upload_directly)
    get = _call(calls.get)
    list = _each(calls.list_videos)
    statuses = _call(calls.statuses)
    is_ready = _call(calls.is_ready)
    events = _each(watching.events)
    wait = _call(watching.wait)
    cancel = _call(calls.cancel)
    retry = _call(calls.retry)
    delete = _call(calls.delete)
    result = _call(documents.result)
    save_result = _call(documents.save_result)
    detections = _each(results.detections)
    export = _call(results.export)
    summary = _call(results.summary)
    tracks = _each(results.tracks)
    download = _call(results.download)
    make = _call(results.make)
    frame = _call(results.frame)
    deliveries = _call(calls.deliveries)
    redeliver = _call(calls.redeliver)


class AsyncKadr:
    """A running Kadr, for asyncio. Close it, or use it in an `async with` statement.

    The calls are those of `Kadr`: what answers there is awaited here, what iterates there is iterated with
    `async for` here. Functions that are handed over (`on_progress` and the like) are called, not awaited.

    Args:
        url: of its API, such as `https://kadr.example.org`; else `API_URL`, or port 8080 of this machine.
        key: an API key; else `KADR_API_KEY`.
        timeout: seconds for each step of a request.
        retries: how patient it is.
        trust_env: whether proxies and certificates that the environment names are used.

    Raises:
        Misconfigured: the key cannot be one.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        trust_env: bool = False,
    ) -> None:
        requests = Requests(url, key, timeout=timeout, trust_env=trust_env)
        self.transport = AwaitingTransport(requests, Core(retries or Retries()))

    @property
    def url(self) -> str:
        """Where it is."""
        return self.transport.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.transport.close()

    submit = _awaited(submissions.submit)
    upload_directly = _awaited(submissions.upload_directly)
    get = _awaited(calls.get)
    list = _async_each(calls.list_videos)
    statuses = _awaited(calls.statuses)
    is_ready = _awaited(calls.is_ready)
    events = _async_each(watching.events)
    wait = _awaited(watching.wait)
    cancel = _awaited(calls.cancel)
    retry = _awaited(calls.retry)
    delete = _awaited(calls.delete)
    result = _awaited(documents.result)
    save_result = _awaited(documents.save_result)
    detections = _async_each(results.detections)
    export = _awaited(results.export)
    summary = _awaited(results.summary)
    tracks = _async_each(results.tracks)
    download = _awaited(results.download)
    make = _awaited(results.make)
    frame = _awaited(results.frame)
    deliveries = _awaited(calls.deliveries)
    redeliver = _awaited(calls.redeliver)
