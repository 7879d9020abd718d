"""Every way in which a user or the system ends a command, as one exception."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Final, TypeAlias, TypeVar

Result = TypeVar("Result")

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler: TypeAlias = Callable[[int, FrameType | None], Any]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and a closed terminal interrupt like Ctrl-C; for the main thread only.

    SIGINT is named as well, because a shell starts what it puts into the background with it ignored. A
    terminal that closes interrupts nothing that `nohup` has started.
    """
    with _handled(signal.default_int_handler):
        yield


def run_interruptible(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine as `asyncio.run` does; whatever interrupts cancels it, within `interruptible` or not.

    `asyncio.run` itself does so with SIGINT alone. Any other signal would break into the event loop, which
    may forget then whom it was about to wake, and wait for ever for it to end. A second signal does break
    in: it is there for work that does not end.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    interrupts = 0

    async def run() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt(number: int, frame: FrameType | None) -> None:
            nonlocal interrupts
            interrupts += 1
            if task is None or interrupts > 1:
                signal.default_int_handler(number, frame)
            else:
                loop.call_soon_threadsafe(task.cancel)

        with _handled(interrupt):
            return await work

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if interrupts:
            raise KeyboardInterrupt from None
        raise


@contextlib.contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = [number for number in NUMBERS if not (is_nohup and number is signal.SIGHUP)]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
