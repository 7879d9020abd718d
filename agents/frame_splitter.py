"""The stage that accepts what is asked for a video; the work itself is done from the record.

Kafka is a poor place to hold an hour of work: a video is written into runner_db and acknowledged at once.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.split_ends import end_of, ended_of
from agents.splits import SplitClients, Splits
from app.delivery import Delivered, Route
from app.domain.failures import failure, refusal
from app.domain.messages import FramesMissing, VideoAsked, decode
from app.domain.records import Record
from app.errors import Malformed, Rejected
from app.failpoints import failpoint
from app.publishing import Publisher
from app.topics import OUTBOX_EVENTS, VIDEO_GAPS, VIDEO_SPLITS
from app.worker import Worker

logger = logging.getLogger(__name__)


@dataclass
class Intake:
    """Takes what is asked for a video into runner_db, and says so downstream where that ends it."""

    worker: Worker[SplitClients]
    publisher: Publisher
    splits: Splits

    async def take(self, batch: Sequence[Delivered[VideoAsked]]) -> None:
        """Do what is asked; everything may be asked again."""
        for each in batch:
            asked = each.message
            if asked.kind in ("submitted", "retry"):
                await self._accept(asked)
            elif asked.kind == "cancel":
                await self._cancel(asked)
            else:
                await self._delete(asked)

    async def _accept(self, asked: VideoAsked) -> None:
        if asked.media_type != "video" or not asked.bucket or not asked.object:
            raise Malformed("VideoAsked", "it names no video")
        if await self.worker.clients.records.accept(asked):
            failpoint("splitter.accepted", asked.video_id)
            logger.info("video accepted", extra={"video_id": asked.video_id, "attempt": asked.attempt})
            self.splits.look_at(asked.video_id)
            return
        record = await self.worker.clients.records.get(asked.video_id)
        if record is not None and record.attempt == asked.attempt:
            await self._repeat(record)

    async def _repeat(self, record: Record) -> None:
        """Say again what is known of a video that was asked for again: what followed may be lost."""
        logger.info("video was asked for again", extra={"video_id": record.video_id, "state": record.status})
        if record.status in ("failed", "cancelled"):
            ended = ended_of(record, "failed" if record.status == "failed" else "cancelled")
            await self.publisher.publish(VIDEO_SPLITS, ended, key=record.video_id)
        elif record.split_ended and record.status in ("processing", "predictable"):
            await self.publisher.publish(VIDEO_SPLITS, ended_of(record, "checked"), key=record.video_id)
        elif record.status == "processing":
            self.splits.look_at(record.video_id)

    async def _cancel(self, asked: VideoAsked) -> None:
        """Stop a video; one that was tried again since, or deleted, goes on as it is."""
        cancelled, records = failure("cancelled"), self.worker.clients.records
        await records.withdraw(asked, "cancelled", cancelled)
        record = await records.get(asked.video_id)
        if record is None or (record.attempt, record.status) != (asked.attempt, "cancelled"):
            return
        failpoint("splitter.cancelled", asked.video_id)
        await self.splits.stop(asked.video_id)
        ended = end_of(asked, "cancelled", error=cancelled)
        await self.publisher.publish(VIDEO_SPLITS, ended, key=asked.video_id)
        logger.info("video cancelled", extra={"video_id": asked.video_id, "attempt": asked.attempt})

    async def _delete(self, asked: VideoAsked) -> None:
        await self.worker.clients.records.withdraw(asked, "deleted", None)
        await self.splits.stop(asked.video_id)
        await self.publisher.publish(VIDEO_SPLITS, end_of(asked, "deleted"), key=asked.video_id)

    async def refuse(self, event: Any, reason: Rejected) -> None:  # noqa: ANN401 - Faust has no types
        """Let the video of a message that cannot be worked on end all the same, if it is one of ours."""
        video_id, refused = (event.message.key or b"").decode(errors="replace"), refusal(reason)
        asked = _readable(event)
        if asked is not None and asked.kind in ("cancel", "delete"):
            await self.take([Delivered(asked, event.message.key, event)])  # an end as good as any
            return
        record = await self.worker.clients.records.get(video_id)
        if asked is not None and asked.bucket and (record is None or record.attempt < asked.attempt):
            # Without a record it would be asked for again and again, and never end.
            await self.worker.clients.records.withdraw(asked, "failed", refused)
            record = await self.worker.clients.records.get(video_id)
        if record is not None and record.status in ("processing", "failed"):
            ended = ended_of(record, "failed", error=record.error or refused)
            await self.publisher.publish(VIDEO_SPLITS, ended, key=video_id)

    async def fill(self, batch: Sequence[Delivered[FramesMissing]]) -> None:
        """Let the frames that never arrived be decoded again: their pictures are gone."""
        for each in batch:
            gap = each.message
            if await self.worker.clients.records.reopen_split(gap.video_id, gap.attempt, gap.frames):
                fields = {"video_id": gap.video_id, "frames": len(gap.frames), "round": gap.round}
                logger.warning("frames are decoded again", extra=fields)
                self.splits.look_at(gap.video_id)


def attach(worker: Worker[Any], splits: Splits) -> None:
    """Let this worker accept videos."""
    publisher = Publisher({VIDEO_SPLITS.name: worker.stream_topic(VIDEO_SPLITS)})
    intake = Intake(worker, publisher, splits)
    worker.deliver("frame_splitter", Route(OUTBOX_EVENTS, intake.take, intake.refuse))
    worker.deliver("gap_filler", Route(VIDEO_GAPS, intake.fill))


def _readable(event: Any) -> VideoAsked | None:  # noqa: ANN401 - Faust has no types
    try:
        return decode(event.message.value, VideoAsked)
    except Rejected:
        return None
