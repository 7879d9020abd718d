"""What a result says of one frame, found in it without reading it all: its rows are in order."""

from typing import Final

from app.clients.s3.storage import Storage
from app.domain.messages import VideoFacts
from app.domain.objects import (
    detection_object,
)
from app.domain.result_rows import LONGEST_ROW, RESULT, Splitter, read_head
from app.domain.results import Row, decode_head, decode_rows
from app.errors import Malformed, Missing

NARROW: Final = 256 << 10
"""Bytes of a result that are read from one end to the other."""

PIECE: Final = 64 << 10
"""Bytes that are read at a time: mostly some dozen rows."""


class Findings:
    """One result in S3.

    Args:
        storage: where it is.
        bucket: likewise.
        video_id: whose it is.
        size: in bytes.
        etag: of the object.
    """

    def __init__(self, storage: Storage, bucket: str, video_id: str, *, size: int, etag: str) -> None:
        self.size = size
        self.etag = etag
        self._storage = storage
        self._bucket = bucket
        self._name = detection_object(video_id)

    async def facts(self) -> VideoFacts:
        """Return what is known of the video.

        Raises:
            Missing: the result was deleted meanwhile.
            Malformed: it is no result.
        """
        prefix, _ = await self._begin()
        return decode_head(prefix).video

    async def at(self, number: int) -> Row | None:
        """Return the last frame at or before this one that was looked at; None where there is none.

        Raises:
            Missing: the result was deleted meanwhile.
            Malformed: it is no result.
        """
        _, low = await self._begin()
        high = self.size
        while high - low > NARROW:
            middle = (low + high) // 2
            found = await self._first_from(middle, high)
            if found is None or found[1] > number:
                high = middle
            else:
                low = found[0]
        return await self._last_up_to(number, low)

    async def _begin(self) -> tuple[bytes, int]:
        """Return what stands before the rows, and where the first one begins."""
        data = b""
        while (found := read_head(data)) is None:
            if len(data) >= self.size:
                raise Malformed("a result", "it breaks off")
            data += await self._read(len(data), PIECE)
        return found

    async def _first_from(self, start: int, end: int) -> tuple[int, int] | None:
        """Return where the first row begins from `start` on, and its frame; None where none does in time."""
        data, position = b"", start
        while position < end and len(data) <= LONGEST_ROW:
            data += await self._read(position, PIECE)
            position = start + len(data)
            if row := RESULT.numbered.search(data):
                return (start + row.start(), int(row[1])) if start + row.start() < end else None
        return None

    async def _last_up_to(self, number: int, position: int) -> Row | None:
        """Return the last row up to this frame, of those that follow the one that begins at `position`."""
        splitter, last = Splitter(), None
        while True:
            piece = await self._read(position, PIECE)
            position += len(piece)
            for row in decode_rows(splitter.feed(piece) if piece else splitter.end()):
                if row.frame > number:
                    return last
                last = row
            if not piece:
                return last

    async def _read(self, start: int, length: int) -> bytes:
        if start >= self.size:
            return b""
        length = min(length, self.size - start)
        async with self._storage.stream(self._bucket, self._name, start=start, length=length) as (_, pieces):
            return b"".join([piece async for piece in pieces])


async def open_findings(storage: Storage, bucket: str, video_id: str) -> Findings | None:
    """Return the result of a video; None when there is none."""
    facts = await storage.stat(bucket, detection_object(video_id))
    if facts is None:
        return None
    return Findings(storage, bucket, video_id, size=facts.size, etag=facts.etag)


async def require_findings(storage: Storage, bucket: str, video_id: str) -> Findings:
    """Return the result of a video.

    Raises:
        Missing: there is none.
    """
    found = await open_findings(storage, bucket, video_id)
    if found is None:
        raise Missing(f"The result of {video_id}")
    return found
