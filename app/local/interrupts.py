"""Every way in which a user or the system ends a command, as one exception."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and a closed terminal interrupt like Ctrl-C; for the main thread only.

    SIGINT is named as well, because a shell starts what it puts into the background with it ignored.
    """
    before = {number: signal.signal(number, signal.default_int_handler) for number in NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_interruptible(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine as `asyncio.run` does; within `interruptible`, whatever interrupts cancels it.

    `asyncio.run` itself does so with SIGINT alone. Any other signal would break into the event loop, which
    may forget then whom it was about to wake, and wait for ever for it to end. A second signal does break
    in: it is there for work that does not end.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    interrupts = 0

    async def run() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt(number: int, frame: Any) -> None:  # noqa: ANN401 - as `signal` has it
            nonlocal interrupts
            interrupts += 1
            if task is None or interrupts > 1:
                signal.default_int_handler(number, frame)
            else:
                loop.call_soon_threadsafe(task.cancel)

        before = {number: signal.signal(number, interrupt) for number in NUMBERS}
        try:
            return await work
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if interrupts:
            raise KeyboardInterrupt from None
        raise
