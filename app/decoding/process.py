"""The parent's side: spare children, one split, and what a child died of."""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import app
from app.decoding.protocol import (
    EXIT_MEMORY,
    Job,
    Kind,
    Limits,
    Order,
    Record,
    frame_key,
    read_outcome,
    read_record,
    write_order,
)
from app.domain.failures import failure
from app.domain.messages import Failure, VideoFacts
from app.domain.sampling import frame_number
from app.errors import Malformed, RetryLater
from app.settings import Settings

logger = logging.getLogger(__name__)

START_SECONDS: Final = 60.0
"""How long a child may take to import its libraries: 0.4 s alone, much more on a machine that just booted."""

BUFFER_BYTES: Final = 1 << 20
"""What asyncio reads ahead of us (twice this, at most) before the pipe fills and the child waits."""

KEPT_OUTPUT: Final = 4096
"""Bytes of a child's last words that reach the log; a hostile video can make a decoder write without end."""


class DecoderCrashed(RetryLater):
    """The child that decoded a video ended by itself, or had to be ended; another try may succeed.

    Args:
        code: `decoder_crashed`, `decoder_memory` or `decoder_timeout` (`app.domain.failures`).
        how: what was seen, such as `was ended by SIGSEGV`.
    """

    def __init__(self, code: str, how: str) -> None:
        self.code = code
        self.how = how
        super().__init__(f"the decoder {how}")

    @property
    def failure(self) -> Failure:
        """What to say of the video when no further try is made."""
        return failure(self.code, f"It {self.how}.")


class Split:
    """One video being split by one child.

    Attributes:
        outcome: the video's facts, or why it failed, once `frames` has ended; None before, and after `kill`.
    """

    def __init__(self, child: "_Child", job: Job, stall: float) -> None:
        self.outcome: VideoFacts | Failure | None = None
        self._child = child
        self._job = job
        self._stall = stall

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
            elif record.kind in (Kind.FACTS, Kind.FAILED):
                self.outcome = _read_outcome(record)
                return

    async def _next(self) -> Record | None:
        try:
            async with asyncio.timeout(self._stall):
                return await self._child.read()
        except TimeoutError as error:
            raise DecoderCrashed("decoder_timeout", f"was silent for {self._stall:.0f} seconds") from error
        except Malformed as error:
            raise DecoderCrashed("decoder_crashed", "answered with what is no record") from error
        except asyncio.IncompleteReadError as error:
            if self._child.was_killed:
                return None
            raise await self._child.explain() from error

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
        self._spares: deque[asyncio.Task[_Child]] = deque()
        self._busy: set[_Child] = set()

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
        spares, self._spares = list(self._spares), deque()
        for starting in spares:
            starting.cancel()
        started = await asyncio.gather(*spares, return_exceptions=True)
        children = [child for child in started if isinstance(child, _Child)] + list(self._busy)
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
            yield Split(child, job, self._limits.stall)
        finally:
            child.kill()
            # Reaped also when the block is cancelled a second time meanwhile.
            await asyncio.shield(asyncio.ensure_future(self._reap(child, job.video_id)))

    async def _reap(self, child: "_Child", video_id: str) -> None:
        await child.end()
        self._busy.discard(child)
        if child.last_words:
            logger.warning("decoder complained", extra={"video_id": video_id, "output": child.last_words})

    async def _take(self) -> "_Child":
        while True:
            starting = self._spares.popleft() if self._spares else self._start()
            try:
                child = await asyncio.shield(starting)
            except asyncio.CancelledError:
                self._spares.append(starting)
                raise
            self._refill()
            if child.is_alive:
                return child
            await child.end()

    def _refill(self) -> None:
        while len(self._spares) < self._wanted:
            self._spares.append(self._start())

    def _start(self) -> "asyncio.Task[_Child]":
        return asyncio.create_task(_Child.start(self._niceness), name="start decoder")


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


class _Child:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._output = bytearray()
        self._listening = asyncio.create_task(self._listen(), name="listen to decoder")
        self.was_killed = False

    @classmethod
    async def start(cls, niceness: int) -> "_Child":
        """Start a child and wait until it is ready."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "app.decoding.child", str(os.getpid()), str(niceness)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=BUFFER_BYTES,
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )
        child = cls(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                await child.read()
        except (asyncio.IncompleteReadError, Malformed, TimeoutError) as error:
            crashed = await child.explain()
            await child.end()
            raise crashed from error
        except asyncio.CancelledError:
            await child.end()
            raise
        return child

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    @property
    def last_words(self) -> str:
        return self._output.decode(errors="replace").strip()

    async def tell(self, order: Order) -> None:
        assert self._process.stdin is not None  # noqa: S101  (asked for in start)
        # A child that is gone already is found out, and explained, by who reads its answers.
        with suppress(ConnectionError):
            self._process.stdin.write(write_order(order))
            await self._process.stdin.drain()

    async def read(self) -> Record:
        assert self._process.stdout is not None  # noqa: S101  (asked for in start)
        return await read_record(self._process.stdout)

    def kill(self) -> None:
        """End the child and everything it may have started."""
        self.was_killed = True
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kill, reap, and close every pipe."""
        self.kill()
        await asyncio.gather(self._listening, return_exceptions=True)
        # Reads what is left: a pipe that was full would never be seen to be closed.
        await self._process.communicate()

    async def explain(self) -> DecoderCrashed:
        """Return the error that says what a silent child ended of."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._process.wait()
        code = self._process.returncode
        await asyncio.wait([self._listening], timeout=1)
        if code == EXIT_MEMORY or "bad_alloc" in self.last_words:
            return DecoderCrashed("decoder_memory", "ran out of memory")
        if code is None:
            return DecoderCrashed("decoder_crashed", "closed its output")
        if code == -signal.SIGXCPU:
            return DecoderCrashed("decoder_timeout", "used too much processor time without progress")
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        return DecoderCrashed("decoder_crashed", how)

    async def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101  (asked for in start)
        while some := await self._process.stderr.read(KEPT_OUTPUT):
            self._output += some
            del self._output[:-KEPT_OUTPUT]


def _environment() -> dict[str, str]:
    """Return the child's environment, made of nothing that could hold a secret."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(app.__file__ or "").parents[1]),
        "PYTHONUNBUFFERED": "1",
        # OpenBLAS, which nothing here uses, would start a thread per processor.
        "OPENBLAS_NUM_THREADS": "1",
    }
