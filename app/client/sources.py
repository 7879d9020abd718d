"""What is uploaded: files, bytes and what can be read, as a form's body that can be sent again."""

import contextlib
import io
import mimetypes
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final, TypeAlias
from uuid import uuid4

from app.domain.filenames import clean_filename

PIECE: Final = 1 << 18
"""Bytes that are read and sent at a time."""

VIDEO: Final = "video/mp4"
"""What a file is called whose name does not say; Kadr looks at the bytes."""

Readable: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes]
"""A path, bytes, or a file that is open for reading bytes."""

OnSent: TypeAlias = Callable[[int], object]
"""Told how many bytes of the file have left; it begins anew when they have to be sent again."""


@dataclass(frozen=True)
class StoredObject:
    """A video that is in Kadr's object storage already; it stays there whatever becomes of the video.

    Attributes:
        object: its name.
        bucket: where it is; None leaves that to Kadr.
    """

    object: str
    bucket: str | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """Bytes of a video.

    Attributes:
        open: opens them; the file is left open where it is the caller's own.
        name: as people call it; None where nobody said.
        size: bytes; None where that is not known before the end.
        start: the first byte that is meant.
        can_repeat: whether they can be read a second time.
    """

    open: Callable[[], contextlib.AbstractContextManager[IO[bytes]]]
    name: str | None
    size: int | None
    start: int = 0
    can_repeat: bool = True

    def part(self, start: int, size: int) -> "Source":
        """Return some of the bytes, which is possible where they can be read a second time."""
        return replace(self, start=self.start + start, size=size)

    @property
    def content_type(self) -> str:
        """The media type that its name stands for."""
        guessed = mimetypes.guess_type(self.name or "")[0] or VIDEO
        return guessed if guessed.startswith("video/") else VIDEO


@dataclass(frozen=True)
class Body:
    """The body of a request: a file, and what stands before and after it.

    Attributes:
        source: the file.
        head: before it.
        tail: after it.
        on_sent: told how far it is.
    """

    source: Source
    head: bytes = b""
    tail: bytes = b""
    on_sent: OnSent | None = None

    @property
    def size(self) -> int | None:
        """Bytes; None where that is not known before the end."""
        size = self.source.size
        return None if size is None else len(self.head) + size + len(self.tail)

    def pieces(self) -> Generator[bytes, None, None]:
        """Yield the bytes, from the first one each time."""
        if self.head:
            yield self.head
        left = self.source.size
        with self.source.open() as file:
            if self.source.start or self.source.can_repeat:
                file.seek(self.source.start)
            while piece := file.read(PIECE if left is None else min(PIECE, left)):
                yield piece
                left = None if left is None else left - len(piece)
        if self.tail:
            yield self.tail

    def tell(self, sent: int) -> None:
        """Say how many bytes of the body have left; whoever asked is told those of the file."""
        if self.on_sent is not None:
            of_file = max(0, sent - len(self.head))
            self.on_sent(of_file if self.source.size is None else min(of_file, self.source.size))


def open_source(readable: Readable, *, name: str | None = None) -> Source:
    """Return what is to be uploaded.

    Args:
        readable: it.
        name: as people call it; else that of the file.

    Raises:
        OSError: there is no such file, or it is none.
    """
    if isinstance(readable, bytes):
        return Source(open=lambda: io.BytesIO(readable), name=name, size=len(readable))
    if isinstance(readable, (str, os.PathLike)):
        path = Path(readable)
        size = _size_of(path)
        source = Source(open=lambda: path.open("rb"), name=name or path.name, size=size)
        return replace(source, can_repeat=size is not None)  # a pipe is read once
    named = getattr(readable, "name", None)
    named = os.path.basename(named) if isinstance(named, str) else None  # noqa: PTH119 - a text, maybe no path
    if not readable.seekable():
        source = Source(open=lambda: contextlib.nullcontext(readable), name=name or named, size=None)
        return replace(source, can_repeat=False)
    start = readable.tell()
    size = readable.seek(0, io.SEEK_END) - start
    return Source(
        open=lambda: contextlib.nullcontext(readable), name=name or named, size=max(size, 0), start=start
    )


def form_of(source: Source, fields: tuple[tuple[str, str], ...], on_sent: OnSent | None) -> tuple[str, Body]:
    """Return the media type and the body of a form: the fields, then the file.

    Args:
        source: the part `file`.
        fields: the other parts, in order.
        on_sent: told how far it is.
    """
    boundary = uuid4().hex
    parts = [_part(boundary, f'name="{field}"', value=value) for field, value in fields]
    filename = _quoted(clean_filename(source.name) or "video")
    head = "".join(parts) + _part(boundary, f'name="file"; filename="{filename}"', kind=source.content_type)
    body = Body(source, head.encode(), f"\r\n--{boundary}--\r\n".encode(), on_sent)
    return f"multipart/form-data; boundary={boundary}", body


def _part(boundary: str, said: str, *, value: str | None = None, kind: str | None = None) -> str:
    typed = f"Content-Type: {kind}\r\n" if kind else ""
    opening = f"--{boundary}\r\nContent-Disposition: form-data; {said}\r\n{typed}\r\n"
    return opening if value is None else f"{opening}{value}\r\n"


def _quoted(name: str) -> str:
    """Escape a name as a quoted string has it (RFC 2183); it has no line ends."""
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _size_of(path: Path) -> int | None:
    found = path.stat()
    if path.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(path))
    return found.st_size if path.is_file() else None
