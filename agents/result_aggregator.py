"""The stage that gathers the frames of each video and notices when none is missing."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Protocol

import msgspec
from msgspec import UNSET

from app.clients.runner_records import RunnerRecords
from app.delivery import Delivered, Route
from app.domain.failures import OF_THE_VIDEO, failure, refusal
from app.domain.messages import (
    Failure,
    FrameResult,
    FramesDetected,
    FramesMissing,
    SplitEnded,
    VideoEnded,
    decode,
    encode,
)
from app.domain.sampling import frame_number, sample_index
from app.errors import Malformed, Rejected, RetryLater
from app.failpoints import failpoint
from app.publishing import Publisher
from app.streaming.durable_table import on_behalf_of
from app.telemetry.metrics import FRAMES_GATHERED, FRAMES_LOST, FRAMES_MISSING
from app.telemetry.stages import count_stage
from app.telemetry.windows import Windows
from app.topics import INFERENCE_RESULTS, VIDEO_GAPS, VIDEO_RESULTS, VIDEO_SPLITS
from app.worker import Worker
from tables.frames import Frames
from tables.videos import CLOSED, Head, State, Videos

logger = logging.getLogger(__name__)

UP_TO: Final = 64
"""Messages gathered before one wait for the broker; the bits of a video are then written once."""

ROUNDS: Final = 3
"""How often missing frames are asked for again before the video fails."""

ROWS_AT_ONCE: Final = 256
"""Rows looked at before others get a turn: a few milliseconds."""

MISSING_AT_ONCE: Final = 10_000
"""Frame numbers in one message: it stays far below the broker's limit."""

NAMED_AT_MOST: Final = 20
"""Frame numbers in the sentence that says which were lost."""

REPORT_EVERY: Final = 1.0
"""Seconds between two notes of a video's progress in runner_db, and between two counts of its frames: through
hours of video a count reads more than all else together."""


class AggregatorClients(Protocol):
    """What this stage needs."""

    @property
    def records(self) -> RunnerRecords:
        """Return what the runner knows of each video."""


