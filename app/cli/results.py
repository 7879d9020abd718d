"""A result into a file or to standard output, and as a table."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from rich.table import Table

from app.cli.exits import NotYet, VideoFailed
from app.cli.findings import ClassFound
from app.cli.following import reason_of
from app.clients.kadr_api import KadrApi, Operation


def write_result(kadr: KadrApi, video_id: str, target: Path | None) -> None:
    """Write a result byte for byte, piece by piece; a file appears whole or not at all.

    Args:
        kadr: a running one.
        video_id: whose result.
        target: the file; None is standard output.

    Raises:
        NotYet: the video is still on its way.
        VideoFailed: it has no result.
        Missing: no video has this id.
    """
    with kadr.answer(video_id) as answer:
        if answer.note.status == "failed":
            raise VideoFailed(video_id, reason_of(answer.note))
        if answer.note.status != "ready":
            raise NotYet(video_id, answer.note.status)
        with _open_target(target) as file:
            for piece in answer.pieces:
                file.write(piece)


def list_operations(operations: Iterable[Operation]) -> Table:
    """Videos and how far each is."""
    table = Table("video", "status", "description", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for each in operations:
        table.add_row(each.video_id, each.status_code, each.status_description)
    return table


def list_findings(found: Iterable[ClassFound]) -> Table:
    """What was found, a row per class."""
    table = Table("class")
    for heading in ("detections", "frames", "first s", "last s", "best confidence"):
        table.add_column(heading, justify="right")
    for each in found:
        counts = (str(each.detections), str(each.frames))
        table.add_row(each.name, *counts, _seconds(each.first), _seconds(each.last), f"{each.best:.2f}")
    return table


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


@contextlib.contextmanager
def _open_target(target: Path | None) -> Iterator[IO[bytes]]:
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif target.exists() and not target.is_file():
        with target.open("wb") as file:  # a pipe or a device is written to, never replaced
            yield file
    else:
        part = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with part.open("xb") as file:
                yield file
            part.replace(target)
        except OSError as error:
            if error.filename == str(part):
                error.filename = str(target)  # nobody asked for the file beside it
            raise
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
