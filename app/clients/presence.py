"""Whether a service answers, and one line in the log each time that changes."""

import logging
import math
import time
from typing import Final

from app.errors import Unavailable

logger = logging.getLogger(__name__)

BLIP: Final = 1.0
"""Seconds without an answer that are not told. A server that comes or goes answers one call and not the next:
seven changes in a second were seen."""


class Presence:
    """Remembers whether a service answered the last time, and logs only the changes.

    Args:
        service: its name as an operator knows it, such as `Mongo`.

    Attributes:
        heard: when it answered the last time; monotonic seconds.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._since: float | None = None
        self._is_here = False
        self.heard = -math.inf

    def answered(self) -> None:
        """Note that the service answered."""
        self.heard = time.monotonic()
        if not self._is_here:
            away = None if self._since is None else round(time.monotonic() - self._since, 3)
            logger.info("connection made", extra={"peer": self._service, "away_seconds": away})
            self._is_here = True

    def lost(self, cause: object, *, begun: float) -> Unavailable:
        """Note that the service did not answer, and return the error that says so.

        Args:
            cause: what was seen, in the library's words.
            begun: when it was asked; monotonic seconds. Whoever asked later may have had an answer.
        """
        has_answered_others = self.heard > begun or time.monotonic() - self.heard < BLIP
        was_never_here = not self._is_here and self._since is None
        if was_never_here or (self._is_here and not has_answered_others):
            logger.warning("connection lost", extra={"peer": self._service, "cause": str(cause)[:300]})
            self._is_here = False
            self._since = time.monotonic()
        return Unavailable(self._service, cause)
