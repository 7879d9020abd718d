"""The work behind the frame splitter: videos are taken from runner_db and become tasks, frame by frame.

Splits are claimed under a lease by any runner with room. Several videos are open at a time and decode in
turns, the one with the fewest frames so far first, so that no number of long videos blocks a short one.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from app.backpressure import Gate
from app.clients.runner_records import Record, RunnerRecords
from app.clients.storage import Storage
from app.decoding.process import DecoderCrashed, DecodingPool
from app.decoding.protocol import Job
from app.domain.failures import failure
from app.domain.messages import Failure, SplitEnded, VideoFacts
from app.errors import Missing, RetryLater, Unavailable
from app.publishing import ConfirmedPrefix, Publisher
from app.topics import INFERENCE_TASKS, STRIDE_HEADER, VIDEO_SPLITS
from app.worker import Worker

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 1.0
"""Seconds between two looks for splits that nobody works on."""

RENEW_EVERY: Final = 2.0
"""Seconds: a cancelled video's child is gone this long after the record says so, at the latest."""

TRIES: Final = 4
"""Children that may die on one video; a crash may be an accident, four are a property of the video."""

PARK_AFTER: Final = 64
"""Frames that a video has in any case before it makes room: a clip is done before that."""

PAUSE: Final = 2.0
"""Seconds before a split is given back after the world was away."""


class SplitClients(Protocol):
    """What splitting needs."""

    @property
    def records(self) -> RunnerRecords:
        """Return what the runner knows of each video."""

    @property
    def storage(self) -> Storage:
        """Return where inputs are."""

    @property
    def pool(self) -> DecodingPool:
        """Return the decoding children."""

    @property
    def work_folder(self) -> Path:
        """Return where the inputs lie while they are decoded."""


class Stopped(Exception):
    """The split is ours no longer; nothing more of it is published."""


@dataclass
class OpenSplit:
    """A video that this process splits now."""

    record: Record
    prefix: ConfirmedPrefix
    task: asyncio.Task[None] | None = None
    sent: int = 0
    started: float = field(default_factory=time.monotonic)


