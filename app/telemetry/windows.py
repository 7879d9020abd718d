"""Work that is done in thousands of small pieces, told a while at a time: not a span or a line for each."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.telemetry.tracing import span

logger = logging.getLogger(__name__)

WHILE: Final = 60.0
"""Seconds that are told of at once, at most: of a video of two hours a hundred times, by each worker."""

IDLE: Final = 2.0
"""Seconds without another piece after which what was done is told."""


@dataclass
class _Window:
    start: float
    end: float
    pieces: int = 0
    frames: int = 0
    busy: float = 0.0


class Windows:
    """Collects pieces of work on each video.

    Args:
        name: of the spans.
        event: what the log is told; nothing when empty.
        clock: seconds since 1970.
    """

    def __init__(self, name: str, *, event: str = "", clock: Callable[[], float] = time.time) -> None:
        self._name = name
        self._event = event
        self._clock = clock
        self._open: dict[str, _Window] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, video_id: str, start: float, end: float, *, frames: int) -> None:
        """Note a piece of work on a video; times are seconds since 1970."""
        window = self._open.get(video_id)
        if window is None:
            window = self._open[video_id] = _Window(start, end)
        window.start, window.end = min(window.start, start), max(window.end, end)
        window.pieces += 1
        window.frames += frames
        window.busy += end - start
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE, self.look)

    def close(self, video_id: str) -> None:
        """Tell what was collected of a video: nothing more comes."""
        window = self._open.pop(video_id, None)
        if window is None:
            return
        facts = {"batches": window.pieces, "frames": window.frames, "busy_seconds": round(window.busy, 3)}
        span(self._name, video_id, window.start, window.end, facts=facts)
        if self._event:
            seconds = round(window.end - window.start, 3)
            logger.info(self._event, extra={"video_id": video_id, **facts, "seconds": seconds})

    def look(self) -> None:
        """Tell what has ended, or has lasted long enough."""
        now = self._clock()
        for video_id, window in list(self._open.items()):
            if now - window.end >= IDLE or now - window.start >= WHILE:
                self.close(video_id)
        self._timer = asyncio.get_running_loop().call_later(IDLE, self.look) if self._open else None
