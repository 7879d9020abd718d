"""The work behind the frame splitter: videos are taken from runner_db and become tasks, frame by frame.

Splits are claimed under a lease by any runner with room. Several videos are open at a time and decode in
turns, the one with the fewest frames left first, so that no number of long videos blocks a short one, and of
long ones one after the other gets ready.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from agents.places import OpenSplit, free_places, who_makes_room
from agents.split_ends import ended_of
from agents.waits import Waits
from app.backpressure import Gate, Turn
from app.clients.runner_records import RunnerRecords
from app.clients.s3.storage import Storage
from app.decoding.process import DecoderCrashed, DecodingPool, Split
from app.decoding.protocol import Job
from app.domain.failures import failure
from app.domain.messages import Failure, VideoFacts
from app.domain.records import Record
from app.errors import Missing, RetryLater
from app.failpoints import failpoint
from app.publishing import ConfirmedPrefix, Publisher
from app.telemetry.metrics import DECODER_DEATHS, FRAMES_DECODED, SPLITS_ENDED, known_code
from app.telemetry.stages import note_stage, timed
from app.topics import INFERENCE_TASKS, STRIDE_HEADER, VIDEO_SPLITS
from app.work_folder import WorkFolder
from app.worker import Worker

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 1.0
"""Seconds between two looks for splits that nobody works on."""

LOOK_WHILE_CROWDED: Final = 0.1
"""The same while a video waits that nobody has opened yet: the guest before it may leave at any moment."""

LOOK_SHARE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""Looks take no more than a tenth of the time, unless that were more than so many seconds between two of
them: where thousands of videos wait, the Mongo server of the local stack is busy with each of them."""

RENEW_EVERY: Final = 2.0
"""Seconds: a cancelled video's child is gone this long after the record says so, at the latest."""

TRIES: Final = 4
"""Children that may die on one video; a crash may be an accident, four are a property of the video."""

PAUSE: Final = 5.0
"""Seconds for which nobody takes up a split again for which the world was not ready; others go first."""


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
    def work_folder(self) -> WorkFolder:
        """Return where the inputs lie while they are decoded."""