class Splits:
    """Claims splits and works on them.

    Args:
        worker: whose clients are used.
        gate: grants frames within the bound of waiting pictures.
    """

    def __init__(self, worker: Worker[SplitClients], gate: Gate) -> None:
        self._worker = worker
        self._gate = gate
        gate.unconfirmed = lambda: self.unconfirmed
        self._publisher = Publisher(
            {topic.name: worker.stream_topic(topic) for topic in (INFERENCE_TASKS, VIDEO_SPLITS)}
        )
        self._wanted: asyncio.Queue[str] = asyncio.Queue()
        self.open: dict[str, OpenSplit] = {}

    @property
    def unconfirmed(self) -> int:
        """Tasks of our own that are on their way to the broker."""
        return sum(each.prefix.unconfirmed for each in self.open.values())

    def look_at(self, video_id: str) -> None:
        """Begin with this video at once if there is room; otherwise whoever has room will."""
        self._wanted.put_nowait(video_id)

    async def stop(self, video_id: str) -> None:
        """Stop working on a video and return when nothing more of it will be published."""
        split = self.open.get(video_id)
        if split is not None and split.task is not None:
            split.task.cancel()
            await asyncio.wait([split.task])

    async def run(self) -> None:
        """Claim and split, for ever; when cancelled, give everything back."""
        try:
            while True:
                first = await self._next_wanted()
                try:
                    await self._claim(first)
                except RetryLater:
                    await asyncio.sleep(LOOK_EVERY)
        finally:
            tasks = [each.task for each in self.open.values() if each.task is not None]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def _next_wanted(self) -> str | None:
        try:
            return await asyncio.wait_for(self._wanted.get(), LOOK_EVERY)
        except TimeoutError:
            return None

    async def _claim(self, first: str | None) -> None:
        room = self._worker.settings.open_videos - len(self.open) or await self._make_room()
        for record in await self._worker.clients.records.claim_splits(room, first=first):
            if record.video_id in self.open:
                continue  # our own lease ran out while we were frozen: the old task will notice
            split = OpenSplit(record, ConfirmedPrefix(0 if record.only else record.split_frames))
            self.open[record.video_id] = split
            split.task = asyncio.create_task(self._work(split))
            # Not in `_work`: a task that is cancelled before it begins runs none of its code.
            split.task.add_done_callback(partial(self._close, record.video_id))

    def _close(self, video_id: str, _task: asyncio.Task[None]) -> None:
        self.open.pop(video_id, None)

    async def _make_room(self) -> int:
        """Park the video that has had the most frames, if one with far fewer waits; return the room made.

        A parked video is decoded from its start again, up to where it was. It is parked only after it has
        had twice as much as the one that waits, so each video is parked at doubling lengths, and all of
        that together costs no more than decoding it once.
        """
        most = max(self.open.values(), key=_share)
        least = await self._worker.clients.records.least_waiting()
        if least is None or most.task is None or _share(most) < PARK_AFTER + 2 * least:
            return 0
        logger.info("split parked", extra={"video_id": most.record.video_id, "frames": _share(most)})
        most.task.cancel()
        await asyncio.wait([most.task])
        return 1

    async def _work(self, split: OpenSplit) -> None:
        """Work on one video, whatever happens to it; never raises but when cancelled."""
        record = split.record
        try:
            async with self._lease(split):
                await self._split(split)
        except DecoderCrashed as crash:  # before RetryLater, which it is, but a counted one
            await self._give_up_or_back(split, crash)
        except Stopped:
            logger.info("split given up", extra={"video_id": record.video_id})
        except RetryLater as error:
            logger.warning("split waits: %s", error, extra={"video_id": record.video_id})
            await asyncio.sleep(PAUSE)
            await self._give_back(split, deaths=0)
        except asyncio.CancelledError:
            await self._give_back(split, deaths=0)
            raise
        except Exception as error:  # noqa: BLE001 - a send that failed for good, or our own mistake
            await self._worker.stop_unsafe(f"splitting {record.video_id} failed", error)

    async def _give_up_or_back(self, split: OpenSplit, crash: DecoderCrashed) -> None:
        """Let a video fail whose children have died too often, else let anybody try again."""
        record, tries = split.record, _deaths_here(split) + 1
        fields = {"video_id": record.video_id, "code": crash.code, "tries": tries}
        logger.warning("decoder died: %s", crash, extra=fields)
        if tries < TRIES:
            await self._give_back(split, deaths=1)
        else:
            await _quietly(self._fail(record, crash.failure))

    async def _give_back(self, split: OpenSplit, *, deaths: int) -> None:
        """Let anybody go on with a video at once; what we cannot write now, the end of the lease does."""
        tries = _deaths_here(split) + deaths
        records = self._worker.clients.records
        await _quietly(records.release_split(split.record, split.prefix.count, tries=tries))

    @asynccontextmanager
    async def _lease(self, split: OpenSplit) -> AsyncIterator[None]:
        """Renew the claim while the body runs; stop the body when the claim is lost."""
        body = asyncio.current_task()
        lost = False

        async def renew() -> None:
            nonlocal lost
            records = self._worker.clients.records
            deadline = time.monotonic() + self._worker.settings.split_lease.total_seconds()
            while True:
                await asyncio.sleep(RENEW_EVERY)
                try:
                    lost = not await records.renew_split(split.record, split.prefix.advance())
                    deadline = time.monotonic() + self._worker.settings.split_lease.total_seconds()
                except RetryLater:
                    lost = time.monotonic() > deadline
                if lost and body is not None:
                    body.cancel()
                    return

        renewing = asyncio.create_task(renew())
        try:
            yield
        except asyncio.CancelledError:
            if lost:
                raise Stopped from None
            raise
        finally:
            renewing.cancel()

    async def _split(self, split: OpenSplit) -> None:
        record, records = split.record, self._worker.clients.records
        if record.split_tries >= TRIES:
            await self._fail(record, failure("decoder_crashed"))
            return
        if not await records.count_try(record):
            raise Stopped
        with tempfile.TemporaryDirectory(dir=self._worker.clients.work_folder) as folder:
            path = Path(folder) / "input"
            try:
                await self._worker.clients.storage.download(record.bucket, record.object, path)
            except Missing:
                await self._fail(record, failure("input_missing"))
                return
            except OSError as error:  # no space: others finish and give theirs back
                raise Unavailable("the work folder", error) from error
            outcome = await self._decode(split, path)
        await split.prefix.finish()
        if isinstance(outcome, Failure):
            await self._fail(record, outcome)
        else:
            await self._end(split, outcome)

    async def _decode(self, split: OpenSplit, path: Path) -> VideoFacts | Failure:
        """Send a task for each sampled frame, as fast as they may wait; return how decoding ended."""
        record = split.record
        stride = {STRIDE_HEADER: str(record.options.vid_stride).encode()}
        job = Job(
            record.video_id,
            record.attempt,
            str(path),
            options=record.options,
            start_index=split.prefix.count,
            only=record.only,
        )
        async with self._worker.clients.pool.decode(job) as decoding:
            async for key, value, _index in decoding.frames():
                await self._gate.admit(_share(split))
                sent = await self._publisher.send(INFERENCE_TASKS, key=key, value=value, headers=stride)
                split.prefix.add(asyncio.ensure_future(sent))
                split.sent += 1
            if decoding.outcome is None:
                raise DecoderCrashed("decoder_crashed", "it ended without a word")
            return decoding.outcome

    async def _end(self, split: OpenSplit, facts: VideoFacts) -> None:
        record = split.record
        facts = record.video if record.only and record.video else facts
        ended = ended_of(record, "split", video=facts)
        await self._publisher.publish(VIDEO_SPLITS, ended, key=record.video_id)
        await self._worker.clients.records.end_split(record, facts)
        seconds = round(time.monotonic() - split.started, 3)
        fields = {"video_id": record.video_id, "sampled": facts.sampled, "seconds": seconds}
        logger.info("video is split", extra=fields)

    async def _fail(self, record: Record, error: Failure) -> None:
        logger.info("video cannot be split", extra={"video_id": record.video_id, "code": error.code})
        ended = ended_of(record, "failed", error=error)
        await self._publisher.publish(VIDEO_SPLITS, ended, key=record.video_id)
        await self._worker.clients.records.advance(record.video_id, record.attempt, "failed", error=error)


def ended_of(
    record: Record,
    kind: Any,  # noqa: ANN401 - a literal of the message
    *,
    video: VideoFacts | None = None,
    error: Failure | None = None,
    checks: int = 0,
) -> SplitEnded:
    """Return how the split of a record ended, as a message."""
    return SplitEnded(
        record.video_id,
        kind,
        record.attempt,
        bucket=record.bucket,
        object=record.object,
        input_owned=record.input_owned,
        options=record.options,
        video=video or record.video,
        error=error or record.error,
        round=checks,
    )


def _share(split: OpenSplit) -> int:
    """Return how many frames of a video were sent, earlier ones included."""
    return split.prefix.count + split.prefix.unconfirmed


def _deaths_here(split: OpenSplit) -> int:
    """Return how many children have died where a split began; none, if it has got any further."""
    return 0 if split.prefix.count > split.record.split_frames else split.record.split_tries


async def _quietly(call: Any) -> None:  # noqa: ANN401 - a coroutine of any result
    """Await something that is only polite: the lease runs out anyway."""
    try:
        await call
    except RetryLater as error:
        logger.debug("not given back: %s", error)
