"""The parent's side: spare children, and one split."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from app.decoding.handle import Child, DecoderCrashed
from app.decoding.protocol import (
    TAKEN_AT_ONCE,
    Job,
    Kind,
    Limits,
    Order,
    Record,
    frame_key,
    read_outcome,
)
from app.domain.messages import Failure, VideoFacts
from app.domain.sampling import frame_number
from app.errors import Malformed
from app.settings import Settings

__all__ = ["DecoderCrashed", "DecodingPool", "Split", "open_decoding_pool"]

logger = logging.getLogger(__name__)

GRACE_SECONDS: Final = 1.0
"""How much longer a silent child is listened to after the limit."""

REFILL_AFTER: Final = 3.0
REFILL_AFTER_END: Final = 1.0
"""Seconds until a spare child is replaced, after it was taken and after its video is decoded. To start one
costs as much as to look at five frames, and until a short video is ready it needs all cores for itself."""

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at how long a child has been silent."""


class Split:
    """One video being split by one child.

    Attributes:
        outcome: the video's facts, or why it failed, once `frames` has ended; None before, and after `kill`.
        expected: sampled frames that the video has according to its file; None until the first one has come,
            or if that is silent. Files are wrong at times.
    """

    def __init__(self, child: Child, job: Job, stall: float) -> None:
        self.outcome: VideoFacts | Failure | None = None
        self.expected: int | None = None
        self._child = child
        self._job = job
        self._stall = stall
        self._loop = asyncio.get_running_loop()
        self._taken = 0
        self._asked_at: float | None = None
        self._was_silent = False

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def kill(self) -> None:
        """End the child at once; `frames` ends without an outcome. Harmless when repeated."""
        self._child.kill()

    async def frames(self) -> AsyncIterator[tuple[bytes, bytes, int]]:
        """Yield key and value of an `inference_tasks` message, and the frame's index among the sampled ones.

        The child waits while the caller does not ask for the next one; that never counts as a stall.

        Raises:
            DecoderCrashed: the child ended without an outcome, or made no progress for too long.
        """
        while (record := await self._next()) is not None:
            if record.kind is Kind.FRAME:
                yield self._checked(record)
                self._taken += 1
                if self._taken % TAKEN_AT_ONCE == 0:
                    self._child.take()
            elif record.kind is Kind.OPENED:
                self.expected = record.number
            elif record.kind in (Kind.FACTS, Kind.FAILED):
                self.outcome = _outcome(record)
                return

    async def _next(self) -> Record | None:
        self._asked_at = self._loop.time()
        try:
            return await self._child.read()
        except Malformed as error:
            raise DecoderCrashed("decoder_crashed", "answered with what is no record") from error
        except asyncio.IncompleteReadError as error:
            if self._was_silent:
                said = f"was silent for {self._stall:.0f} seconds"
                raise DecoderCrashed("decoder_timeout", said) from error
            if self._child.was_killed:
                return None
            raise await self._child.explain() from error
        finally:
            self._asked_at = None

    async def watch(self) -> None:
        """Kill the child when it lets us wait for too long.

        Looks now and then, because a timer for each record would cost more than reading it does. A loop that
        was itself held up for so long has not looked into the pipe yet: it gets a grace.
        """
        while True:
            asked_at = self._asked_at
            waited = 0.0 if asked_at is None else self._loop.time() - asked_at
            if waited < self._stall:
                await asyncio.sleep(min(self._stall - waited, LOOK_EVERY))
                continue
            await asyncio.sleep(GRACE_SECONDS)
            if self._asked_at == asked_at:
                self._was_silent = True
                self._child.kill()
                return

    def _checked(self, record: Record) -> tuple[bytes, bytes, int]:
        job = self._job
        number = frame_number(record.number, job.options.vid_stride)
        if record.key != frame_key(job.video_id, job.attempt, number):
            # A decoder that was taken over must not be able to write into other videos.
            raise DecoderCrashed("decoder_crashed", "answered for another frame than it says")
        return record.key, record.value, record.number


