"""Remembers which messages were in hand, so that one that kills its worker every time is found out.

Before a message is handled its position is noted in a small file, and struck out afterwards. Whatever is
still noted when the process starts was in hand when the last one died. A position found so for the third
time is set aside: otherwise one picture that crashes the graph would stop its partition for ever.
"""

import errno
import json
import logging
import os
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.clients.kafka.broker import Partition

logger = logging.getLogger(__name__)

DEATHS: Final = 3
"""A worker may die of something else; three times with the same message in hand is no accident."""


class Suspects:
    """The positions in hand, and how many deaths each has seen.

    The outbox has documents in hand instead of messages: there a position is the id of a document.

    Args:
        path: of the file; its folder exists. Unreadable contents count as none, and a note that cannot be
            written is left out: work goes on.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = _Note(path)
        self._deaths = _load(path)
        self._in_hand: set[str] = set()
        self._awaited = set(self._deaths)
        self._sealed: set[str] = set()
        self._condemned: set[str] = set()
        self._has_failed = False

    @property
    def any_left(self) -> bool:
        """Whether positions of an earlier death may still come to us: then one message at a time."""
        return bool(self._awaited - self._in_hand)

    @property
    def in_hand(self) -> frozenset[str]:
        """The positions that are noted as in hand."""
        return frozenset(self._in_hand)

    @property
    def awaited(self) -> frozenset[str]:
        """The positions of an earlier death that have not been handled since."""
        return frozenset(self._awaited)

    def expect(self, first_unread: Mapping[Partition, int]) -> None:
        """Wait only for positions that can come: others read their partition, or have read past them.

        Args:
            first_unread: for each partition that this process reads, the next offset to come.
        """
        coming: set[str] = set()
        for position in list(self._deaths):
            partition, offset = _place(position)
            first = first_unread.get(partition)
            if first is not None and offset < first:
                del self._deaths[position]
            elif first is not None:
                coming.add(position)
        self._awaited = coming
        self._write()

    def forget(self, topics: Container[str]) -> None:
        """Strike out the positions in these topics: another message stands there now."""
        kept = {at: deaths for at, deaths in self._deaths.items() if at.rsplit("/", 2)[0] not in topics}
        if kept != self._deaths:
            self._deaths = kept
            self._awaited &= kept.keys()
            self._write()

    def deaths(self, position: str) -> int:
        """Return in how many deaths the message was in hand."""
        return self._deaths.get(position, 0)

    def is_guilty(self, position: str) -> bool:
        """Return whether the message was in hand in too many deaths."""
        return self.deaths(position) >= DEATHS

    def take(self, positions: Iterable[str]) -> None:
        """Note that these are in hand: if the process dies now, that counts against them."""
        self._in_hand.update(positions)
        self._write()

    def put_down(self, positions: Iterable[str]) -> None:
        """Note that the process waits for the world or stops on purpose: a death now proves nothing."""
        self._in_hand.difference_update(set(positions) - self._sealed)
        self._write()

    def clear(self, positions: Iterable[str]) -> None:
        """Strike out messages that were handled."""
        for position in positions:
            self._in_hand.discard(position)
            self._awaited.discard(position)
            if position not in self._condemned:
                self._deaths.pop(position, None)
        self._write()

    def condemn(self, position: str) -> None:
        """Keep the verdict on a message that was set aside, until its partition is read past it for sure.

        It comes again when the process dies before its acknowledgement is on the broker, perhaps of the very
        next message. Tried anew each time, a row of such messages would take for ever.
        """
        self._condemned.add(position)

    def seal(self, positions: Iterable[str]) -> None:
        """Let these stay noted, also while the process stops in order: it stops because of one of them."""
        self._sealed.update(positions)

    def _write(self) -> None:
        deaths = dict(self._deaths)
        for position in self._in_hand:
            deaths[position] = deaths.get(position, 0) + 1
        try:
            self._note.write(json.dumps(deaths).encode())
        except OSError as error:  # a full disk
            self._note.clear()
            if not self._has_failed:  # once: on a nearly full disk every other note goes through
                logger.warning("what is in hand cannot always be noted", extra={"cause": str(error)})
            self._has_failed = True


class _Note:
    """A small file that is written over in place, in one call: twice for each batch of every agent.

    No fsync and no second file: what has to survive is the death of the process, not of the machine, and no
    signal ends a process in the middle of writing a page.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._size = 0

    def __del__(self) -> None:
        """Close the file."""
        self._close()

    def write(self, content: bytes) -> None:
        """Let the file hold this and nothing else.

        Raises:
            OSError: the disk is full, or the folder is gone.
        """
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            self._size = self._path.stat().st_size
        # What was there before is covered with spaces, which JSON allows; to cut it off is a second call.
        covering = content.ljust(self._size)
        if os.pwrite(self._descriptor, covering, 0) < len(covering):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size = len(covering)

    def clear(self) -> None:
        """Let the file hold nothing: no note is better than a wrong one."""
        with suppress(OSError):
            os.truncate(self._path, 0)
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _load(path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_text())
        return {position: int(deaths) for position, deaths in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _place(position: str) -> tuple[Partition, int]:
    """Return where a message stands; what names no place is nowhere, and nobody waits for it."""
    try:
        topic, partition, offset = position.rsplit("/", 2)
        return Partition(topic, int(partition)), int(offset)
    except ValueError:
        return Partition("", 0), 0
