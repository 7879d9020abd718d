"""Where inputs lie while they are decoded: a folder of this process, which nobody else uses or removes."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOCK_NAME: Final = "in-use"
"""Held for as long as the process lives; a folder whose lock can be had belongs to nobody any more."""


@contextmanager
def open_work_folder(parent: Path) -> Iterator[Path]:
    """Yield an empty folder that is removed at the end; remove those of processes that were killed.

    Args:
        parent: shared by every process of this machine that works for this Kadr.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.iterdir():
        _remove_unused(left)
    with tempfile.TemporaryDirectory(dir=parent) as folder, (Path(folder) / LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


def _remove_unused(folder: Path) -> None:
    try:
        with (folder / LOCK_NAME).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # in use, or about to be: the lock is made a moment after the folder
