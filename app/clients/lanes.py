"""Calls of a blocking library in threads, and what becomes of those whose server hangs.

A thread that waits for a server cannot be stopped. Its caller can: a call is left behind when the server
answers nothing else either, and its thread ends by itself in the background.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LOOK_EVERY: Final = 0.5
"""Seconds of a call after which, and then again, it is asked whether the server hangs."""

MOST_LEFT: Final = 64
"""Calls that may be left behind at a time: everything that was under way, twice. Each keeps a thread, and the
part of a file that it writes, until its connection is given up, a minute later."""

SETTLE_WITHIN: Final = 2.0
"""Seconds that somebody waits for the end of what was left behind."""


class QuickLane:
    """Threads for calls that end soon by themselves.

    Args:
        name: of the threads.
        count: how many there are at most.
    """

    def __init__(self, name: str, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, call: Callable[P, T], within: float, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call.

        Raises:
            TimeoutError: it takes longer than `within` seconds.
        """
        async with asyncio.timeout(within):
            return await asyncio.wrap_future(self._threads.submit(call, *args, **kwargs))

    def close(self) -> None:
        """Let no more calls begin."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class PatientLane:
    """Threads for calls that take as long as they take, while their server answers.

    Args:
        name: of the threads.
        count: how many calls may be under way at a time.
        ask: tells why the server seems to hang; None when it does not.
    """

    def __init__(self, name: str, count: int, ask: Callable[[], Awaitable[str | None]]) -> None:
        self._name = name
        self._count = count
        self._ask = ask
        self._threads = self._open_threads()
        self._left: set[asyncio.Future[Any]] = set()

    def _open_threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._count, thread_name_prefix=self._name)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call. A cancelled caller still waits for its end: what comes next may rely on that.

        Raises:
            TimeoutError: the server hangs; if the call had begun, it is left behind.
        """
        if len(self._left) >= MOST_LEFT:
            raise TimeoutError(f"{len(self._left)} calls hang")
        threads = self._threads
        begun = threads.submit(call, *args, **kwargs)
        done = asyncio.wrap_future(begun)
        done.add_done_callback(_mark_as_seen)

        async def end() -> None:
            while not (await asyncio.wait([done], timeout=LOOK_EVERY))[0]:
                cause = await self._ask()
                if cause is not None and not done.done():
                    if not begun.cancel():  # it waits for no thread, but for the server
                        self._leave(done, threads)
                    raise TimeoutError(cause)

        try:
            await end()
        except asyncio.CancelledError:
            with suppress(TimeoutError):
                await end()
            raise
        return done.result()

    def _leave(self, done: asyncio.Future[Any], threads: ThreadPoolExecutor) -> None:
        self._left.add(done)
        done.add_done_callback(self._left.discard)
        if threads is self._threads:
            # Those who come when the server is back must not queue behind what hangs, perhaps for a minute.
            threads.shutdown(wait=False)
            self._threads = self._open_threads()

    async def settle(self) -> None:
        """Return when no call that was left behind is under way.

        Raises:
            TimeoutError: some still are.
        """
        if self._left and (await asyncio.wait(set(self._left), timeout=SETTLE_WITHIN))[1]:
            raise TimeoutError(f"{len(self._left)} calls hang")

    def close(self) -> None:
        """Let no more calls begin."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _mark_as_seen(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()
