"""Finds messages that wait on the broker although nobody has anything to do.

A consumer can forget a message that it has fetched and dropped in a rebalance; only a fresh start brings it.
"""

from collections.abc import Collection, Mapping
from typing import Final

from app.clients.kafka.broker import Partition

AFTER: Final = 30.0
"""Seconds for which a message may lie there: a message on an idle worker is in hand within one."""


class Forgotten:
    """Remembers since when the first unread message of each partition has been waiting for an idle agent."""

    def __init__(self) -> None:
        self._waiting: dict[Partition, tuple[int, float]] = {}

    def look(
        self,
        now: float,
        *,
        unread: Mapping[Partition, int],
        ends: Mapping[Partition, int],
        busy: Collection[str],
    ) -> list[Partition]:
        """Return the partitions whose first unread message was forgotten.

        Args:
            now: seconds, by a clock that only goes forward.
            unread: the first offset of each partition that is not committed.
            ends: the offset after its last message.
            busy: topics whose agent has something in hand, or waits for the world.
        """
        before, self._waiting = self._waiting, {}
        for partition, first in unread.items():
            if first < ends.get(partition, first) and partition.topic not in busy:
                offset, since = before.get(partition, (first, now))
                self._waiting[partition] = (first, since if offset == first else now)
        return [partition for partition, (_, since) in self._waiting.items() if now - since >= AFTER]
