"""How many pictures may wait: splitting pauses while those not yet consumed pass a bound.

So Kafka holds a bounded number of pictures however long the videos are, and a clip is never far behind:
of the videos that wait for a place, the one that has had the fewest frames goes first.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from app.errors import RetryLater

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 0.05
"""Seconds between two looks at the lag while somebody waits; each look is three small requests."""


@dataclass(frozen=True)
class Backlog:
    """What waits for inference.

    Attributes:
        waiting: tasks that the consumer group has not committed yet.
        workers: members of the group, at least one.
    """

    waiting: int
    workers: int


@dataclass(order=True)
class _Place:
    share: int
    turn: int
    granted: asyncio.Future[None] = field(compare=False)


class Gate:
    """Grants frames to videos, within the bound.

    Args:
        look: asks how many tasks wait.
        bound: tasks that may wait for each worker.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[Backlog]],
        bound: int,
    ) -> None:
        self._look = look
        self._bound = bound
        self.unconfirmed: Callable[[], int] = lambda: 0
        """Tells how many tasks of our own are still on their way to the broker."""
        self._room = 0
        self._waiting: list[_Place] = []
        self._turns = itertools.count()
        self._wanted = asyncio.Event()
        self.is_world_away = False

    async def admit(self, share: int) -> None:
        """Return when one more frame may be sent.

        Args:
            share: frames that this video has had; the smallest goes first.
        """
        if self._room > 0 and not self._waiting:
            self._room -= 1
            return
        place = _Place(share, next(self._turns), asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, place)
        self._wanted.set()
        await place.granted

    async def waiting(self) -> int:
        """Return how many tasks wait for inference now.

        Raises:
            RetryLater: the broker does not answer.
        """
        return (await self._look()).waiting

    async def run(self) -> None:
        """Keep granting, for ever."""
        while True:
            if not self._waiting:
                self._wanted.clear()
                await self._wanted.wait()
            with suppress(RetryLater):
                await self._refill()
            self._grant()
            await asyncio.sleep(LOOK_EVERY if self._waiting else 0)

    async def _refill(self) -> None:
        try:
            backlog = await self._look()
        except RetryLater:
            self.is_world_away = True
            raise
        self.is_world_away = False
        self._room = self._bound * backlog.workers - backlog.waiting - self.unconfirmed()

    def _grant(self) -> None:
        while self._waiting and self._room > 0:
            place = heapq.heappop(self._waiting)
            if not place.granted.done():  # who was cancelled waits no longer
                place.granted.set_result(None)
                self._room -= 1
