"""What came of each video, as S3 shows it: `detection/` is ready, `failed/` is failed, and ready wins."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from app.clients.storage import ObjectFacts, Storage
from app.clients.video_outbox import Cursor, Outcome, Video, VideoOutbox
from app.domain.documents import detection_object, failed_object
from app.domain.messages import Failure
from app.errors import Missing

logger = logging.getLogger(__name__)

PER_ROUND: Final = 50
"""Videos per round. A round is a second, and each video costs two questions of about 2 ms of CPU."""

AT_ONCE: Final = 4
"""Questions at a time: half of the lane that requests wait in, too."""


class _FailedDocument(msgspec.Struct):
    error: Failure


@dataclass(frozen=True)
class Seen:
    """What S3 shows of a video: how it ended, when, and why it failed where it did."""

    outcome: Outcome
    at: datetime
    error: Failure | None = None


class Outcomes:
    """Looks videos up in S3 and remembers what it saw in `main_db`.

    Args:
        storage: where results are.
        outbox: where it is remembered.
    """

    def __init__(self, storage: Storage, outbox: VideoOutbox) -> None:
        self._storage = storage
        self._outbox = outbox
        self._position: Cursor | None = None
        self._lane = asyncio.Semaphore(AT_ONCE)

    async def look_at_some(self) -> None:
        """Look up the next videos without an outcome; each call goes on where the last one stopped."""
        videos = await self._outbox.without_outcome(limit=PER_ROUND, after=self._position)
        await asyncio.gather(*(self._look(video) for video in videos))
        last = videos[-1] if len(videos) == PER_ROUND else None
        self._position = (last.created_at, last.id) if last else None

    async def _look(self, video: Video) -> None:
        async with self._lane:
            ready = await self._storage.stat(video.bucket, detection_object(video.id))
            failed = None if ready else await self._storage.stat(video.bucket, failed_object(video.id))
            if ready:
                await self.note_ready(video, ready)
            elif failed:
                try:
                    body = await self._storage.get(video.bucket, failed.name)
                except Missing:
                    return  # deleted meanwhile
                await self.note_failed(video, failed, body)

    async def note_ready(self, video: Video, facts: ObjectFacts) -> None:
        """Remember that the result is there."""
        await self._note(video, Seen("ready", facts.modified))

    async def note_failed(self, video: Video, facts: ObjectFacts, body: bytes) -> None:
        """Remember that the video failed, and why."""
        try:
            error = msgspec.json.decode(body, type=_FailedDocument).error
        except msgspec.DecodeError:
            error = None
        await self._note(video, Seen("failed", facts.modified, error))

    async def _note(self, video: Video, seen: Seen) -> None:
        if video.outcome in ("ready", seen.outcome):
            return
        if await self._outbox.set_outcome(video.id, seen.outcome, at=seen.at, error=seen.error):
            seconds = (seen.at - (video.sent_at or video.created_at)).total_seconds()
            logger.info(
                "video state changed",
                extra={
                    "video_id": video.id,
                    "before": video.client_status,
                    "state": seen.outcome,
                    "seconds": round(max(seconds, 0.0), 3),
                    "code": seen.error.code if seen.error else None,
                },
            )
