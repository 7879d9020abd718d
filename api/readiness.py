"""Whether the services that a request needs do answer."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from app.errors import RetryLater
from app.telemetry.metrics import SERVICE_UP

Ping = Callable[[], Awaitable[None]]

BELIEVED_FOR: Final = 2.9
"""Seconds for which all services are believed to be there after they have answered: a little less than three
rounds of a second. One that is away is asked each round."""


class Readiness:
    """What was last known of each service.

    It is looked up beside the requests: a health check then costs nothing and never waits, however
    busy or far away a service is.

    Args:
        pings: how to ask each service; by its name.
        clock: seconds, only forward.
    """

    def __init__(self, pings: Mapping[str, Ping], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pings = dict(pings)
        self._clock = clock
        self._asked = -math.inf
        self.checks = dict.fromkeys(self._pings, "not asked yet")

    @property
    def is_ready(self) -> bool:
        """Whether every service answered the last time."""
        return all(found == "ok" for found in self.checks.values())

    async def keep_fresh(self) -> None:
        """Ask every service, unless all of them have answered a moment ago."""
        if not self.is_ready or self._clock() >= self._asked + BELIEVED_FOR:
            await self.refresh()

    async def refresh(self) -> None:
        """Ask every service, all at once."""
        self._asked = self._clock()
        await asyncio.gather(*(self._ask(name, ping) for name, ping in self._pings.items()))

    async def require(self) -> None:
        """Ask every service now, all at once, before a request begins what needs them.

        Raises:
            Unavailable: one does not answer.
        """
        await asyncio.gather(*(ping() for ping in self._pings.values()))

    async def _ask(self, name: str, ping: Ping) -> None:
        try:
            await ping()
        except RetryLater as error:
            self.checks[name] = str(error)[:200]
        else:
            self.checks[name] = "ok"
        SERVICE_UP.labels(name).set(self.checks[name] == "ok")
