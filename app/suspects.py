"""Remembers which messages were in hand, so that one that kills its worker every time is found out.

Before a message is handled its position is noted in a small file, and struck out afterwards. Whatever is
still noted when the process starts was in hand when the last one died. A position found so for the third
time is set aside: otherwise one picture that crashes the graph would stop its partition for ever.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from app.clients.broker import Partition

DEATHS: Final = 3
"""A worker may die of something else; three times with the same message in hand is no accident."""


class Suspects:
    """The positions in hand, and how many deaths each has seen.

    Args:
        path: of the file; its folder exists. Unreadable contents count as none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._deaths = _load(path)
        self._in_hand: set[str] = set()
        self._awaited = set(self._deaths)
        self._sealed: set[str] = set()

    @property
    def any_left(self) -> bool:
        """Whether positions of an earlier death may still come to us: then one message at a time."""
        return bool(self._awaited - self._in_hand)

    @property
    def in_hand(self) -> frozenset[str]:
        """The positions that are noted as in hand."""
        return frozenset(self._in_hand)

    def expect(self, first_unread: Mapping[Partition, int]) -> None:
        """Wait only for positions that can come: others read their partition, or have read past them.

        Args:
            first_unread: for each partition that this process reads, the next offset to come.
        """
        coming: set[str] = set()
        for position in list(self._deaths):
            topic, partition, offset = position.rsplit("/", 2)
            first = first_unread.get(Partition(topic, int(partition)))
            if first is not None and int(offset) < first:
                del self._deaths[position]
            elif first is not None:
                coming.add(position)
        self._awaited = coming
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
            self._deaths.pop(position, None)
            self._awaited.discard(position)
        self._write()

    def seal(self, positions: Iterable[str]) -> None:
        """Let these stay noted, also while the process stops in order: it stops because of one of them."""
        self._sealed.update(positions)

    def _write(self) -> None:
        deaths = dict(self._deaths)
        for position in self._in_hand:
            deaths[position] = deaths.get(position, 0) + 1
        # No fsync: what has to survive is the death of the process, not of the machine.
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(deaths))
        temporary.replace(self._path)


def _load(path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_text())
        return {_checked(position): int(deaths) for position, deaths in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _checked(position: str) -> str:
    topic, partition, offset = position.rsplit("/", 2)
    return f"{topic}/{int(partition)}/{int(offset)}"
