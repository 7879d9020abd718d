"""What a worker does without being asked: free what was read, and stop when going on would be unsafe."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from app.clients.kafka.broker import Broker, Partition
from app.delivery import Delivery
from app.errors import RetryLater
from app.streaming.forgotten import Forgotten
from app.telemetry.metrics import LAG

logger = logging.getLogger(__name__)

TRIM_EVERY: Final = 10.0
"""Seconds; as often as the broker looks for segments to remove."""

LONGEST_PAUSE: Final = 10.0
"""Seconds between two looks for messages that are held, at most: a tenth of what they may be, or one."""

LOOK_AGAIN: Final = 3.0
"""Seconds until topics that seem to be gone are looked for a second time."""


class Kept(Protocol):
    """The worker that is kept going."""

    role: str
    deliveries: Mapping[str, Delivery]

    @property
    def broker(self) -> Broker:
        """Return Kafka beside the streams."""

    @property
    def should_stop(self) -> bool:
        """Return whether the worker stops."""

    @property
    def is_settled(self) -> bool:
        """Return whether it has its partitions, and its tables are recovered."""

    def assigned_streams(self) -> list[Partition]:
        """Return the partitions that it reads now."""

    async def first_unread(self) -> Mapping[Partition, int]:
        """Return from which offset each of them must go on."""

    async def stop_unsafe(self, reason: str, error: BaseException | None = None) -> None:
        """Stop without acknowledging anything more; does not return."""

    async def sleep(self, seconds: float) -> Any:  # noqa: ANN401 - Faust has no types
        """Wait, or less when the worker stops."""


class Upkeep:
    """The loops that run beside a worker's agents.

    Args:
        worker: whose they are.
        stall_after: seconds for which a message may be in hand without an excuse.
        clock: seconds, only forward.
    """

    def __init__(
        self, worker: Kept, *, stall_after: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._worker = worker
        self._limit = stall_after
        self._clock = clock
        self._forgotten = Forgotten()
        self._topic_ids: Mapping[str, str] = {}
        self._trimmed: dict[Partition, int] = {}

    def know_topics(self, ids: Mapping[str, str]) -> None:
        """Remember which topics are ours, by name: others of the same names are not."""
        self._topic_ids = dict(ids)

    async def lost_topics(self) -> list[str]:
        """Return the topics that are gone since our start, also if others have got their names since.

        Raises:
            Unavailable: the broker does not answer.
        """
        found = await self._worker.broker.topic_ids(self._topic_ids)
        return sorted(name for name, known in self._topic_ids.items() if found.get(name) != known)

    async def tidy_for_ever(self) -> None:
        """Let the broker remove what this group has committed, and look whether anything of ours is lost."""
        lost: Collection[str] = ()
        while not self._worker.should_stop:
            await self._worker.sleep(LOOK_AGAIN if lost else TRIM_EVERY)
            try:
                lost = await self._stop_if_lost(lost)
                if not lost:
                    await self._stop_if_forgotten()
                    await self._trim()
            except RetryLater as error:
                LAG.clear()  # better none than one that is old
                logger.debug("not trimmed: %s", error)

    async def watch_for_ever(self) -> None:
        """Stop when a message has been in hand for too long without an excuse."""
        pause = min(LONGEST_PAUSE, max(1.0, self._limit / 10))
        while not self._worker.should_stop:
            await self._worker.sleep(pause)
            for name, delivery in self._worker.deliveries.items():
                await self._stop_if_held(name, delivery)

    async def _trim(self) -> None:
        broker = self._worker.broker
        committed = await broker.committed(self._worker.role)
        owned = {each: first for each in self._worker.assigned_streams() if (first := committed.get(each))}
        fresh = {each: first for each, first in owned.items() if first != self._trimmed.get(each)}
        await broker.trim(fresh)
        self._trimmed = owned

    async def _stop_if_lost(self, suspected: Collection[str]) -> Sequence[str]:
        """Stop when topics are gone that were gone before; return those that are gone now.

        Twice, because a broker that has just started may answer before it knows its topics.
        """
        lost = await self.lost_topics()
        if certain := [name for name in lost if name in suspected]:
            await self._worker.stop_unsafe(
                f"Kafka has lost {', '.join(certain)}. The next start makes them anew; "
                "then let 'kadr recover' ask again for the videos that were in work"
            )
        return lost

    async def _stop_if_forgotten(self) -> None:
        """Stop when messages of ours lie on the broker although no agent has anything in hand."""
        worker = self._worker
        unread = await worker.first_unread() if worker.is_settled else {}
        ends = await worker.broker.log_ends(unread) if unread else {}
        _note_lag(unread, ends)
        busy = {each.route.contract.name for each in worker.deliveries.values() if not each.holding.is_idle}
        if lost := self._forgotten.look(self._clock(), unread=unread, ends=ends, busy=busy):
            names = ", ".join(f"{each.topic}/{each.number}" for each in lost)
            await worker.stop_unsafe(f"nobody brings the next message of {names}")

    async def _stop_if_held(self, name: str, delivery: Delivery) -> None:
        held = delivery.holding.held(self._clock())
        if held <= self._limit / 2:
            return
        try:
            await self._worker.broker.ping()
        except RetryLater:  # a handler that waits for Kafka waits inside the producer
            delivery.holding.restart_clock(self._clock())
            return
        if held > self._limit:  # and Kafka was there for half of that time at least
            delivery.suspects.seal(delivery.suspects.in_hand)
            await self._worker.stop_unsafe(
                f"agent {name} has held a message for more than {self._limit:.0f} s"
            )


def _note_lag(unread: Mapping[Partition, int], ends: Mapping[Partition, int]) -> None:
    """Tell how many messages of each topic are not committed, as far as this worker reads it."""
    lag: Counter[str] = Counter()
    for partition, offset in unread.items():
        lag[partition.topic] += max(0, ends[partition] - offset)
    LAG.clear()
    for topic, messages in lag.items():
        LAG.labels(topic).set(messages)
