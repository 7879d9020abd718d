"""What has to be cleared away: videos whose deletion is confirmed, and objects of ours that nobody knows."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.main_db.webhook_deliveries import WebhookDeliveries
from app.clients.s3.storage import Storage
from app.domain.objects import (
    DELETED_PREFIX,
    DERIVED_PREFIX,
    NAMES,
    OWNER_KEY,
    video_of,
)

logger = logging.getLogger(__name__)

ORPHAN_AFTER: Final = timedelta(hours=24)
"""An object that long without a document was left by a process that died, or came late. Between the end of
an upload and its document lie two minutes at most (`api.intake.sent`)."""

SWEPT: Final = (*NAMES, DERIVED_PREFIX)
"""Where objects may be left that nobody knows."""

AT_ONCE: Final = 500
"""Ids that Mongo is asked for at once."""


def _now() -> datetime:
    return datetime.now(UTC)


class Sweeps:
    """Clears away what is over. Several processes may do so at the same time.

    Only objects that have the name of one of ours and carry our mark are touched.

    Args:
        storage: where objects are.
        outbox: what videos are known.
        buckets: where to look.
        deliveries: what was told of videos.
        now: the clock.
    """

    def __init__(
        self,
        storage: Storage,
        outbox: VideoOutbox,
        *,
        buckets: Sequence[str],
        deliveries: WebhookDeliveries,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._storage = storage
        self._outbox = outbox
        self._deliveries = deliveries
        self._buckets = buckets
        self._now = now

    async def forget_deleted(self) -> None:
        """Forget the videos of which the pipeline says that everything is gone."""
        for bucket in self._buckets:
            async for item in self._storage.names(bucket, DELETED_PREFIX):
                video_id = video_of(item.name)
                if video_id is None or not await self._is_confirmation(bucket, item.name, video_id):
                    continue
                await self._deliveries.forget(video_id)
                if await self._outbox.forget(video_id):
                    logger.info("video state changed", extra={"video_id": video_id, "state": "deleted"})
                await self._storage.delete(bucket, item.name)

    async def remove_orphans(self) -> None:
        """Remove objects of videos that no document names, and what is left of writes that never ended."""
        before = self._now() - ORPHAN_AFTER
        for bucket in self._buckets:
            for prefix in SWEPT:
                async for names in self._old(bucket, prefix, before):
                    for video_id in names.keys() - await self._outbox.known(names.keys()):
                        for name in names[video_id]:
                            await self._remove_orphan(bucket, name, video_id)
                await self._storage.abort_unfinished(
                    bucket, prefix, before=before, is_ours=lambda name: video_of(name) is not None
                )

    async def _old(self, bucket: str, prefix: str, before: datetime) -> AsyncIterator[dict[str, list[str]]]:
        """Yield old objects that have our names, by the ids of their videos, some at a time."""
        some: dict[str, list[str]] = {}
        async for item in self._storage.names(bucket, prefix):
            video_id = video_of(item.name)
            if video_id is not None and item.modified < before:
                some.setdefault(video_id, []).append(item.name)
            if len(some) == AT_ONCE:
                yield some
                some = {}
        if some:
            yield some

    async def _remove_orphan(self, bucket: str, name: str, video_id: str) -> None:
        """The document is looked up last: between the question and the removal nothing else happens."""
        if await self._is_marked(bucket, name) and not await self._outbox.is_known(video_id):
            await self._storage.delete(bucket, name)
            fields = {"video_id": video_id, "bucket": bucket, "object": name}
            logger.info("orphaned object removed", extra=fields)

    async def _is_confirmation(self, bucket: str, name: str, video_id: str) -> bool:
        """Workers of version 0.1 write it without our mark; then Mongo knows of the deletion."""
        return await self._is_marked(bucket, name) or await self._outbox.is_deleted(video_id)

    async def _is_marked(self, bucket: str, name: str) -> bool:
        facts = await self._storage.stat(bucket, name)
        return facts is not None and OWNER_KEY in facts.metadata
