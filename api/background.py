"""Work that is repeated as long as the process lives."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from app.errors import RetryLater

logger = logging.getLogger(__name__)

Work = Callable[[], Awaitable[object]]


def _stop_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@asynccontextmanager
async def running(
    *jobs: tuple[timedelta, Work], on_crash: Callable[[], None] = _stop_process
) -> AsyncIterator[None]:
    """Repeat each piece of work at its interval, until the end of the block.

    A service that is away costs a round. Anything else is a mistake of ours: it is logged and the
    process ends, to be started again; a process that only seems to work would be worse.

    Args:
        jobs: intervals, and what to do.
        on_crash: how the process ends.
    """

    def look(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.critical("background work crashed", exc_info=error)
            on_crash()

    async with AsyncExitStack() as stack:
        for interval, work in jobs:
            task = asyncio.create_task(_repeat(interval, work))
            task.add_done_callback(look)
            stack.push_async_callback(_end, task)
        yield


async def until_done(work: Work, *, pause: timedelta) -> None:
    """Do a piece of work once, again and again while a service that it needs is away."""
    while True:
        try:
            await work()
        except RetryLater:
            await asyncio.sleep(pause.total_seconds())
        else:
            return


async def _repeat(interval: timedelta, work: Work) -> None:
    while True:
        try:
            await work()
        except RetryLater as error:
            logger.debug("round given up", extra={"cause": str(error)})
        await asyncio.sleep(interval.total_seconds())


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
