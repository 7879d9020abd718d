"""Where everything lies under one data folder, and which stack holds that folder."""

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from app.local.failures import FileDamaged, FolderInUse

SOCKET_PATH_LIMIT = 90
"""Longest path of a socket in bytes. Linux takes 107; the supervisor first binds a name that adds its pid."""


@dataclass(frozen=True)
class DataFolder:
    """The folder that one stack keeps everything in; its layout is decided here only.

    Args:
        root: an absolute path.
    """

    root: Path

    @property
    def credentials(self) -> Path:
        """The generated secrets."""
        return self.root / "credentials.json"

    @property
    def run(self) -> Path:
        """What is written anew at each start."""
        return self.root / "run"

    @property
    def configuration(self) -> Path:
        """The supervisor's configuration."""
        return self.run / "supervisord.conf"

    @property
    def pid(self) -> Path:
        """The process id of the supervisor."""
        return self.run / "supervisord.pid"

    @property
    def sockets(self) -> Path:
        """A folder with a path short enough for sockets: `run`, or one of our own in the temporary folder."""
        if len(os.fsencode(self.run)) + len("/supervisor.sock") <= SOCKET_PATH_LIMIT:
            return self.run
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"kadr-{os.getuid()}-{digest}"

    @property
    def control(self) -> Path:
        """The supervisor's control socket."""
        return self.sockets / "supervisor.sock"

    def log(self, name: str) -> Path:
        """Where the program called `name` writes."""
        return self.root / "log" / f"{name}.log"

    def launch_file(self, name: str) -> Path:
        """How the program called `name` is started, for the launcher; may hold secrets."""
        return self.run / f"{name}.json"

    def server(self, name: str) -> Path:
        """What the server called `name` keeps."""
        return self.root / name

    def create_root(self) -> None:
        """Make the folder itself; one that is there keeps the mode that its owner gave it."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self) -> None:
        """Make the folders that are there for every stack; only their owner may look into them."""
        self.create_root()
        for path in (self.run, self.root / "log"):
            path.mkdir(mode=0o700, exist_ok=True)
        if self.sockets != self.run:
            _create_private(self.sockets)

    def hold(self) -> int:
        """Take the folder for one stack; held until the last copy of the answered descriptor is closed.

        Raises:
            FolderInUse: another stack holds it.
        """
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _HOLD_SECONDS
        while not _take(descriptor):
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise FolderInUse(self.root)
            time.sleep(_HOLD_SECONDS / 10)
        return descriptor

    def is_held(self) -> bool:
        """Whether a stack runs on this folder."""
        if not (self.root / "lock").exists():
            return False
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            return not _take(descriptor)
        finally:
            os.close(descriptor)

    def remove_sockets(self) -> None:
        """Remove what a stack leaves in the temporary folder."""
        if self.sockets == self.run:
            return
        for left in self.sockets.glob("*.sock"):
            left.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.sockets.rmdir()


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step by a file that only its owner can read."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - only open() takes a descriptor
        file.write(text)
    fresh.replace(path)


_HOLD_SECONDS = 0.3
"""Whoever only asks whether a folder is held takes it for a moment; that must not turn a stack away."""


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _create_private(path: Path) -> None:
    """Make a folder in a place that others can write to, and trust it only if it is ours."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise FileDamaged(path, "it belongs to somebody else", "remove it, or set DATA_DIR to a shorter path")
