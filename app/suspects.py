"""Remembers which messages were in hand, so that one that kills its worker every time is found out.

Before a message is handled its position is noted in a small file, and struck out afterwards. Whatever is
still noted when the process starts was in hand when the last one died. A position found so for the third
time is set aside: otherwise one picture that crashes the graph would stop its partition for ever.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

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

    @property
    def any_left(self) -> bool:
        """Whether positions of an earlier death have not been handled yet: then one message at a time."""
        return bool(self._deaths.keys() - self._in_hand)

    def is_suspect(self, position: str) -> bool:
        """Return whether the message was in hand when an earlier process died."""
        return self._deaths.get(position, 0) > 0

    def is_guilty(self, position: str) -> bool:
        """Return whether the message was in hand in too many deaths."""
        return self._deaths.get(position, 0) >= DEATHS

    def take(self, positions: Iterable[str]) -> None:
        """Note that these are in hand: if the process dies now, that counts against them."""
        self._in_hand.update(positions)
        self._write()

    def put_down(self, positions: Iterable[str]) -> None:
        """Note that the process waits for the world or stops on purpose: a death now proves nothing."""
        self._in_hand.difference_update(positions)
        self._write()

    def clear(self, positions: Iterable[str]) -> None:
        """Strike out messages that were handled."""
        for position in positions:
            self._in_hand.discard(position)
            self._deaths.pop(position, None)
        self._write()

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
        return {str(position): int(deaths) for position, deaths in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
