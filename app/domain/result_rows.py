"""How a result is cut into rows, in whatever pieces its bytes come: without parsing, and from the middle too.

Results are written by `app.domain.documents` as compact JSON, one row after the other. Where a row ends is
found without parsing: in JSON the bytes `},{"frame":` can only stand between two rows, because a quote
inside of a string is escaped. That is what makes 100 MB a second possible, and reading from the middle.
"""

import re
from dataclasses import dataclass
from typing import Final

from app.errors import Malformed

LONGEST_HEAD: Final = 1 << 20
"""Bytes before the first row. Facts of video and model are some 500; options may list many classes."""

LONGEST_ROW: Final = 4 << 20
"""Bytes of one row. 3,000 objects, the most that a client may ask for, are some 250 kB."""


@dataclass(frozen=True)
class Shape:
    """How the rows of a document are found.

    Attributes:
        array: name of the list that holds them; the document's last.
        first: name of the number that each row begins with.
    """

    array: str
    first: str

    @property
    def opening(self) -> bytes:
        """What stands before the first row."""
        return f'"{self.array}":['.encode()

    @property
    def start(self) -> bytes:
        """How a row begins."""
        return f'{{"{self.first}":'.encode()

    @property
    def numbered(self) -> re.Pattern[bytes]:
        """A row up to its number, which is the group; not found across the end of what is searched."""
        return re.compile(re.escape(self.start) + rb"(\d{1,9})[,}]")

    @property
    def between(self) -> bytes:
        """The end of a row and the beginning of the next one."""
        return b"}," + self.start


RESULT: Final = Shape("prediction", "frame")
"""A result, one row for each frame that was looked at."""

TRACKS: Final = Shape("tracks", "track")
"""A list of tracks, one row for each."""


def read_head(data: bytes, shape: Shape = RESULT) -> tuple[bytes, int] | None:
    """Return what stands before the list of rows, and where in `data` the first row begins.

    None when `data` has not come so far yet.

    Raises:
        Malformed: there is no such list.
    """
    found = data.find(shape.opening)
    if found >= 0:
        return data[:found], found + len(shape.opening)
    if len(data) > LONGEST_HEAD:
        raise Malformed("a result", f"has no {shape.array}")
    return None


def split_rows(block: bytes, shape: Shape = RESULT) -> list[bytes]:
    """Return the rows of a block, each as it stands there."""
    if not block:
        return []
    parts = block.split(shape.between)
    closed = [part + b"}" for part in parts[:-1]] + parts[-1:]
    return closed[:1] + [shape.start + part for part in closed[1:]]


class Splitter:
    """Cuts what arrives, in pieces of any size, into blocks of whole rows with a comma between them.

    Args:
        shape: of the document; what arrives begins with a row of it, or with its end.
    """

    def __init__(self, shape: Shape = RESULT) -> None:
        self._between = shape.between
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """Return the rows that are whole now; nothing when none is.

        Raises:
            Malformed: no row ends for too long.
        """
        data = self._rest + piece
        cut = data.rfind(self._between)
        self._rest = data[cut + 2 :] if cut >= 0 else data
        if len(self._rest) > LONGEST_ROW:
            raise Malformed("a result", f"a row is longer than {LONGEST_ROW} bytes")
        return data[: cut + 1] if cut >= 0 else b""

    def end(self) -> bytes:
        """Return the last row; nothing where there are none.

        Raises:
            Malformed: the document ended before its end.
        """
        rest = self._rest.rstrip()
        if not rest.endswith(b"}") or not (rest := rest[:-1].rstrip()).endswith(b"]"):
            raise Malformed("a result", "it breaks off")
        return rest[:-1].rstrip()
