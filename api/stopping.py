"""When this process is told to stop: answers that would go on for ever have to end then.

uvicorn waits for every answer before it lets the application know that it stops, so that whoever streams
without an end would hold it for ever. The signal is heard here too, and goes on to who had it before.
"""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_heard() -> Iterator[asyncio.Event]:
    """Yield an event of the running loop that is set when the process is told to stop."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        yield event  # no other thread hears signals
        return
    before = {each: signal.getsignal(each) for each in SIGNALS}

    def hear(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(event.set)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for each in SIGNALS:
        signal.signal(each, hear)
    try:
        yield event
    finally:
        for each, handler in before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