@dataclass
class Aggregator:
    """Gathers frames and ends of splits.

    Attributes:
        received: frames that the table holds, for videos that have moved since the last report.
    """

    worker: Worker[AggregatorClients]
    frames: Frames
    videos: Videos
    publisher: Publisher
    received: dict[tuple[str, int], int] = field(default_factory=dict)
    _counted: dict[tuple[str, int], float] = field(default_factory=dict)
    _windows: Windows = field(default_factory=lambda: Windows("gather"))

    async def gather(self, batch: Sequence[Delivered[FramesDetected]]) -> None:
        """Keep a row and a bit for each frame, then announce the videos that are complete, or cannot be."""
        began = time.time()
        kept: dict[str, tuple[Head, Any]] = {}
        hopeless: dict[str, Failure] = {}
        for each in batch:
            with on_behalf_of(each.event):
                head = self._keep(each.message)
            if head is not None:
                kept[each.message.video_id] = head, each.event
                if error := _said_of_the_video(each.message):
                    hopeless[each.message.video_id] = error
        await self._durable()
        failpoint("gather.durable", " ".join(kept))
        self._note_batch(batch, began)
        for video_id, (head, event) in kept.items():
            if video_id in hopeless:
                await self._give_up_video(video_id, event, hopeless[video_id])
                continue
            with on_behalf_of(event):
                self._count(video_id, head)
                is_complete = self.videos.is_complete(video_id, head)
            if is_complete:
                await self._announce_complete(video_id, head)

    def _note_batch(self, batch: Sequence[Delivered[FramesDetected]], began: float) -> None:
        """Count what has arrived, once for the batch."""
        ended = time.time()
        count_stage("gather", ended - began)
        FRAMES_GATHERED.inc(sum(len(each.message.frames) for each in batch))
        for each in batch:
            self._windows.add(each.message.video_id, began, ended, frames=len(each.message.frames))

    async def _give_up_video(self, video_id: str, event: Any, error: Failure) -> None:  # noqa: ANN401 - as below
        """Let a video fail at once for what is wrong with each of its frames; splitting stops by itself.

        Where the reason is to be written is mostly not known here yet: its split has not ended.
        """
        record = await self.worker.clients.records.get(video_id)
        with on_behalf_of(event):
            head = self.videos.head(video_id)
            if head is None or head.state != "open" or record is None or record.attempt != head.attempt:
                return
            failed = msgspec.structs.replace(
                head,
                state="failed",
                error=error,
                bucket=record.bucket,
                object=record.object,
                input_owned=record.input_owned,
                options=record.options,
                changed_at=time.time(),
            )
            self.videos.put_head(video_id, failed)
        await self._durable()
        await self._announce(video_id, failed)

    def _count(self, video_id: str, head: Head) -> None:
        """Count a video's frames for the next report, if the last time is long enough ago."""
        now = time.monotonic()
        if head.total is None and now < self._counted.get((video_id, head.attempt), 0) + REPORT_EVERY:
            return
        self._counted[video_id, head.attempt] = now
        self.received[video_id, head.attempt] = self.videos.count(video_id, head)

    def _keep(self, found: FramesDetected) -> Head | None:
        """Write the rows and bits of one message; return the head if the video still takes frames."""
        head = self.videos.head(found.video_id)
        if head is not None and self._is_past(head, found.attempt):
            return None
        if head is not None and head.attempt == found.attempt and head.state in CLOSED:
            return None
        fresh = head is None or head.attempt < found.attempt
        now = Head(found.attempt, vid_stride=found.vid_stride) if head is None or fresh else head
        indexes = [_index(each.frame, now.vid_stride) for each in found.frames]
        if head is not None and fresh:
            self._drop_rows(found.video_id, head)
        arrived = self.videos.arrived(found.video_id, found.attempt, indexes)
        for index, each in zip(indexes, found.frames, strict=True):
            if index not in arrived or self._is_no_worse(found, each):
                self.frames.put(found.video_id, found.attempt, each.frame, encode(each))
        failpoint("gather.rows", found.video_id)
        chunks = max(now.chunks, self.videos.add_bits(found.video_id, found.attempt, indexes))
        changed = msgspec.structs.replace(now.looked_at_by(found.model), chunks=chunks)
        if changed != head or arrived:  # a head that is there may also be in the store only
            self.videos.put_head(found.video_id, changed)
        return changed

    def _is_no_worse(self, found: FramesDetected, result: FrameResult) -> bool:
        """Whether a frame that came again is to be written: not an error in place of a result.

        What is there already is written once more. When it comes again because its worker was killed, it may
        be in the store and not in the changelog, or the other way round.
        """
        row = self.frames.get(found.video_id, found.attempt, result.frame) if result.error else None
        return row is None or bool(msgspec.json.decode(row, type=FrameResult).error)

    def _is_past(self, head: Head, attempt: int) -> bool:
        """Whether this attempt is an old one; a deleted video takes no other ever."""
        return attempt < head.attempt or (head.state == "deleted" and attempt != head.attempt)

    def _drop_rows(self, video_id: str, head: Head) -> None:
        """Remove the rows and bits of an attempt that a newer one replaces."""
        for index in self.videos.present(video_id, head):
            self.frames.delete(video_id, head.attempt, frame_number(index, head.vid_stride))
        for chunk in range(head.chunks):
            self.videos.delete_chunk(video_id, chunk)

    async def end_splits(self, batch: Sequence[Delivered[SplitEnded]]) -> None:
        """Take note of how splits ended, and of what is to be looked for."""
        for each in batch:
            await self._end_split(each)

    async def _end_split(self, delivered: Delivered[SplitEnded]) -> None:
        ended = delivered.message
        if ended.kind == "checked":
            await self._clear_idle_bits(delivered)
        with on_behalf_of(delivered.event):
            head = self._note_end(ended)
            is_complete = head is not None and self.videos.is_complete(ended.video_id, head)
        await self._durable()
        if head is None:
            return
        if ended.kind in ("split", "checked") and head.state == "open":
            if is_complete:
                await self._announce_complete(ended.video_id, head)
            elif ended.kind == "checked":
                await self._ask_again(delivered, head)
        elif not head.is_tombstone:
            await self._announce(ended.video_id, head)

    def _note_end(self, ended: SplitEnded) -> Head | None:
        """Write what a message says into the head; return None if the video has gone on meanwhile."""
        head = self.videos.head(ended.video_id)
        if head is not None and ended.kind != "deleted" and self._is_past(head, ended.attempt):
            return None
        now = Head(ended.attempt) if head is None or head.attempt < ended.attempt else head
        if head is not None and head.attempt < ended.attempt:
            self._drop_rows(ended.video_id, head)
        state = _state_after(now, ended)
        if state is None:
            if now.state == ended.kind:  # told again, perhaps because of a kill: see `_is_no_worse`
                self.videos.put_head(ended.video_id, now)
            return now
        if now.state == "open" or ended.kind in ("cancelled", "deleted"):
            now = msgspec.structs.replace(
                now,
                state=state,
                vid_stride=ended.options.vid_stride,
                options=ended.options,
                total=ended.video.sampled if ended.video else now.total,
                video=ended.video or now.video,
                bucket=ended.bucket,
                object=ended.object,
                input_owned=ended.input_owned,
                error=ended.error or now.error,
                changed_at=now.changed_at if state == now.state else time.time(),
            )
            self.videos.put_head(ended.video_id, now)
        return now

    async def _clear_idle_bits(self, delivered: Delivered[SplitEnded]) -> None:
        """Let a frame count as missing when its bit is set but its row is not there."""
        ended, cleared = delivered.message, 0
        with on_behalf_of(delivered.event):
            head = self.videos.head(ended.video_id)
            if head is None or head.attempt != ended.attempt or head.state != "open":
                return
            present = iter(list(self.videos.present(ended.video_id, head)))
        while some := list(islice(present, ROWS_AT_ONCE)):
            with on_behalf_of(delivered.event):
                idle = [index for index in some if self._has_no_row(ended.video_id, head, index)]
                if idle:
                    self.videos.clear_bits(ended.video_id, head.attempt, idle)
                    cleared += len(idle)
            await asyncio.sleep(0)
        if cleared:
            fields = {"video_id": ended.video_id, "frames": cleared}
            logger.warning("rows are missing although their frames had arrived", extra=fields)

    def _has_no_row(self, video_id: str, head: Head, index: int) -> bool:
        return self.frames.get(video_id, head.attempt, frame_number(index, head.vid_stride)) is None

    async def _ask_again(self, delivered: Delivered[SplitEnded], head: Head) -> None:
        """Ask the runner for the missing frames, or give the video up after some rounds."""
        ended = delivered.message
        with on_behalf_of(delivered.event):
            missing = [
                frame_number(index, head.vid_stride)
                for index in islice(self.videos.missing(ended.video_id, head), MISSING_AT_ONCE)
            ]
        fields = {"video_id": ended.video_id, "missing": len(missing), "round": ended.round}
        if ended.round <= ROUNDS:
            logger.warning("frames are missing and asked for again", extra=fields)
            FRAMES_MISSING.inc(len(missing))
            message = FramesMissing(ended.video_id, ended.attempt, missing, ended.round)
            await self.publisher.publish(VIDEO_GAPS, message, key=ended.video_id)
            return
        logger.error("frames are lost", extra=fields)
        FRAMES_LOST.inc(len(missing))
        failed = msgspec.structs.replace(
            head, state="failed", error=failure("frames_lost", _named(missing)), changed_at=time.time()
        )
        with on_behalf_of(delivered.event):
            self.videos.put_head(ended.video_id, failed)
        await self._durable()
        await self._announce(ended.video_id, failed)

    async def _announce_complete(self, video_id: str, head: Head) -> None:
        """Say that every frame is in the table, in runner_db and to the next stage."""
        self._windows.close(video_id)
        self.received.pop((video_id, head.attempt), None)
        self._counted.pop((video_id, head.attempt), None)
        await self.worker.clients.records.advance(
            video_id, head.attempt, "predictable", received_frames=head.total
        )
        failpoint("gather.predictable", video_id)
        await self._announce(video_id, head)
        failpoint("gather.announced", video_id)

    async def _announce(self, video_id: str, head: Head) -> None:
        kind = "complete" if head.state == "open" or head.state == "stored" else head.state  # noqa: PLR1714 - mypy narrows this form
        await self.publisher.publish(VIDEO_RESULTS, VideoEnded(video_id, kind, head.attempt), key=video_id)

    async def count_as_errors(self, event: Any, reason: Rejected) -> None:  # noqa: ANN401 - Faust has no types
        """Let the frames of a message that cannot be worked on count as errors, so that their video ends.

        What cannot be read names no frames: then the watchdog finds which are missing.
        """
        with suppress(Malformed):
            found = decode(event.message.value, FramesDetected)
            error = Failure(reason.code, reason.reason)
            frames = [FrameResult(each.frame, each.time, error=error) for each in found.frames]
            told = msgspec.structs.replace(found, frames=frames)
            await self.gather([Delivered(told, event.message.key or b"", event)])

    async def give_up(self, event: Any, reason: Rejected) -> None:  # noqa: ANN401 - Faust has no types
        """Let the video of a message that cannot be worked on fail: asked again, it would be the same again.

        What cannot be read is said again by the watchdog.
        """
        with suppress(Malformed):
            ended = decode(event.message.value, SplitEnded)
            if ended.kind in ("split", "checked"):
                ended = msgspec.structs.replace(ended, kind="failed", error=refusal(reason))
            await self._end_split(Delivered(ended, event.message.key or b"", event))

    async def report_for_ever(self) -> None:
        """Note in runner_db, now and then and at best, how many frames have arrived."""
        while not self.worker.should_stop:
            await self.worker.sleep(REPORT_EVERY)
            waiting, self.received = self.received, {}
            due = time.monotonic() - REPORT_EVERY
            self._counted = {key: at for key, at in self._counted.items() if at > due}
            for (video_id, attempt), count in waiting.items():
                try:
                    await self.worker.clients.records.note_received(video_id, attempt, count)
                except RetryLater:
                    break  # the next report says more

    async def _durable(self) -> None:
        await self.frames.durable()
        await self.videos.durable()


