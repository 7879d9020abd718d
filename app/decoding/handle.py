"""One child process as its parent sees it, and what it died of."""

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import app
from app.decoding.protocol import (
    EXIT_MEMORY,
    HEADER,
    TAKEN,
    Limits,
    Order,
    Record,
    read_header,
    read_protections,
    send_files,
    write_limits,
    write_order,
)
from app.domain.failures import failure
from app.domain.messages import Failure
from app.errors import Malformed, RetryLater

logger = logging.getLogger(__name__)

START_SECONDS: Final = 60.0
"""How long a child may take to import its libraries: 0.4 s alone, much more on a machine that just booted."""

BUFFER_BYTES: Final = 1 << 20
"""What asyncio reads ahead of us (twice this, at most) before the pipe fills and the child waits."""

MODULE: Final = "app.decoding.child"

KEPT_OUTPUT: Final = 4096
"""Bytes of a child's last words that reach the log; a hostile video can make a decoder write without end."""


OUT_OF_MEMORY: Final = ("bad_alloc", "can't start new thread", "failed to map segment")
"""Last words of C++, of Python that wanted a thread, and of the loader of libraries."""


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


class Child:
    """One child process as its parent sees it; made by `start`, gone after `end`.

    Attributes:
        protections: what protects us from it, and why not; empty until it is ready.
        was_killed: whether it was us who ended it.
    """

    def __init__(self, process: Process, channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        # Asked for as pipes in `start`.
        self._orders = cast("StreamWriter", process.stdin)
        self._answers = cast("StreamReader", process.stdout)
        self._complaints = cast("StreamReader", process.stderr)
        self._output = bytearray()
        self._listening = asyncio.create_task(self._listen(), name="listen to decoder")
        self.protections: dict[str, str] = {}
        self.was_killed = False

    @classmethod
    async def start(cls, niceness: int, limits: Limits, module: str | None = None) -> "Child":
        """Start a child and wait until it is ready.

        Args:
            niceness: added to this process's own (`nice(2)`).
            limits: what it may use.
            module: what it runs; `MODULE` when not said.

        Raises:
            DecoderCrashed: it ended, or did not become ready in time.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-s", "-m", module or MODULE),
                    *(str(os.getpid()), str(niceness), str(theirs.fileno()), write_limits(limits)),
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=PIPE,
                    limit=BUFFER_BYTES,
                    cwd=tempfile.gettempdir(),
                    env=_environment(),
                    pass_fds=[theirs.fileno()],
                )
        except BaseException:
            ours.close()
            raise
        child = cls(process, ours)
        try:
            async with asyncio.timeout(START_SECONDS):
                child.protections = read_protections(await child.read())
        except (asyncio.IncompleteReadError, Malformed, TimeoutError) as error:
            crashed = await child.explain()
            await child.end()
            logger.warning("decoder did not start", extra={"output": child.last_words})
            raise crashed from error
        except asyncio.CancelledError:
            await child.end()
            raise
        return child

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it still runs, as far as is known."""
        return self._process.returncode is None

    @property
    def last_words(self) -> str:
        """The end of what it wrote to its standard error."""
        return self._output.decode(errors="replace").strip()

    async def tell(self, order: Order, video: int) -> None:
        """Give it its one order, and the video as an open file."""
        await self.give(write_order(order), video)

    async def give(self, order: bytes, *files: int) -> None:
        """Give it its one order, as a line, and what it takes as open files, the video first."""
        # A child that is gone already is found out, and explained, by who reads its answers.
        with suppress(ConnectionError), self._channel:
            send_files(self._channel, *files)
            self._orders.write(order)
            await self._orders.drain()

    def take(self) -> None:
        """Let it go on: some more of its frames were taken."""
        if not self._orders.is_closing():  # it has ended, and what it has written is still to be read
            self._orders.write(TAKEN)

    async def read(self) -> Record:
        """Return its next record.

        Raises:
            asyncio.IncompleteReadError: it says no more.
            Malformed: it said what is no record.
        """
        kind, number, key_length, value_length = read_header(await self._answers.readexactly(HEADER.size))
        key = await self._answers.readexactly(key_length)
        return Record(kind, number, key, await self._answers.readexactly(value_length))

    def kill(self) -> None:
        """End the child and everything it may have started."""
        self.was_killed = True
        if self.is_alive:
            for kill in (os.killpg, os.kill):  # it may not have made its group yet
                with suppress(ProcessLookupError):
                    kill(self.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kill, reap, and close every pipe."""
        self.kill()
        self._channel.close()
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
        if code == EXIT_MEMORY or any(words in self.last_words for words in OUT_OF_MEMORY):
            return DecoderCrashed("decoder_memory", "ran out of memory")
        if code is None:
            return DecoderCrashed("decoder_crashed", "closed its output")
        if code == -signal.SIGSYS:
            return DecoderCrashed("decoder_crashed", "tried what no decoder needs, and was ended by SIGSYS")
        if code == -signal.SIGXCPU:
            return DecoderCrashed("decoder_timeout", "used too much processor time without progress")
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        return DecoderCrashed("decoder_crashed", how)

    async def _listen(self) -> None:
        while some := await self._complaints.read(KEPT_OUTPUT):
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
