"""Looks at progress, not at liveness: a video whose frames stopped coming has lost some on the way.

Slow is not lost: nothing is asked before everything that was on its way when a video stood still has been
read, by stage after stage. So the clock stands still while a stage is away, and not while others use it.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from agents.split_ends import ended_of
from agents.splits import SplitClients
from app.domain.records import Record
from app.errors import RetryLater
from app.publishing import Publisher
from app.streaming.drain import Drain
from app.topics import VIDEO_SPLITS
from app.worker import Worker

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 5.0
"""Seconds between two looks at videos that do not move."""

PURGE_EVERY: Final = 3600.0
"""Seconds; a tombstone lives for days."""

AT_ONCE: Final = 20
"""Videos per look."""


@dataclass
class Watchdog:
    """Asks for the missing frames of videos that do not move.

    Attributes:
        begin_drain: begins to follow what is on its way now.
        standing: the videos that stood still when the drain began.
    """

    worker: Worker[SplitClients]
    publisher: Publisher
    begin_drain: Callable[[], Drain]
    standing: Sequence[Record] = ()
    _drain: Drain | None = field(default=None, repr=False)

    async def look(self) -> None:
        """Look once.

        Raises:
            RetryLater: a server is away; nothing was asked.
        """
        if self._drain is None:
            since = datetime.now(UTC) - self.worker.settings.stall_after
            self.standing = await self.worker.clients.records.stalled(since, AT_ONCE)
            if not self.standing:
                return
            self._drain = self.begin_drain()
        if await self._drain.is_over(self.worker.broker):
            self._drain = None
            for record in self.standing:
                await self._ask(record)

    async def _ask(self, record: Record) -> None:
        """Ask for what is missing of a video, if it still stands where it stood."""
        if await self.worker.clients.records.count_check(record):
            fields = {"video_id": record.video_id, "round": record.checks + 1}
            logger.warning("video does not move", extra=fields)
            checked = ended_of(record, "checked", checks=record.checks + 1)
            await self.publisher.publish(VIDEO_SPLITS, checked, key=record.video_id)


def attach(worker: Worker[Any], begin_drain: Callable[[], Drain]) -> None:
    """Let this worker ask for the missing frames of videos that do not move.

    Args:
        worker: who asks.
        begin_drain: begins to follow what is on its way now, from the pictures to the results.
    """
    publisher = Publisher({VIDEO_SPLITS.name: worker.stream_topic(VIDEO_SPLITS)})
    watchdog = Watchdog(worker, publisher, begin_drain)

    @worker.timer(interval=LOOK_EVERY)  # type: ignore[untyped-decorator]  # Faust has no types
    async def watch_videos() -> None:
        """Ask for the missing frames of videos that do not move."""
        with suppress(RetryLater):  # the clock stands still while a dependency is away
            await watchdog.look()

    @worker.timer(interval=PURGE_EVERY)  # type: ignore[untyped-decorator]  # Faust has no types
    async def purge_tombstones() -> None:
        """Remove what is left of videos that were deleted long ago."""
        with suppress(RetryLater):
            oldest = datetime.now(UTC) - timedelta(days=worker.settings.tombstone_days)
            await worker.clients.records.purge_tombstones(oldest)
