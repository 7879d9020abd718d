"""Room where Kadr keeps its files."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.cli.doctor.findings import Finding, ok, unknown, warning, wrong
from app.settings import Settings

LEAST: Final = 1 << 30
"""Bytes below which a disk is called nearly full, where MIN_FREE_BYTES says no more."""

FOLDERS: Final = {"": "DATA_DIR", "work": "the work folder", "faust": "the table folder"}
"""Folders below DATA_DIR that may lie on disks of their own, and what they are."""


def look_at_disks(settings: Settings) -> Iterator[Finding]:
    """Look at each disk once."""
    seen: set[int] = set()
    if not settings.data_dir.is_dir():
        yield unknown("disk", f"{settings.data_dir} is not on this machine (DATA_DIR)")
        return
    for name, what in FOLDERS.items():
        folder = settings.data_dir / name
        if folder.is_dir() and (disk := folder.stat().st_dev) not in seen:
            seen.add(disk)
            yield _look(folder, what, max(LEAST, settings.min_free_bytes))


def _look(folder: Path, what: str, least: int) -> Finding:
    usage = shutil.disk_usage(folder)
    said = f"{what} ({folder}): {_gigabytes(usage.free)} of {_gigabytes(usage.total)} are free"
    if not os.access(folder, os.W_OK):
        return wrong(
            "disk", f"{what} ({folder}) cannot be written to", "give the user that runs Kadr the right to"
        )
    if usage.free < least:
        return warning("disk", said, "make room: docs/operations.md, 'A full disk'")
    return ok("disk", said)


def _gigabytes(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
