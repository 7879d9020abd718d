"""Answers that are written into files, piece by piece: a file appears whole or not at all."""

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, TypeAlias

from app.client.core import Core
from app.client.steps import Flow, Request, read_piece, work

Target: TypeAlias = str | os.PathLike[str] | IO[bytes]
"""A path, where a file appears whole or not at all; or a file that is open for writing bytes."""

OnBytes: TypeAlias = Callable[[int], object]
"""Told how many bytes have arrived."""


def write_answer(
    core: Core, request: Request, target: Target, *, about: str, on_bytes: OnBytes | None = None
) -> Flow[int]:
    """Write what a request is answered with into a file; answers how many bytes there are.

    Nothing is written, and no file is made, before the answer has begun. One that breaks off is asked for
    again where the file is named by a path; what was handed over open has it already.

    Args:
        core: how it is asked.
        request: it.
        target: the file.
        about: the video that it is about.
        on_bytes: told how many bytes have arrived.

    Raises:
        OSError: the file cannot be written.
        KadrError: the answer is an error.
    """

    def write() -> Flow[int]:
        yield from core.stream(request, about=about)
        written = 0
        with open_target(target) as file:
            while piece := (yield from read_piece()):
                yield from work(partial(file.write, piece))
                written += len(piece)
                if on_bytes is not None:
                    on_bytes(written)
        return written

    return (yield from (core.read_again(write) if can_restart(target) else write()))


def can_restart(target: Target) -> bool:
    """Return whether what was written so far can be forgotten."""
    if not isinstance(target, (str, os.PathLike)):
        return False
    path = Path(target)
    return path.is_file() or not path.exists()


@contextlib.contextmanager
def open_target(target: Target) -> Iterator[IO[bytes]]:
    """Yield a file for writing; one that is named gets its name when all went well.

    Raises:
        OSError: it cannot be written.
    """
    if not isinstance(target, (str, os.PathLike)):
        yield target
        target.flush()
        return
    path = Path(target)
    if not can_restart(target):
        with path.open("wb") as file:  # a pipe or a device is written to, never replaced
            yield file
        return
    with _replacing(path) as file:
        yield file


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        if error.filename == str(part):
            error.filename = str(path)  # nobody asked for the file beside it
        raise
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
