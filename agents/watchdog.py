"""Looks at progress, not at liveness: a video whose frames stopped coming has lost some on the way."""

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from agents.splits import SplitClients, ended_of
from app.backpressure import Gate
from app.errors import RetryLater
from app.publishing import Publisher
from app.topics import VIDEO_SPLITS
from app.worker import Worker

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 5.0
"""Seconds between two looks at videos that do not move."""

PURGE_EVERY: Final = 3600.0
"""Seconds; a tombstone lives for days."""

AT_ONCE: Final = 20
"""Videos per look."""


def attach(worker: Worker[Any], gate: Gate) -> None:
    """Let this worker ask for the missing frames of videos that do not move."""
    publisher = Publisher({VIDEO_SPLITS.name: worker.stream_topic(VIDEO_SPLITS)})

    @worker.timer(interval=LOOK_EVERY)  # type: ignore[untyped-decorator]  # Faust has no types
    async def watch_videos() -> None:
        """Ask for the missing frames of videos that do not move."""
        with suppress(RetryLater):  # the clock stands still while a dependency is away
            await _look(worker, gate, publisher)

    @worker.timer(interval=PURGE_EVERY)  # type: ignore[untyped-decorator]  # Faust has no types
    async def purge_tombstones() -> None:
        """Remove what is left of videos that were deleted long ago."""
        with suppress(RetryLater):
            oldest = datetime.now(UTC) - timedelta(days=worker.settings.tombstone_days)
            await worker.clients.records.purge_tombstones(oldest)


async def _look(worker: Worker[SplitClients], gate: Gate, publisher: Publisher) -> None:
    records = worker.clients.records
    stalled = await records.stalled(datetime.now(UTC) - worker.settings.stall_after, AT_ONCE)
    if not stalled or await gate.waiting() > 0:
        return  # pictures still wait for inference: nothing is lost, it is only slow
    for record in stalled:
        if await records.count_check(record):
            fields = {"video_id": record.video_id, "round": record.checks + 1}
            logger.warning("video does not move", extra=fields)
            checked = ended_of(record, "checked", checks=record.checks + 1)
            await publisher.publish(VIDEO_SPLITS, checked, key=record.video_id)
