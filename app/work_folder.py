"""Where inputs lie while they are decoded: a folder of this process, which nobody else uses or removes."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.errors import Unavailable

SERVICE: Final = "the work folder"

LOCK_NAME: Final = "in-use"
"""Held for as long as the process lives; a folder whose lock can be had belongs to nobody any more."""

SPARE: Final = 1 << 20
"""Bytes that stay free: what a file system itself writes beside a file."""


class WorkFolder:
    """A folder with room for inputs, as long as the disk has it.

    Args:
        path: of the folder; made again when somebody has removed it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._coming: dict[Path, int] = {}

    @contextmanager
    def place(self) -> Iterator[Path]:
        """Yield where a file may be written; it is removed at the end of the block.

        Raises:
            Unavailable: not even an empty folder has room.
        """
        with _refusals():
            self.path.mkdir(parents=True, exist_ok=True)
            made = tempfile.TemporaryDirectory(dir=self.path, ignore_cleanup_errors=True)
        with made as folder:
            yield Path(folder) / "input"

    @contextmanager
    def filling(self, file: Path, size: int) -> Iterator[None]:
        """Let the block write a file of so many bytes; others count on the room that it does not need.

        Raises:
            Unavailable: there is no room for it beside those that are being written, or the disk fails.
        """
        self.require(size)
        with _refusals():
            self._coming[file] = size
            try:
                yield
            finally:
                del self._coming[file]

    def require(self, size: int) -> None:
        """Return if there is room for so many bytes; nothing is kept free for them.

        Raises:
            Unavailable: there is not, beside the files that are being written, or the disk fails.
        """
        with _refusals():
            free = shutil.disk_usage(self.path).free - sum(map(_rest_of, self._coming.items()))
        if size + SPARE > free:
            raise Unavailable(SERVICE, f"{size} bytes are needed, {max(free, 0)} are free")


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in our words that the disk does not do its work."""
    try:
        yield
    except OSError as error:
        raise Unavailable(SERVICE, error) from error


@contextmanager
def open_work_folder(parent: Path) -> Iterator[WorkFolder]:
    """Yield an empty folder that is removed at the end; remove those of processes that were killed.

    Args:
        parent: shared by every process of this machine that works for this Kadr.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.iterdir():
        _remove_unused(left)
    with tempfile.TemporaryDirectory(dir=parent) as folder, (Path(folder) / LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield WorkFolder(Path(folder))


def _rest_of(coming: tuple[Path, int]) -> int:
    """Return how many bytes of a file have not been written yet."""
    file, size = coming
    try:
        return max(0, size - file.stat().st_size)
    except FileNotFoundError:
        return size


def _remove_unused(folder: Path) -> None:
    try:
        with (folder / LOCK_NAME).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # in use, or about to be: the lock is made a moment after the folder
