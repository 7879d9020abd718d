"""What has to be cleared away: videos whose deletion is confirmed, and uploads nobody knows of."""

import logging
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from app.clients.storage import ObjectFacts, Storage
from app.clients.video_outbox import VideoOutbox
from app.domain.documents import DELETED_PREFIX, INPUT_PREFIX, OWNER_KEY

logger = logging.getLogger(__name__)

ORPHAN_AFTER: Final = timedelta(hours=24)
"""An upload whose document is missing that long was cut off; no upload takes a day."""

UPLOADED: Final = re.compile(
    re.escape(INPUT_PREFIX) + r"([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.mp4"
)
"""Names that only Kadr's own uploads have: `input/{uuid4}.mp4`."""


def _now() -> datetime:
    return datetime.now(UTC)


class Sweeps:
    """Clears away what is over.

    Args:
        storage: where objects are.
        outbox: what videos are known.
        buckets: where to look.
        now: the clock.
    """

    def __init__(
        self,
        storage: Storage,
        outbox: VideoOutbox,
        *,
        buckets: Sequence[str],
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._storage = storage
        self._outbox = outbox
        self._buckets = buckets
        self._now = now

    async def forget_deleted(self) -> None:
        """Forget the videos of which the pipeline says that everything is gone."""
        for bucket in self._buckets:
            async for item in self._storage.names(bucket, DELETED_PREFIX):
                video_id = item.name.removeprefix(DELETED_PREFIX)
                await self._outbox.forget(video_id)
                await self._storage.delete(bucket, item.name)
                logger.info("video state changed", extra={"video_id": video_id, "state": "deleted"})

    async def remove_orphans(self) -> None:
        """Remove uploads that no document names, and what is left of uploads that were never completed."""
        for bucket in self._buckets:
            async for item in self._storage.names(bucket, INPUT_PREFIX):
                if await self._is_orphan(bucket, item):
                    await self._storage.delete(bucket, item.name)
                    logger.info("orphaned upload removed", extra={"bucket": bucket, "object": item.name})
            await self._storage.abort_unfinished(bucket, INPUT_PREFIX, older_than=ORPHAN_AFTER)

    async def _is_orphan(self, bucket: str, item: ObjectFacts) -> bool:
        """The document is looked up last: between the question and the removal nothing else happens."""
        name = UPLOADED.fullmatch(item.name)
        if name is None or item.modified > self._now() - ORPHAN_AFTER:
            return False
        if await self._outbox.is_known(name[1]):
            return False
        facts = await self._storage.stat(bucket, item.name)
        return facts is not None and OWNER_KEY in facts.metadata and not await self._outbox.is_known(name[1])
