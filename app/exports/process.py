"""The parent's side: a child that writes what is asked for, fed with a result."""

import asyncio
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Final

import app
from app.errors import KadrError
from app.exports.orders import EXIT_MALFORMED, EXIT_MEMORY, Order, write_order

MODULE: Final = "app.exports.child"

PIECE: Final = 1 << 18
"""Bytes that are read from a child at a time."""

KEPT_OUTPUT: Final = 2000
"""Bytes of a child's last words that are kept."""


class ExportFailed(KadrError):
    """A child ended before it had written everything.

    Args:
        how: what was seen, such as `ran out of memory`.
    """

    def __init__(self, how: str) -> None:
        self.how = how
        super().__init__(f"the child that writes a result {how}")


@asynccontextmanager
async def open_export(order: Order, source: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Yield what a child writes, piece by piece; the child is gone at the end of the block.

    Whoever reads learns whether it was everything: the last piece is followed by an error, or by none.

    Args:
        order: what it is to write.
        source: the result.

    Raises:
        ExportFailed: the child ended before it had written everything.
        Unavailable: the source ended so.
    """
    with tempfile.TemporaryFile() as complaints:
        process, stdin = await _start(order, complaints)
        feeding = asyncio.create_task(_feed(stdin, source), name="feed export")
        try:
            yield _written(process, feeding, complaints)
        finally:
            feeding.cancel()
            await _end(process)
            await asyncio.gather(feeding, return_exceptions=True)
            # What was on its way to a child that is gone holds the pipe open until that is noticed.
            with suppress(OSError):
                await stdin.wait_closed()


async def _start(order: Order, complaints: IO[bytes]) -> tuple[Process, asyncio.StreamWriter]:
    """Start a child; return it and the end of the pipe that it reads from.

    The pipe is our own: before Python 3.12 asyncio takes a pair of sockets, where a write may fail for
    want of memory, and says nothing of it.
    """
    theirs, ours = os.pipe()
    with os.fdopen(theirs, "rb") as source, ExitStack() as unless_taken:
        sink = unless_taken.enter_context(os.fdopen(ours, "wb", buffering=0))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-s", "-W", "ignore", "-m", MODULE, write_order(order)),
            stdin=source,
            stdout=PIPE,
            stderr=complaints,
            limit=PIECE,
            cwd=tempfile.gettempdir(),
            env=_environment(),
        )
        unless_taken.pop_all()
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    transport, _ = await loop.connect_write_pipe(lambda: protocol, sink)
    return process, asyncio.StreamWriter(transport, protocol, None, loop)


async def _feed(stdin: asyncio.StreamWriter, source: AsyncIterator[bytes]) -> None:
    """Hand a result on as the child takes it; one that has seen enough takes no more.

    Raises:
        ExportFailed: the pipe broke for another reason than that the child had closed it.
        Unavailable: the source ended so.
    """
    try:
        async for piece in source:
            if stdin.is_closing():
                break
            stdin.write(piece)
            await stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the second says only that it broke; why comes below
    finally:
        stdin.close()
    try:
        await stdin.wait_closed()
    except BrokenPipeError:
        return
    except OSError as error:
        raise ExportFailed(f"could not be given all of it: {error.strerror}") from error


async def _written(
    process: Process, feeding: asyncio.Task[None], complaints: IO[bytes]
) -> AsyncIterator[bytes]:
    stdout = process.stdout
    if stdout is None:
        raise AssertionError("asked for as a pipe")
    while piece := await stdout.read(PIECE):
        yield piece
    code = await process.wait()
    if feeding.done():
        feeding.result()  # why the source has ended comes before what the child made of that
    if code != 0:
        raise ExportFailed(_explain(code, complaints))


def _explain(code: int, complaints: IO[bytes]) -> str:
    if code == EXIT_MEMORY:
        return "ran out of memory"
    if code in {-signal.SIGXCPU, -signal.SIGKILL}:
        return f"was ended by {signal.Signals(-code).name}: it took too long, or too much"
    complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - KEPT_OUTPUT))
    said = complaints.read().decode(errors="replace").strip()
    what = "found no result" if code == EXIT_MALFORMED else f"exited with code {code}"
    return f"{what}: {said}"


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    # Reads what is left: a pipe that was full would never be seen to be closed.
    await process.communicate()


def _environment() -> dict[str, str]:
    """Return the child's environment, made of nothing that could hold a secret."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(app.__file__ or "").parents[1]),
        "MPLCONFIGDIR": tempfile.gettempdir(),
        "HOME": tempfile.gettempdir(),
        # Threads for sums as small as ours would cost more than they bring.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
