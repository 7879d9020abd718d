"""A form, read piece by piece: nothing of it is kept, and everything in it has an end."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from api.problems import Invalid
from app.clients.s3.storage import TooLarge

if TYPE_CHECKING:  # the library defines it for type checkers only
    from python_multipart.multipart import MultipartCallbacks

# It warns of each body that is no form; the client is told, which is enough.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

FORM: Final = "multipart/form-data"

SLICE: Final = 64 << 10
"""Bytes that are parsed before others have their turn: where they are nearly all boundary, 10 ms."""

FRAMING: Final = 64 << 10
"""Bytes that a form may have beside the file: boundaries, headers and fields."""


@dataclass(frozen=True)
class Bounds:
    """How much a form may have beside its file.

    Attributes:
        field: bytes of a field.
        parts: how many there may be.
    """

    field: int
    parts: int


@dataclass(frozen=True)
class PartBegun:
    """A part of the form begins."""

    name: str
    filename: str | None
    content_type: str


@dataclass(frozen=True)
class PartEnded:
    """A part of the form is complete."""


Event: TypeAlias = PartBegun | bytes | PartEnded


class _Parser:
    """Turns pieces of a body into events."""

    def __init__(self, boundary: bytes, *, most_parts: int) -> None:
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": lambda data, start, end: self.events.append(data[start:end]),
            "on_part_end": lambda: self.events.append(PartEnded()),
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)
        self.events: deque[Event] = deque()
        self.is_complete = False
        self._most_parts = most_parts
        self._parts = 0
        self._field = self._value = b""
        self._headers: dict[str, str] = {}

    def write(self, data: bytes) -> None:
        self._parser.write(data)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._most_parts:
            raise Invalid("body", f"has more than {self._most_parts} parts")
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition"))
        found = {name: _text(value) for name, value in options.items()}
        self.events.append(
            PartBegun(found.get(b"name", ""), found.get(b"filename"), self._headers.get("content-type", ""))
        )

    def _end(self) -> None:
        self.is_complete = True


class Form:
    """A form that is read piece by piece.

    Args:
        content_type: the request's header.
        body: pieces of the body.
        limit: bytes that its file may have; everything else in the form has `FRAMING` at most.
        bounds: how much else it may have.

    Raises:
        Invalid: the header does not announce a form.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes], *, limit: int, bounds: Bounds) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != FORM.encode() or not boundary:
            raise Invalid("body", f"must be {FORM} with a part called file")
        self._body = body
        self._limit = limit
        self._left = limit + FRAMING
        self._bounds = bounds
        self._unparsed: deque[bytes] = deque()
        try:
            self._parser = _Parser(boundary, most_parts=bounds.parts)
        except FormParserError as error:
            raise Invalid("body", f"is no form: {error}") from error

    async def next_part(self) -> PartBegun | None:
        """Return the next part, or None after the last one; what is unread of the one before is dropped."""
        while (event := await self._next()) is not None:
            if isinstance(event, PartBegun):
                return event
        return None

    async def field(self) -> str:
        """Return the text of the part that was begun.

        Raises:
            Invalid: it is longer than a field may be.
        """
        value = b""
        async for piece in self.pieces():
            value += piece
            if len(value) > self._bounds.field:
                raise Invalid("body", f"has a field of more than {self._bounds.field} bytes")
        return value.decode("utf-8", "replace").strip()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the part that was begun.

        Raises:
            Invalid: the body breaks off before the part's end.
        """
        while True:
            event = await self._next()
            if isinstance(event, PartEnded):
                return
            if not isinstance(event, bytes):
                raise Invalid("body", "breaks off within a part")
            yield event

    async def _next(self) -> Event | None:
        events = self._parser.events
        while not events:
            data = await self._next_slice()
            if not data:
                if self._parser.is_complete:
                    return None
                raise Invalid("body", "breaks off before the form's end")
            try:
                self._parser.write(data)
            except FormParserError as error:
                raise Invalid("body", f"is no form: {error}") from error
        return events.popleft()

    async def _next_slice(self) -> bytes:
        if self._unparsed:
            await asyncio.sleep(0)
            return self._unparsed.popleft()
        data = await anext(self._body, b"")
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge(self._limit)
        self._unparsed.extend(data[start : start + SLICE] for start in range(SLICE, len(data), SLICE))
        return data[:SLICE]


def _text(value: bytes) -> str:
    """Browsers and curl send names as UTF-8, whatever the standards say."""
    return value.decode("utf-8", "replace")