def attach(worker: Worker[Any], frames: Frames, videos: Videos) -> None:
    """Let this worker gather frames."""
    publisher = Publisher({topic.name: worker.stream_topic(topic) for topic in (VIDEO_RESULTS, VIDEO_GAPS)})
    aggregator = Aggregator(worker, frames, videos, publisher)
    worker.task(aggregator.report_for_ever)
    results = Route(INFERENCE_RESULTS, aggregator.gather, aggregator.count_as_errors)
    worker.deliver("result_aggregator", results, up_to=UP_TO)
    splits = Route(VIDEO_SPLITS, aggregator.end_splits, aggregator.give_up)
    worker.deliver("split_recorder", splits, up_to=UP_TO)


def _index(frame: int, vid_stride: int) -> int:
    try:
        return sample_index(frame, vid_stride)
    except ValueError as error:
        raise Malformed("FramesDetected", error) from error


def _said_of_the_video(found: FramesDetected) -> Failure | None:
    """Return the error of a frame that is true of its whole video, if there is one."""
    errors = (each.error for each in found.frames if each.error is not UNSET)
    return next((error for error in errors if error.code in OF_THE_VIDEO), None)


def _named(frames: list[int]) -> str:
    """Return frame numbers as a sentence that stays short."""
    more = f" and {len(frames) - NAMED_AT_MOST} more" if len(frames) > NAMED_AT_MOST else ""
    return f"Frames {', '.join(map(str, frames[:NAMED_AT_MOST]))}{more}."


def _state_after(head: Head, ended: SplitEnded) -> State | None:
    """Return the state that a message leads to; None when the video is past it."""
    if ended.kind == "deleted":
        return "deleted" if head.state != "deleted" else None
    if ended.kind == "cancelled":  # it wins over an end that came meanwhile: see `BEFORE`
        return "cancelled" if head.state in ("open", "stored", "failed") else None
    if head.state != "open":
        return None
    return "open" if ended.kind == "split" or ended.kind == "checked" else ended.kind  # noqa: PLR1714 - see above
