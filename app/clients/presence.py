"""Whether a service answers, and one line in the log each time that changes."""

import logging
import time

from app.errors import Unavailable

logger = logging.getLogger(__name__)


class Presence:
    """Remembers whether a service answered the last time, and logs only the changes.

    Args:
        service: its name as an operator knows it, such as `Mongo`.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._since: float | None = None
        self._is_here = False

    def answered(self) -> None:
        """Note that the service answered."""
        if not self._is_here:
            away = None if self._since is None else round(time.monotonic() - self._since, 3)
            logger.info("connection made", extra={"peer": self._service, "away_seconds": away})
            self._is_here = True

    def lost(self, cause: object) -> Unavailable:
        """Note that the service did not answer, and return the error that says so."""
        if self._is_here or self._since is None:
            logger.warning("connection lost", extra={"peer": self._service, "cause": str(cause)[:300]})
            self._is_here = False
            self._since = time.monotonic()
        return Unavailable(self._service, cause)
