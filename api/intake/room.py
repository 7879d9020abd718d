"""Whether there is room for an upload: free bytes of the disk below `DATA_DIR`, looked at beside requests.

Nobody can ask an S3 server how much room it has. Where its disk is the one that `DATA_DIR` lies on, as in the
local stack and with the volumes of docker-compose.yml, we can see for ourselves, and refuse what would take
the last of it from Kafka and Mongo, too.
"""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from app.errors import NoRoom

logger = logging.getLogger(__name__)


class Room:
    """How much room there was when it was last looked at.

    Args:
        folder: on the disk in question; it need not be there yet.
        least: bytes that stay free; 0 refuses nothing.
    """

    def __init__(self, folder: Path, *, least: int) -> None:
        self._folder = folder
        self._least = least
        self._is_low = False
        self.free: int | None = None

    async def refresh(self) -> None:
        """Look; in a thread, because a disk of another machine may hang."""
        if self._least:
            self._note(await asyncio.to_thread(_free_below, self._folder))

    def require(self, size: int = 0) -> None:
        """Return if there is room for so many bytes, as far as is known.

        Raises:
            NoRoom: fewer bytes than are to stay free would be left.
        """
        if self._least and self.free is not None and self.free - size < self._least:
            raise NoRoom("The disk", f"{self.free} bytes are free, {self._least} of them stay so")

    def while_there_is(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Return the pieces that come; the next one raises `NoRoom` when there is none any more."""
        return _Watched(body, self)

    def _note(self, free: int | None) -> None:
        self.free = free
        is_low = free is not None and free < self._least
        if is_low != self._is_low:
            level, event = (
                (logging.WARNING, "uploads are refused: there is no room")
                if is_low
                else (logging.INFO, "uploads are taken again: there is room")
            )
            logger.log(level, event, extra={"free": free, "least": self._least})
        self._is_low = is_low


class _Watched(AsyncIterator[bytes]):
    """A body that ends when there is no room; a generator would be left open when its consumer goes."""

    def __init__(self, body: AsyncIterator[bytes], room: Room) -> None:
        self._body = body
        self._room = room

    async def __anext__(self) -> bytes:
        piece = await anext(self._body)
        self._room.require()
        return piece


def _free_below(folder: Path) -> int | None:
    """Return the bytes that we could write; None where nobody knows."""
    for each in (folder, *folder.absolute().parents):
        try:
            return shutil.disk_usage(each).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
