"""A small disk of its own over a folder, which a test can fill to the last byte: needs root."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class SmallDisk:
    """A file system in memory over a folder."""

    folder: Path

    @classmethod
    @contextlib.contextmanager
    def over(cls, folder: Path, *, size: int) -> Iterator["SmallDisk"]:
        """Lay an empty disk of so many bytes over a folder until the block ends; nobody may use it then."""
        options = f"size={size},mode=700"
        _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
        try:
            yield cls(folder)
        finally:
            _run("umount", str(folder))

    def fill(self, *, leave: int = 0) -> None:
        """Take all the room but so many bytes, also what is freed while it is taken."""
        ballast = os.open(self._ballast, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            while (free := shutil.disk_usage(self.folder).free - leave) > 0:
                with contextlib.suppress(OSError):  # others have just taken some of it: what is left, then
                    os.posix_fallocate(ballast, os.fstat(ballast).st_size, free)
        finally:
            os.close(ballast)

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@cache
def obstacle() -> str | None:
    """Return why no disk can be laid over a folder on this machine; None when it can."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with SmallDisk.over(Path(folder), size=MEBIBYTE) as disk:
                disk.fill()
        except (OSError, subprocess.CalledProcessError) as error:
            return f"no disk can be mounted here: {getattr(error, 'stderr', '') or error}".strip()
    return None


def _run(*command: str) -> None:
    path = shutil.which(command[0]) or command[0]
    subprocess.run([path, *command[1:]], check=True, capture_output=True, text=True)
