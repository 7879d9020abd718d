"""Tells when everything that lies in some streams now has been read, however much comes after it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.clients.kafka.broker import Partition


class Offsets(Protocol):
    """What the broker is asked."""

    async def log_ends(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Return the offset after the last message of each partition."""

    async def log_starts(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Return the first offset that each partition still holds."""

    async def committed(self, group: str) -> Mapping[Partition, int]:
        """Return the offsets that a consumer group has committed."""


@dataclass(frozen=True)
class Stage:
    """A consumer group, and the partitions that it reads here."""

    group: str
    partitions: tuple[Partition, ...]


class Drain:
    """Follows what is on its way through several stages.

    What lies before the first stage when this is first asked has passed it when the group has committed
    beyond it. What that caused lies before the second stage by then; and so on.

    Args:
        stages: in the order in which they pass work on.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._left = list(stages)
        self._ends: Mapping[Partition, int] | None = None

    async def is_over(self, offsets: Offsets) -> bool:
        """Return whether everything has passed every stage.

        Raises:
            Unavailable: the broker does not answer.
        """
        while self._left:
            stage = self._left[0]
            if self._ends is None:
                self._ends = await offsets.log_ends(stage.partitions)
            if not await _has_read(offsets, stage, self._ends):
                return False
            self._left.pop(0)
            self._ends = None
        return True


async def _has_read(offsets: Offsets, stage: Stage, ends: Mapping[Partition, int]) -> bool:
    committed = await offsets.committed(stage.group)
    unread = [each for each in stage.partitions if committed.get(each, 0) < ends[each]]
    # A group that has never committed has nothing to read where everything was removed.
    starts = await offsets.log_starts([each for each in unread if each not in committed])
    return all(starts.get(each, 0) >= ends[each] for each in unread)
