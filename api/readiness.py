"""Whether the services that a request needs do answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from app.errors import RetryLater

Ping = Callable[[], Awaitable[None]]


class Readiness:
    """What was last known of each service.

    It is looked up beside the requests: a health check then costs nothing and never waits, however
    busy or far away a service is.

    Args:
        pings: how to ask each service; by its name.
    """

    def __init__(self, pings: Mapping[str, Ping]) -> None:
        self._pings = dict(pings)
        self.checks = dict.fromkeys(self._pings, "not asked yet")

    @property
    def is_ready(self) -> bool:
        """Whether every service answered the last time."""
        return all(found == "ok" for found in self.checks.values())

    async def refresh(self) -> None:
        """Ask every service, all at once."""
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