class DecodingPool:
    """Children that are ready to decode, each for one video.

    Args:
        settings: limits, and the longest side of a picture.
        spares: children kept ready.
        niceness: added to this process's own (`nice(2)`).
    """

    def __init__(self, settings: Settings, *, spares: int, niceness: int) -> None:
        self._longest = settings.imgsz
        self._limits = Limits(
            pixels=settings.max_pixels,
            frames=settings.max_frames,
            seconds=settings.max_duration.total_seconds(),
            memory=settings.decoder_memory,
            stall=settings.decoder_stall.total_seconds(),
        )
        self._wanted = spares
        self._niceness = niceness
        self._spares: deque[asyncio.Task[Child]] = deque()
        self._busy: set[Child] = set()
        self._refilling: asyncio.TimerHandle | None = None

    async def prepare(self) -> None:
        """Start the spare children and wait until they are ready.

        Raises:
            DecoderCrashed: a child cannot be started.
        """
        self._refill()
        await asyncio.gather(*self._spares)

    async def close(self) -> None:
        """End every child."""
        self._wanted = 0
        self._cancel_refill()
        spares, self._spares = list(self._spares), deque()
        for starting in spares:
            starting.cancel()
        started = await asyncio.gather(*spares, return_exceptions=True)
        children = [child for child in started if isinstance(child, Child)] + list(self._busy)
        await asyncio.gather(*(child.end() for child in children))

    @asynccontextmanager
    async def decode(self, job: Job) -> AsyncIterator[Split]:
        """Give a video to a child; the child is gone when the block is left, in whatever way.

        Raises:
            DecoderCrashed: no child can be started.
        """
        child = await self._take()
        self._busy.add(child)
        try:
            await child.tell(Order(job, self._longest, self._limits))
            split = Split(child, job, self._limits.stall)
            watching = asyncio.create_task(split.watch(), name="watch decoder")
            try:
                yield split
            finally:
                watching.cancel()
        finally:
            child.kill()
            # Reaped also when the block is cancelled a second time meanwhile.
            await asyncio.shield(asyncio.ensure_future(self._reap(child, job.video_id)))

    async def _reap(self, child: Child, video_id: str) -> None:
        await child.end()
        self._busy.discard(child)
        self._refill_in(REFILL_AFTER_END)
        if child.last_words:
            logger.warning("decoder complained", extra={"video_id": video_id, "output": child.last_words})

    async def _take(self) -> Child:
        while True:
            starting = self._spares.popleft() if self._spares else self._start()
            try:
                child = await asyncio.shield(starting)
            except asyncio.CancelledError:
                self._spares.append(starting)
                raise
            self._refill_in(REFILL_AFTER)
            if child.is_alive:
                return child
            await child.end()

    def _refill_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._refilling is not None and self._refilling.when() <= loop.time() + seconds:
            return
        self._cancel_refill()
        self._refilling = loop.call_later(seconds, self._refill)

    def _cancel_refill(self) -> None:
        if self._refilling is not None:
            self._refilling.cancel()
            self._refilling = None

    def _refill(self) -> None:
        self._cancel_refill()
        while len(self._spares) < self._wanted:
            self._spares.append(self._start())

    def _start(self) -> asyncio.Task[Child]:
        return asyncio.create_task(Child.start(self._niceness), name="start decoder")


@asynccontextmanager
async def open_decoding_pool(
    settings: Settings, *, spares: int = 1, niceness: int = 0
) -> AsyncIterator[DecodingPool]:
    """Open a pool of children that are ready to decode; all of them end with the block."""
    pool = DecodingPool(settings, spares=spares, niceness=niceness)
    try:
        await pool.prepare()
        yield pool
    finally:
        await pool.close()


def _outcome(record: Record) -> VideoFacts | Failure:
    try:
        return read_outcome(record)
    except Malformed as error:
        raise DecoderCrashed("decoder_crashed", "ended with what is no outcome") from error
