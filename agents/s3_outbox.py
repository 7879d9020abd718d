"""The stage that writes the result, or the reason why there is none, into S3 and clears the table."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec

from app.clients.runner_records import RunnerRecords
from app.clients.s3.storage import Storage
from app.delivery import Delivered, Route
from app.domain.documents import failed_document, ready_document
from app.domain.failures import failure, refusal
from app.domain.messages import Failure, ModelFacts, SplitEnded, VideoEnded, decode
from app.domain.objects import (
    OURS,
    attempt_of,
    deleted_object,
    derived_folder,
    detection_object,
    failed_object,
    marks,
)
from app.domain.options import listed
from app.domain.progress import Status
from app.domain.sampling import frame_number
from app.errors import Conflict, NoBucket, Rejected, RetryLater, Unavailable
from app.failpoints import failpoint
from app.publishing import Publisher
from app.streaming.durable_table import on_behalf_of
from app.telemetry.metrics import RESULT_BYTES, RESULT_FRAMES, RESULTS_STORED
from app.telemetry.stages import note_stage, timed
from app.topics import VIDEO_RESULTS, VIDEO_SPLITS
from app.worker import Worker
from tables.frames import Frames
from tables.videos import Head, Videos

logger = logging.getLogger(__name__)

ROWS_AT_ONCE: Final = 256
"""Rows read, or deleted, before others get a turn: a few milliseconds."""

JSON_TYPE: Final = "application/json"

LEAVES_NOTHING: Final = {"deleted": (detection_object, failed_object), "cancelled": (detection_object,)}
"""What there is not of a video, by the state that its tombstone has."""

NO_MODEL: Final = ModelFacts("none", "", "none")
"""Of a video without a single sampled frame; none such becomes ready."""


class S3OutboxClients(Protocol):
    """What this stage needs."""

    @property
    def records(self) -> RunnerRecords:
        """Return what the runner knows of each video."""

    @property
    def storage(self) -> Storage:
        """Return where results go."""


class _RowsMissing(Conflict):
    """Frames are noted as arrived whose rows are not there."""


@dataclass
class S3Outbox:
    """Writes results and clears the table."""

    worker: Worker[S3OutboxClients]
    frames: Frames
    videos: Videos
    publisher: Publisher

    async def act(self, batch: Sequence[Delivered[VideoEnded]]) -> None:
        """Do for each video what its end asks for; everything may be repeated, and goes on where it was."""
        for each in batch:
            try:
                await self._act(each)
            except _RowsMissing as missing:
                logger.warning("given up: %s", missing, extra={"video_id": each.message.video_id})
                await self._ask_for_rows(each)
            except Conflict as conflict:
                # The head has changed meanwhile; a message of its own says what is to be done now.
                logger.info("given up: %s", conflict, extra={"video_id": each.message.video_id})

    async def _act(self, delivered: Delivered[VideoEnded]) -> None:
        ended = delivered.message
        head = self.videos.head(ended.video_id)
        if head is None or (ended.kind != "deleted" and head.attempt != ended.attempt):
            return
        if ended.kind == "expired":
            await self._forget(delivered, head)
        elif head.is_tombstone:
            if (ended.kind, head.state) == ("complete", "cancelled"):
                await self._remove_late_result(ended)
        elif head.state == "deleted":
            await self._delete(delivered, head)
        elif head.state in ("failed", "cancelled"):
            await self._write_failure(delivered, head)
        elif ended.kind == "complete":
            await self._write_result(delivered, head)

    async def give_up(self, event: Any, reason: Rejected) -> None:  # noqa: ANN401 - Faust has no types
        """End the video of a message that cannot be worked on: what is stored stays, else it fails.

        What cannot be read names no video: then the video is asked for again.
        """
        with suppress(Rejected, Conflict):
            ended = decode(event.message.value, VideoEnded)
            delivered = Delivered(ended, event.message.key or b"", event)
            while head := self._due(delivered):
                with suppress(Conflict):  # told again meanwhile, perhaps, how its split has ended
                    await self._fail_unless_stored(delivered, head, refusal(reason))
            await self._act(delivered)

    def _due(self, delivered: Delivered[VideoEnded]) -> Head | None:
        """Return the head of a video whose result has not been written although nothing is missing."""
        ended = delivered.message
        with on_behalf_of(delivered.event):
            head = self.videos.head(ended.video_id)
            if head is None or (head.attempt, head.state) != (ended.attempt, "open"):
                return None
            return head if self.videos.is_complete(ended.video_id, head) else None

    async def _fail_unless_stored(self, delivered: Delivered[VideoEnded], head: Head, error: Failure) -> None:
        """Change the head of a complete video to how it has ended, as S3 shows it."""
        name = detection_object(delivered.message.video_id)
        if await self.worker.clients.storage.stat(head.bucket, name):
            await self._advance(delivered.message.video_id, head, name)
            ended = msgspec.structs.replace(head, state="stored")
        else:
            ended = msgspec.structs.replace(head, state="failed", error=error, changed_at=time.time())
        await self._change(delivered, head, ended)

    async def _ask_for_rows(self, delivered: Delivered[VideoEnded]) -> None:
        """Let the aggregator look which frames are missing, as the watchdog does: nobody else would ask."""
        head = self.videos.head(delivered.message.video_id)
        if head is None or head.state != "open":
            return
        checked = SplitEnded(
            delivered.message.video_id,
            "checked",
            head.attempt,
            bucket=head.bucket,
            object=head.object,
            input_owned=head.input_owned,
            options=head.chosen,
            video=head.video,
            round=1,
        )
        await self.publisher.publish(VIDEO_SPLITS, checked, key=checked.video_id)

    @contextmanager
    def _writing_to(self, bucket: str) -> Iterator[None]:
        """Wait for a bucket that the API makes anew; of any other say so."""
        try:
            yield
        except NoBucket as missing:
            if bucket in self.worker.settings.buckets:
                raise Unavailable("S3", f"there is no bucket {bucket}") from missing
            raise Rejected("bucket_missing", f"there is no bucket {bucket}") from missing

    async def _write_result(self, delivered: Delivered[VideoEnded], head: Head) -> None:
        video_id = delivered.message.video_id
        if head.state == "open":
            if not self.videos.is_complete(video_id, head):
                return
            await self._put_result(delivered, head)
            failpoint("result.stored", video_id)
            if head.attempt > 1:  # the reason why the attempt before has none
                await self.worker.clients.storage.delete(head.bucket, failed_object(video_id))
            await self._advance(video_id, head, detection_object(video_id))
            failpoint("result.ready", video_id)
            head = await self._change(delivered, head, msgspec.structs.replace(head, state="stored"))
        await self._clear(delivered, head)

    async def _put_result(self, delivered: Delivered[VideoEnded], head: Head) -> None:
        video_id, started = delivered.message.video_id, time.monotonic()
        if head.video is None:
            raise Conflict(f"{video_id} is complete, but nothing is known of the video")
        document = ready_document(
            video_id,
            video=head.video,
            model=head.model or NO_MODEL,
            options=listed(head.options, self.worker.settings.imgsz) if head.options else None,
            rows=self._rows(delivered, head),
            other_models=head.other_models,
        )
        name = detection_object(video_id)
        with self._writing_to(head.bucket), timed("write", video_id, attempt=head.attempt):
            size = await self.worker.clients.storage.put_stream(
                head.bucket, name, document, content_type=JSON_TYPE, metadata=marks(head.attempt)
            )
        RESULTS_STORED.inc()
        RESULT_FRAMES.inc(head.total or 0)
        RESULT_BYTES.inc(size)
        seconds = round(time.monotonic() - started, 3)
        logger.info("result stored", extra={"video_id": video_id, "bytes": size, "seconds": seconds})

    async def _rows(self, delivered: Delivered[VideoEnded], head: Head) -> AsyncIterator[list[bytes]]:
        """Yield the rows in order; stop the whole document when it can no longer be right."""
        video_id = delivered.message.video_id
        indexes = range(head.first, head.first + (head.total or 0))
        for start in range(0, len(indexes), ROWS_AT_ONCE):
            self._check_still_ours(delivered, head)
            numbers = [
                frame_number(index, head.vid_stride) for index in indexes[start : start + ROWS_AT_ONCE]
            ]
            rows = [self.frames.get(video_id, head.attempt, number) for number in numbers]
            if any(row is None for row in rows):
                raise _RowsMissing(f"rows of {video_id} are missing although their frames had arrived")
            yield [row for row in rows if row is not None]
            await asyncio.sleep(0)

    def _check_still_ours(self, delivered: Delivered[VideoEnded], head: Head) -> None:
        message = delivered.event.message
        if not self.worker.owns(message.topic, message.partition):
            raise Conflict(f"partition {message.partition} was given to another worker")
        now = self.videos.head(delivered.message.video_id)
        if now is None or (now.attempt, now.state) != (head.attempt, head.state):
            raise Conflict(f"{delivered.message.video_id} has changed")

    async def _advance(self, video_id: str, head: Head, name: str) -> None:
        now = datetime.now(UTC)
        moved = await self.worker.clients.records.advance(
            video_id,
            head.attempt,
            "ready",
            output_s3={"bucket": head.bucket, "object": name},
            ready_at=now,
            received_frames=head.total,
        )
        if moved:
            seconds = await self._seconds_since_accepted(video_id, "ready")
            logger.info("video is ready", extra={"video_id": video_id, "seconds": seconds})
        else:
            await self._take_back_if_void(video_id, head, name)

    async def _take_back_if_void(self, video_id: str, head: Head, name: str) -> None:
        """Remove what was written of a video that was deleted or cancelled meanwhile, or is tried again.

        Mostly the message is on its way that says so; or this process had been frozen, and it has come.
        """
        record = await self.worker.clients.records.get(video_id)
        if record is None:
            return
        is_cancelled = record.status == "cancelled" and head.state != "cancelled"
        is_void = record.status == "deleted" or is_cancelled or record.attempt > head.attempt
        if is_void:
            await self._remove(head.bucket, name, through=head.attempt)
            raise Conflict(f"{video_id} is {record.status}, attempt {record.attempt}")

    async def _remove(self, bucket: str, name: str, *, through: int) -> None:
        """Remove an object, unless a later attempt than this has written it."""
        storage = self.worker.clients.storage
        facts = await storage.stat(bucket, name)
        if facts is not None and (attempt_of(facts.metadata) or 0) <= through:
            await storage.delete(bucket, name)

    async def _remove_late_result(self, ended: VideoEnded) -> None:
        """Remove the result of a cancelled video: who wrote it has died before it could take it back."""
        record = await self.worker.clients.records.get(ended.video_id)
        if record is not None and (record.attempt, record.status) == (ended.attempt, "cancelled"):
            await self._remove(record.bucket, detection_object(ended.video_id), through=ended.attempt)

    async def _seconds_since_accepted(self, video_id: str, outcome: Status) -> float | None:
        record = await self.worker.clients.records.get(video_id)
        if record is None:
            return None
        began, ended = record.created_at.timestamp(), time.time()
        note_stage("video", video_id, began, ended, outcome=outcome, attempt=record.attempt)
        return round(ended - began, 3)

    async def _write_failure(self, delivered: Delivered[VideoEnded], head: Head) -> None:
        video_id = delivered.message.video_id
        error = head.error or failure("cancelled")
        if head.state == "cancelled" or head.attempt > 1:  # there may be a result that no longer counts
            await self._remove(head.bucket, detection_object(video_id), through=head.attempt)
            failpoint("failure.result_gone", video_id)
        name, document = failed_object(video_id), failed_document(video_id, error)
        refused = await self._put(head.bucket, name, document, JSON_TYPE, attempt=head.attempt)
        failpoint("failure.stored", video_id)
        status: Status = "cancelled" if head.state == "cancelled" else "failed"
        if not await self.worker.clients.records.advance(video_id, head.attempt, status, error=error):
            await self._take_back_if_void(video_id, head, name)
        seconds = await self._seconds_since_accepted(video_id, status)
        fields = {"video_id": video_id, "code": error.code, "seconds": seconds}
        logger.info("video has failed", extra=fields)
        await self._clear(delivered, head)
        if refused is not None:
            raise refused

    async def _put(
        self, bucket: str, name: str, data: bytes, content_type: str, *, attempt: int | None = None
    ) -> Rejected | None:
        """Write a small object; return why not when that can never be: its video ends all the same."""
        try:
            with self._writing_to(bucket):
                metadata = OURS if attempt is None else marks(attempt)
                await self.worker.clients.storage.put(
                    bucket, name, data, content_type=content_type, metadata=metadata
                )
        except Rejected as refused:
            return refused
        return None

    async def _delete(self, delivered: Delivered[VideoEnded], head: Head) -> None:
        """Remove every object of a deleted video that is ours, and tell the API when nothing is left."""
        video_id = delivered.message.video_id
        names = [detection_object(video_id), failed_object(video_id)]
        if head.input_owned:
            names.append(head.object)
        await self._delete_objects(head.bucket, video_id, names)
        failpoint("deletion.objects_gone", video_id)
        refused = await self._put(head.bucket, deleted_object(video_id), b"", "text/plain")
        logger.info("video is deleted", extra={"video_id": video_id})
        await self._clear(delivered, head)
        if refused is not None:
            raise refused

    async def _delete_objects(self, bucket: str, video_id: str, names: list[str]) -> None:
        """Remove these objects of a video, and what was made from it since."""
        storage = self.worker.clients.storage
        derived = [item.name async for item in storage.names(bucket, derived_folder(video_id))]
        await storage.delete_many(bucket, names + derived)

    async def _clear(self, delivered: Delivered[VideoEnded], head: Head) -> None:
        """Delete the rows and bits of a finished video; its tombstone goes last."""
        video_id = delivered.message.video_id
        present = list(self.videos.present(video_id, head))
        for start in range(0, len(present), ROWS_AT_ONCE):
            with on_behalf_of(delivered.event):
                for index in present[start : start + ROWS_AT_ONCE]:
                    number = frame_number(index, head.vid_stride)
                    self.frames.delete(video_id, head.attempt, number)
            await self.frames.durable()
        failpoint("result.rows_deleted", video_id)
        if self.videos.head(video_id) != head:  # deleted, or tried again: its bits are no longer ours
            raise Conflict(f"{video_id} has changed")
        with on_behalf_of(delivered.event):
            for chunk in range(head.chunks):
                self.videos.delete_chunk(video_id, chunk)
            self.videos.put_head(video_id, head.tombstone(time.time()))
        await self.videos.durable()

    async def _change(self, delivered: Delivered[VideoEnded], old: Head, new: Head) -> Head:
        """Write a new head unless the old one has changed meanwhile; there is no await in between."""
        video_id = delivered.message.video_id
        if self.videos.head(video_id) != old:
            raise Conflict(f"{video_id} has changed")
        with on_behalf_of(delivered.event):
            self.videos.put_head(video_id, new)
        await self.videos.durable()
        return new

    async def _forget(self, delivered: Delivered[VideoEnded], head: Head) -> None:
        """Remove a tombstone that is old enough: no message of its video can be on its way any more."""
        age = time.time() - head.changed_at
        if not head.is_tombstone or age <= self.worker.settings.tombstone_days * 86400:
            return
        video_id = delivered.message.video_id
        if head.state in LEAVES_NOTHING:  # a process that was frozen may have written since
            names = [name(video_id) for name in LEAVES_NOTHING[head.state]]
            for bucket in self.worker.settings.buckets:
                await self._delete_objects(bucket, video_id, names)
        with on_behalf_of(delivered.event):
            self.videos.forget(video_id)
        await self.videos.durable()


def attach(worker: Worker[Any], frames: Frames, videos: Videos) -> None:
    """Let this worker write results."""
    publisher = Publisher({topic.name: worker.stream_topic(topic) for topic in (VIDEO_RESULTS, VIDEO_SPLITS)})
    outbox = S3Outbox(worker, frames, videos, publisher)
    worker.deliver("s3_outbox", Route(VIDEO_RESULTS, outbox.act, outbox.give_up))

    @worker.timer(interval=3600.0)  # type: ignore[untyped-decorator]  # Faust has no types
    async def expire_tombstones() -> None:
        """Ask for the removal of old tombstones; tables are written only while events are handled."""
        oldest = time.time() - worker.settings.tombstone_days * 86400
        expired: list[tuple[str, int]] = []
        with suppress(RetryLater):  # the next hour is soon enough
            expired = await asyncio.to_thread(videos.tombstones_before, oldest)
        messages = [(video_id, VideoEnded(video_id, "expired", attempt)) for video_id, attempt in expired]
        await publisher.publish_all(VIDEO_RESULTS, messages)
