"""Which videos wait for the world: one line in the log when one begins to wait, and one when it goes on."""

import logging
import time
from typing import Final

from app.errors import RetryLater

logger = logging.getLogger(__name__)

FORGET_AFTER: Final = 600.0
"""Seconds without a try of ours: another runner has the video."""


class Waits:
    """The videos that this process has tried to split in vain, and will try again."""

    def __init__(self) -> None:
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def begin(self, video_id: str, cause: RetryLater) -> None:
        """Note a try in vain."""
        now = time.monotonic()
        for other in [each for each, last in self._last.items() if now - last > FORGET_AFTER]:
            self.forget(other)
        self._last[video_id] = now
        if video_id not in self._first:
            self._first[video_id] = now
            logger.warning("split waits: %s", cause, extra={"video_id": video_id})

    def end(self, video_id: str) -> None:
        """Note that there is nothing to wait for any more."""
        since = self._first.get(video_id)
        if since is not None:
            fields = {"video_id": video_id, "seconds": round(time.monotonic() - since, 1)}
            logger.info("split goes on after a wait", extra=fields)
            self.forget(video_id)

    def forget(self, video_id: str) -> None:
        """Note that the video is no longer ours."""
        self._first.pop(video_id, None)
        self._last.pop(video_id, None)
