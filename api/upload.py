"""A multipart body, straight into S3: what arrives is handed on, nothing is kept or written to disk.

The body is pulled: the next piece is read from the socket when S3 has taken the last part, so that a fast
client and a slow server meet in the kernel's buffers and not in our memory.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from api.problems import Invalid, Stalled
from app.clients.storage import Storage
from app.domain.documents import OURS, input_object
from app.errors import Missing, RetryLater, Unavailable

if TYPE_CHECKING:  # the library defines it for type checkers only
    from python_multipart.multipart import MultipartCallbacks

logger = logging.getLogger(__name__)
# It warns of each body that is no form; the client is told, which is enough.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

MAX_FIELD: Final = 1024
"""Bytes of a form field. A bucket's name has at most 63."""

MAX_PARTS: Final = 20
"""Parts of a form. We know two."""

MAX_FILENAME: Final = 1024
"""Bytes of a file name once it is percent-encoded; S3 keeps 2 KB of metadata."""

IDLE_WITHIN: Final = 60.0
"""Seconds without a byte after which a client is given up. One whose network is gone says nothing any more,
and neither does the server: nobody would ever end its upload."""

REST_WITHIN: Final = 60.0
"""Seconds for what follows the file in the form: the object is complete meanwhile, and nothing names it."""

FRAMING: Final = 64 << 10
"""Bytes that a form may have beside the file: boundaries, headers and fields."""


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


@dataclass(frozen=True)
class Uploaded:
    """A file that is in S3 now."""

    bucket: str
    object: str
    filename: str | None


class _Parser:
    """Turns pieces of a body into events."""

    def __init__(self, boundary: bytes) -> None:
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
        self._parts = 0
        self._field = self._value = b""
        self._headers: dict[str, str] = {}

    def write(self, data: bytes) -> None:
        self._parser.write(data)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Invalid("body", f"has more than {MAX_PARTS} parts")
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

    Raises:
        Invalid: the header does not announce a form.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise Invalid("body", "must be multipart/form-data with a part called file")
        self._body = body
        try:
            self._parser = _Parser(boundary)
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
            if len(value) > MAX_FIELD:
                raise Invalid("body", f"has a field of more than {MAX_FIELD} bytes")
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
            try:
                async with asyncio.timeout(IDLE_WITHIN):
                    data = await anext(self._body, b"")
            except TimeoutError:
                raise Stalled from None
            if not data:
                if self._parser.is_complete:
                    return None
                raise Invalid("body", "breaks off before the form's end")
            try:
                self._parser.write(data)
            except FormParserError as error:
                raise Invalid("body", f"is no form: {error}") from error
        return events.popleft()


async def receive_video(
    form: Form, *, video_id: str, storage: Storage, buckets: tuple[str, ...], default: str, limit: int
) -> Uploaded:
    """Write a form's file to S3; whatever goes wrong, nothing is left of it.

    Args:
        form: has a part `file` and maybe a part `bucket`, before it or after it.
        video_id: names the object.
        storage: where it goes.
        buckets: those that are allowed.
        default: the bucket when the form names none.
        limit: bytes that the file may have.

    Raises:
        Invalid: there is no file, it is empty, or the bucket is not allowed.
        TooLarge: the file is.
        Stalled: the client sends nothing more.
        Unavailable: S3 does not answer. What it may have kept all the same, a sweep removes a day later.
    """
    bucket: str | None = None
    while (part := await form.next_part()) is not None and part.name != "file":
        if part.name == "bucket":
            bucket = _allowed(await form.field(), buckets)
    if part is None:
        raise Invalid("file", "is missing: send it as a part of a multipart form")
    name = input_object(video_id)
    first = bucket or default
    content_type = _content_type(part.content_type)
    metadata = _metadata(part.filename)
    with _present():
        await storage.put_stream(
            first, name, _not_empty(form.pieces()), content_type=content_type, metadata=metadata, limit=limit
        )
        try:
            second = await _rest(form, buckets) or first
            if second != first:
                await storage.copy(
                    (first, name), (second, name), content_type=content_type, metadata=metadata
                )
                await storage.delete(first, name)
        except Unavailable:
            raise  # and S3 would not remove it either
        except BaseException:
            await _remove(storage, first, name)
            raise
    return Uploaded(second, name, part.filename)


@contextmanager
def _present() -> Iterator[None]:
    """Somebody has removed the bucket, or what we have begun to write: that is no fault of the client."""
    try:
        yield
    except Missing as error:
        raise Unavailable("S3", error) from error


async def _remove(storage: Storage, bucket: str, name: str) -> None:
    """Remove an upload that came to nothing; where S3 is away, a sweep does it a day later."""
    try:
        await storage.delete(bucket, name)
    except RetryLater as error:
        logger.info("upload not removed", extra={"object": name, "cause": str(error)})


async def _rest(form: Form, buckets: tuple[str, ...]) -> str | None:
    try:
        async with asyncio.timeout(REST_WITHIN):
            return await _later_bucket(form, buckets)
    except TimeoutError:
        raise Stalled from None


async def _later_bucket(form: Form, buckets: tuple[str, ...]) -> str | None:
    bucket = None
    while (part := await form.next_part()) is not None:
        if part.name == "file":
            raise Invalid("file", "is there twice: send one video per request")
        if part.name == "bucket":
            bucket = _allowed(await form.field(), buckets)
    return bucket


async def _not_empty(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    is_empty = True
    async for piece in pieces:
        is_empty = False
        yield piece
    if is_empty:
        raise Invalid("file", "is empty")


def _allowed(bucket: str, buckets: tuple[str, ...]) -> str:
    check_bucket(bucket, buckets)
    return bucket


def check_bucket(bucket: str, buckets: tuple[str, ...]) -> None:
    """Return if a bucket may be used.

    Raises:
        Invalid: it may not.
    """
    if bucket not in buckets:
        raise Invalid("bucket", f"is not one of: {', '.join(buckets)}")


def _content_type(value: str) -> str:
    """A browser's guess, where it is a video's: it comes back as a header, so only plain words pass."""
    return value if re.fullmatch(r"video/[\w.+-]{1,60}", value, re.ASCII) else "video/mp4"


def _metadata(filename: str | None) -> Mapping[str, str]:
    """S3 keeps ASCII only, hence the percent-encoding."""
    encoded = quote(filename or "", safe="")[:MAX_FILENAME]
    return OURS | ({"filename": encoded} if encoded else {})


def _text(value: bytes) -> str:
    """Browsers and curl send names as UTF-8, whatever the standards say."""
    return value.decode("utf-8", "replace")
