"""The parent's side: spare children, and one split."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from app.decoding.conversation import Conversation, outcome_of
from app.decoding.handle import Child, DecoderCrashed
from app.decoding.protocol import (
    TAKEN_AT_ONCE,
    Job,
    Kind,
    Limits,
    Order,
    Record,
    frame_key,
)
from app.domain.options import input_size
from app.domain.sampling import frame_number
from app.errors import Unavailable
from app.settings import Settings

__all__ = ["DecoderCrashed", "DecodingPool", "Split", "create_limits", "open_decoding_pool"]

logger = logging.getLogger(__name__)

REFILL_AFTER: Final = 3.0
REFILL_AFTER_END: Final = 1.0
"""Seconds until a spare child is replaced, after it was taken and after its video is decoded. To start one
costs as much as to look at five frames, and until a short video is ready it needs all cores for itself."""

SERVICE: Final = "the file of a video"


class Split(Conversation):
    """One video being split by one child; its `outcome` is there once `frames` has ended.

    Attributes:
        expected: sampled frames that the video has according to its file; None until the first one has come,
            or if that is silent. Files are wrong at times.
        more_at_once: whether frames follow at once that came together with the last one.
    """

    def __init__(self, child: Child, job: Job, limits: Limits) -> None:
        super().__init__(child, limits)
        self.expected: int | None = None
        self.more_at_once = False
        self._job = job
        self._taken = 0

    async def frames(self) -> AsyncIterator[tuple[bytes, bytes, int]]:
        """Yield key and value of an `inference_tasks` message, and the frame's index: number by stride.

        The child waits while the caller does not ask for the next one; that never counts as a stall.

        Raises:
            DecoderCrashed: the child ended without an outcome, or made no progress for too long.
        """
        while (record := await self.next()) is not None:
            if record.kind in (Kind.FRAME, Kind.HELD):
                self.more_at_once = record.kind is Kind.HELD
                yield self._checked(record)
                self._taken += 1
                if self._taken % TAKEN_AT_ONCE == 0:
                    self._child.take()
            elif record.kind is Kind.OPENED:
                self.expected = record.number
            elif record.kind in (Kind.FACTS, Kind.FAILED):
                self.outcome = outcome_of(record)
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
        settings: limits, and the longest side of a picture where a video's options leave it open.
        spares: children kept ready.
        niceness: added to this process's own (`nice(2)`).

    Attributes:
        protections: what protects us from the children, and why not; empty before `prepare`.
    """

    def __init__(self, settings: Settings, *, spares: int, niceness: int) -> None:
        self._imgsz = settings.imgsz
        self._limits = create_limits(settings)
        self._wanted = spares
        self._niceness = niceness
        self.protections: dict[str, str] = {}
        self._spares: deque[asyncio.Task[Child]] = deque()
        self._busy: set[Child] = set()
        self._refilling: asyncio.TimerHandle | None = None

    async def prepare(self) -> None:
        """Start the spare children and wait until they are ready.

        Raises:
            DecoderCrashed: a child cannot be started.
        """
        self._refill()
        for child in await asyncio.gather(*self._spares):
            self._note_protections(child)

    def _note_protections(self, child: Child) -> None:
        if child.protections == self.protections:
            return
        self.protections = child.protections
        missing = {name: why for name, why in child.protections.items() if why}
        fields = {"active": sorted(child.protections.keys() - missing.keys()), "missing": missing}
        level = logging.WARNING if "seccomp" in missing else logging.INFO
        logger.log(level, "decoders are in a sandbox", extra=fields)

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
            Unavailable: the file is gone, or cannot be read.
        """
        child = await self._take()
        self._busy.add(child)
        try:
            with _opened(job.path) as video:
                longest = input_size(job.options, self._imgsz)
                await child.tell(Order(job, longest, self._limits), video)
            split = Split(child, job, self._limits)
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
        return asyncio.create_task(Child.start(self._niceness, self._limits), name="start decoder")


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


def create_limits(settings: Settings) -> Limits:
    """Return what one video may cost by these settings."""
    return Limits(
        pixels=settings.max_pixels,
        frames=settings.max_frames,
        seconds=settings.max_duration.total_seconds(),
        streams=settings.max_streams,
        sizes=settings.max_size_changes,
        rate=settings.max_frame_rate,
        memory=settings.decoder_memory,
        stall=settings.decoder_stall.total_seconds(),
        processor=settings.decoder_cpu,
        processor_least=settings.decoder_cpu_least.total_seconds(),
        wall=settings.decoder_wall.total_seconds(),
    )


@contextmanager
def _opened(path: str) -> Iterator[int]:
    try:
        video = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(SERVICE, error) from error
    try:
        yield video
    finally:
        os.close(video)
