"""How many pictures may wait: splitting pauses while those not yet consumed pass a bound.

So Kafka holds a bounded number of pictures however long the videos are, and a clip is never far behind:
of the videos that wait for a place, the one that has the fewest frames left goes first.

Several runners look at the same backlog and do not know what the others have granted. So each of them grants
every video no more than a batch at a time: by a batch for each open video, at most, the bound is passed. A
runner that is alone keeps what room is left for whoever comes next, which needs fewer looks.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from app.errors import RetryLater

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 0.05
"""Seconds between two looks at the lag while somebody waits; each look is three small requests."""

COUNT_EVERY: Final = 1.0
"""Seconds for which the number of members of a consumer group is believed."""

BATCH: Final = 8
"""Frames for each waiting video and look: what inference takes at once by default. With one at a time a clip
that goes first would get twenty frames a second and leave the rest of the room to those behind it."""


@dataclass(frozen=True)
class Backlog:
    """What waits for inference.

    Attributes:
        waiting: tasks that the consumer group has not committed yet.
        workers: members of the group, at least one.
        runners: that split videos, we among them.
    """

    waiting: int
    workers: int = 1
    runners: int = 1


class Census:
    """How many members consumer groups have, asked for now and then.

    Args:
        count: asks for the members of a group.
    """

    def __init__(self, count: Callable[[str], Awaitable[int]]) -> None:
        self._count = count
        self._counted: dict[str, tuple[float, int]] = {}

    async def members(self, group: str) -> int:
        """Return how many members a group has, or had a moment ago; at least one.

        Raises:
            RetryLater: the broker does not answer.
        """
        until, members = self._counted.get(group, (0.0, 1))
        if time.monotonic() > until:
            members = max(1, await self._count(group))
            self._counted[group] = time.monotonic() + COUNT_EVERY, members
        return members


@dataclass(eq=False)
class Turn:
    """One video's way through the gate.

    Attributes:
        rank: what decides who is next, the least first.
        granted: frames that it may send without asking.
        called: what it waits for, when it has nothing left.
    """

    gate: "Gate"
    rank: int = 0
    granted: int = 0
    called: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether one more frame would be let through without waiting."""
        return self.granted > 0 or self.gate.has_room

    async def admit(self, rank: int) -> None:
        """Return when one more frame may be sent.

        Args:
            rank: such as the number of frames that this video has left; the least goes first.
        """
        self.rank = rank
        if not self.granted:
            await self.gate.wait(self)
        self.granted -= 1


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
        self._turns: list[Turn] = []
        self._wanted = asyncio.Event()
        self.is_world_away = False

    @contextmanager
    def video(self) -> Iterator[Turn]:
        """Let a video through; what it was granted and has not used is given back at the end."""
        turn = Turn(self)
        self._turns.append(turn)
        try:
            yield turn
        finally:
            self._turns.remove(turn)

    async def wait(self, turn: Turn) -> None:
        """Return when a video was granted at least one frame; the least rank goes first."""
        if self.has_room:
            self._room -= 1
            turn.granted += 1
            return
        turn.called = asyncio.get_running_loop().create_future()
        self._wanted.set()
        try:
            await turn.called
        finally:
            turn.called = None

    @property
    def has_room(self) -> bool:
        """Whether there is room that nobody else waits for."""
        return self._room > 0 and not self._is_awaited

    @property
    def _is_awaited(self) -> bool:
        return any(turn.called and not turn.called.done() for turn in self._turns)

    async def waiting(self) -> int:
        """Return how many tasks wait for inference now.

        Raises:
            RetryLater: the broker does not answer.
        """
        return (await self._look()).waiting

    async def run(self) -> None:
        """Keep granting, for ever."""
        while True:
            if not self._is_awaited:
                self._wanted.clear()
                await self._wanted.wait()
            with suppress(RetryLater):
                self._grant(await self._see())
            await asyncio.sleep(LOOK_EVERY if self._is_awaited else 0)

    async def _see(self) -> Backlog:
        try:
            backlog = await self._look()
        except RetryLater:
            self.is_world_away = True
            raise
        self.is_world_away = False
        return backlog

    def _grant(self, backlog: Backlog) -> None:
        """Give out the room, the least rank first, also to who still has some: it would fall behind."""
        granted = sum(turn.granted for turn in self._turns)
        room = self._bound * backlog.workers - backlog.waiting - self.unconfirmed() - granted
        for turn in sorted(self._turns, key=lambda turn: turn.rank):
            more = max(0, min(room, BATCH - turn.granted))
            turn.granted += more
            room -= more
            if turn.granted and turn.called and not turn.called.done():
                turn.called.set_result(None)
        self._room = room if backlog.runners == 1 else 0