class Stopped(Exception):
    """The split is ours no longer; nothing more of it is published."""


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
        self._wanted: asyncio.Queue[str | None] = asyncio.Queue()
        self._is_crowded = False
        self._look_took = 0.0
        self._waits = Waits()
        self.open: dict[str, OpenSplit] = {}

    @property
    def unconfirmed(self) -> int:
        """Tasks of our own that are on their way to the broker."""
        return sum(each.unconfirmed for each in self.open.values())

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
        # Not `wait_for`, which up to Python 3.11 loses a cancel that comes together with what it waits for.
        every = LOOK_WHILE_CROWDED if self._is_crowded else LOOK_EVERY
        pause = max(every, min(LONGEST_PAUSE, self._look_took / LOOK_SHARE))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                return await self._wanted.get()
        return None

    async def _claim(self, first: str | None) -> None:
        free = await self._free()
        for record in await self._worker.clients.records.claim_splits(free, first=first):
            await self.stop(record.video_id)  # what is left of an earlier claim, which holds no more
            prefix = ConfirmedPrefix(0 if record.only else record.split_frames)
            split = OpenSplit(record, prefix, expected=record.expected_frames)
            self.open[record.video_id] = split
            split.task = asyncio.create_task(self._work(split))
            # Not in `_work`: a task that is cancelled before it begins runs none of its code.
            split.task.add_done_callback(partial(self._close, split))
            if record.is_suspect:  # nothing is begun beside it, and so blamed for a death that it causes
                await _first_of(split.got_further.wait(), split.task)

    def _close(self, split: OpenSplit, _task: asyncio.Task[None]) -> None:
        if self.open.get(split.record.video_id) is split:
            del self.open[split.record.video_id]
        self._wanted.put_nowait(None)  # whoever waits for the place need not wait any longer

    async def _free(self) -> int:
        """Return how many videos may be opened now; park one where one that waits should go before it."""
        places = self._worker.settings.videos_at_once
        self._is_crowded, self._look_took = False, 0.0
        if (free := places - len(self.open)) > 0:
            return free
        began = time.monotonic()
        waiting = await self._worker.clients.records.next_waiting()
        self._look_took = time.monotonic() - began
        if waiting is None:
            return 0
        self._is_crowded = waiting.is_unknown
        if not (free := free_places(self.open.values(), places, waiting)):
            parked = who_makes_room(self.open.values(), places, waiting)
            if parked is not None and parked.task is not None:
                fields = {"video_id": parked.record.video_id, "frames": parked.share}
                logger.info("split parked", extra=fields)
                parked.task.cancel()
                await asyncio.wait([parked.task])
                return 1
        return free

    async def _work(self, split: OpenSplit) -> None:
        """Work on one video, whatever happens to it; never raises but when cancelled."""
        record = split.record
        try:
            async with self._lease(split):
                await self._split(split)
            self._waits.end(record.video_id)
        except DecoderCrashed as crash:  # before RetryLater, which it is, but a counted one
            await self._give_up_or_back(split, crash)
        except Stopped:
            self._waits.forget(record.video_id)
            logger.info("split given up", extra={"video_id": record.video_id})
        except RetryLater as error:
            self._waits.begin(record.video_id, error)
            await self._give_back(split, deaths=0, pause=PAUSE)
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
        DECODER_DEATHS.labels(known_code(crash.code)).inc()
        if tries < TRIES:
            await self._give_back(split, deaths=1)
        else:
            await _quietly(self._give_up(split, crash.failure))

    async def _give_up(self, split: OpenSplit, error: Failure) -> None:
        """Let a video fail unless somebody else has it now: we may have been frozen while our child died."""
        if await self._worker.clients.records.renew_split(split.record, split.prefix.count):
            await self._fail(split.record, error)

    async def _give_back(self, split: OpenSplit, *, deaths: int, pause: float = 0) -> None:
        """Let anybody go on with a video after a pause; if we cannot say so, the end of the lease does."""
        tries = _deaths_here(split) + deaths
        records = self._worker.clients.records
        after = timedelta(seconds=pause)
        release = records.release_split(
            split.record, split.prefix.count, tries=tries, expected=split.expected, pause=after
        )
        await _quietly(release)

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
                    count = split.prefix.advance()
                    lost = not await records.renew_split(split.record, count, expected=split.expected)
                    if count > split.record.split_frames:
                        split.got_further.set()
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
        opened = time.time()
        with self._worker.clients.work_folder.place() as path:
            try:
                await self._fetch(record, path)
            except Missing:
                await self._fail(record, failure("input_missing"))
                return
            if not await records.count_try(record):
                raise Stopped
            if record.decoding_at is None:
                note_stage("queue", record.video_id, record.created_at.timestamp(), opened)
            self._waits.end(record.video_id)
            failpoint("split.began", record.video_id)
            outcome = await self._decode(split, path)
        await split.prefix.finish()
        if isinstance(outcome, Failure):
            await self._fail(record, outcome)
        else:
            await self._end(split, outcome)

    async def _fetch(self, record: Record, path: Path) -> None:
        """Write the input to a file if the disk has room for it, so that nothing is fetched in vain."""
        clients = self._worker.clients
        facts = await clients.storage.stat(record.bucket, record.object)
        if facts is None:
            raise Missing(f"{record.bucket}/{record.object}")
        fetching = timed("fetch", record.video_id, bytes=facts.size)
        with clients.work_folder.filling(path, facts.size), fetching:
            await clients.storage.download(record.bucket, record.object, path)

    async def _decode(self, split: OpenSplit, path: Path) -> VideoFacts | Failure:
        """Send a task for each sampled frame, as fast as they may wait; return how decoding ended."""
        record = split.record
        job = Job(
            record.video_id,
            record.attempt,
            str(path),
            options=record.options,
            start_index=split.prefix.count,
            only=record.only,
        )
        working = timed("decode", record.video_id, attempt=record.attempt)
        async with self._worker.clients.pool.decode(job) as decoding:
            with working as noted, self._gate.video() as turn:
                try:
                    await self._send_tasks(split, decoding, turn)
                finally:
                    noted["frames"] = split.sent
            if decoding.outcome is None:
                raise DecoderCrashed("decoder_crashed", "it ended without a word")
            return decoding.outcome

    async def _send_tasks(self, split: OpenSplit, decoding: Split, turn: Turn) -> None:
        """Send what the child has handed over together in one go: it then goes to Kafka in one request."""
        async for key, value, _index in decoding.frames():
            split.expected = decoding.expected or split.expected
            if not turn.is_open:
                await self._send_held(split)
            await turn.admit(split.left)
            split.held.append((key, value))
            if not decoding.more_at_once:
                await self._send_held(split)
        await self._send_held(split)

    async def _send_held(self, split: OpenSplit) -> None:
        stride = {STRIDE_HEADER: str(split.record.options.vid_stride).encode()}
        held, split.held = split.held, []
        for key, value in held:
            sent = await self._publisher.send(INFERENCE_TASKS, key=key, value=value, headers=stride)
            split.prefix.add(asyncio.ensure_future(sent))
            split.sent += 1
        FRAMES_DECODED.inc(len(held))

    async def _end(self, split: OpenSplit, facts: VideoFacts) -> None:
        record = split.record
        facts = record.video if record.only and record.video else facts
        ended = ended_of(record, "split", video=facts)
        await self._publisher.publish(VIDEO_SPLITS, ended, key=record.video_id)
        failpoint("split.published", record.video_id)
        await self._worker.clients.records.end_split(record, facts)
        SPLITS_ENDED.labels("split", "").inc()
        seconds = round(time.monotonic() - split.started, 3)
        fields = {"video_id": record.video_id, "sampled": facts.sampled, "seconds": seconds}
        logger.info("video is split", extra=fields)

    async def _fail(self, record: Record, error: Failure) -> None:
        logger.info("video cannot be split", extra={"video_id": record.video_id, "code": error.code})
        SPLITS_ENDED.labels("failed", known_code(error.code)).inc()
        ended = ended_of(record, "failed", error=error)
        await self._publisher.publish(VIDEO_SPLITS, ended, key=record.video_id)
        failpoint("split.failed", record.video_id)
        await self._worker.clients.records.advance(record.video_id, record.attempt, "failed", error=error)


async def _first_of(waiting: Coroutine[Any, Any, Any], task: asyncio.Task[None]) -> None:
    """Return when either is done; the task goes on."""
    waits = asyncio.create_task(waiting)
    try:
        await asyncio.wait([waits, task], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waits.cancel()


def _deaths_here(split: OpenSplit) -> int:
    """Return how many children have died where a split began; none, if it has got any further."""
    return 0 if split.prefix.count > split.record.split_frames else split.record.split_tries


async def _quietly(call: Any) -> None:  # noqa: ANN401 - a coroutine of any result
    """Await something that is only polite: the lease runs out anyway."""
    try:
        await call
    except RetryLater as error:
        logger.debug("not given back: %s", error)
