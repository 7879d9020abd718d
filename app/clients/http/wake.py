"""A knock on the outbox worker's door: something new is there, so do not wait for the next poll."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

logger = logging.getLogger(__name__)

WITHIN: Final = 0.5
"""Seconds until a knock is given up: the worker looks every two seconds anyway."""


class Waker:
    """Wakes the outbox worker, best effort and without keeping anybody waiting.

    Args:
        client: of the worker's address.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._knocking: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Knock soon; several calls at once are one knock."""
        if self._knocking is None or self._knocking.done():
            self._knocking = asyncio.create_task(self._knock())

    async def _knock(self) -> None:
        try:
            await self._client.post("/wake")
        except httpx.HTTPError as error:
            logger.debug("outbox worker not woken", extra={"cause": str(error)})

    async def finish(self) -> None:
        """Give up a knock that is under way."""
        if self._knocking is not None:
            self._knocking.cancel()
            await asyncio.wait([self._knocking])


@asynccontextmanager
async def open_waker(url: str) -> AsyncIterator[Waker]:
    """Yield a waker of the outbox worker at this address."""
    async with httpx.AsyncClient(base_url=url, timeout=WITHIN, trust_env=False) as client:
        waker = Waker(client)
        try:
            yield waker
        finally:
            await waker.finish()
