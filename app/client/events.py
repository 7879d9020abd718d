"""Server-sent events (WHATWG HTML, 9.2), as far as Kadr sends them: pure.

What is not needed here is not read: ids, because who comes back is told how the video is then, and the time
after which to come back, because that is ours to choose.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 1 << 20
"""Bytes of one line, and of one event: what Kadr says of a video is a thousandth of it."""


@dataclass(frozen=True)
class Event:
    """An event.

    Attributes:
        name: `status`, `progress`, `deleted` or `end`.
        data: JSON.
    """

    name: str
    data: bytes


class EventsTooLong(ValueError):
    """Whoever sends this is not Kadr."""


class EventReader:
    """Turns pieces of a stream into events, wherever it is cut."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = b""
        self._data: list[bytes] = []

    def read(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that are complete with this piece.

        Raises:
            EventsTooLong: a line or an event has no end.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) + sum(map(len, self._data)) > LONGEST:
            raise EventsTooLong
        for line in lines:
            if event := self._take(line.removesuffix(b"\r")):
                yield event

    def _take(self, line: bytes) -> Event | None:
        if not line:
            return self._end()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._name = value
        elif name == b"data":
            self._data.append(value)
        return None

    def _end(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data = b"", []
        return Event(name.decode("utf-8", "replace") or "message", b"\n".join(data)) if data else None
