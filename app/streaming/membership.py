"""Remembers under which id this worker is in its group, so that its next life can take that id out of it.

A worker that dies abruptly says no goodbye. Its group waits for it until the session timeout, and gives its
partitions to nobody before, not even to the same worker started again a second later.
"""

from contextlib import suppress
from pathlib import Path


class Membership:
    """The id under which a worker was in its group the last time.

    Args:
        path: of the file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.last = _load(path)

    def note(self, member: str) -> None:
        """Remember the id that the group knows this process by; it changes when the worker joins anew."""
        if member and member != self.last:
            # No fsync: what has to survive is the death of the process, not of the machine.
            temporary = self._path.with_suffix(".new")
            with suppress(OSError):  # on a full disk the next start waits, no more
                temporary.write_text(member, encoding="utf-8")
                temporary.replace(self._path)
            self.last = member


def _load(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
