"""A result as it lies in S3: read from its beginning, from any row, or from a second on."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from app.clients.s3.storage import ObjectFacts, Storage
from app.domain.result_rows import RESULT, Shape, Splitter, read_head, split_rows
from app.domain.results import Head, decode_head
from app.errors import Malformed
from app.exports.process import ExportFailed

PIECE: Final = 64 << 10
"""Bytes that are looked at before others get a turn: about a millisecond."""

WINDOW: Final = 1 << 18
"""Bytes in which a row must begin; the largest a client may cause are about as long."""

_TIMED: Final = re.compile(rb'\},(?=\{"frame":\d+,"time":([-+.eE\d]+))')
"""The end of a row whose successor has a time."""


@dataclass(frozen=True)
class Stored:
    """A result, or a list of tracks, that is there.

    Attributes:
        facts: of the object.
        prefix: what stands before its rows.
        head: the same, read.
        first: where the first row begins.
        shape: how rows are found.
    """

    storage: Storage
    bucket: str
    facts: ObjectFacts
    prefix: bytes
    head: Head
    first: int
    shape: Shape

    @asynccontextmanager
    async def whole(self, start: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the document, in pieces, without the rows before the one that begins at byte `start`."""
        async with self.storage.stream(self.bucket, self.facts.name, start=start) as (_, pieces):

            async def chained() -> AsyncIterator[bytes]:
                yield self.prefix + self.shape.opening
                async for piece in pieces:
                    yield piece

            yield chained()

    async def rows(self, start: int) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield the rows from the one on that begins at byte `start`, each with where it begins.

        Raises:
            ExportFailed: the document breaks off.
        """
        splitter, at, name = Splitter(self.shape), start, self.facts.name
        try:
            async with self.storage.stream(self.bucket, name, start=start, chunk=PIECE) as (_, pieces):
                async for piece in pieces:
                    for row in split_rows(splitter.feed(piece), self.shape):
                        yield at, row
                        at += len(row) + 1
            for row in split_rows(splitter.end(), self.shape):
                yield at, row
        except Malformed as error:
            raise ExportFailed(error.reason) from error

    async def seek(self, seconds: float) -> int:
        """Return where a row begins before which there is none of `seconds` or later.

        Times never go back, so that they can be searched: 20 looks find a place in 100 GB.
        """
        low, high = self.first, self.facts.size
        while high - low > WINDOW:
            middle = (low + high) // 2
            found = _TIMED.search(await _read(self.storage, self.bucket, self.facts.name, middle, WINDOW))
            if found is None:
                high = middle  # at worst more is read than has to be
            elif float(found[1]) < seconds:
                low = middle + found.end()
            else:
                high = middle
        return low


async def open_stored(storage: Storage, bucket: str, name: str, shape: Shape = RESULT) -> Stored:
    """Return a result, its head read.

    Raises:
        Missing: it is not there.
        ExportFailed: it is no result.
    """
    data, length = b"", PIECE
    while True:
        async with storage.stream(bucket, name, length=length) as (facts, pieces):
            data = b"".join([piece async for piece in pieces])
        try:
            found = read_head(data, shape)
            if found is not None:
                return Stored(storage, bucket, facts, found[0], decode_head(found[0]), found[1], shape)
        except Malformed as error:
            raise ExportFailed(error.reason) from error
        if len(data) == facts.size:
            raise ExportFailed("a result cannot be read: it breaks off")
        length *= 4


async def _read(storage: Storage, bucket: str, name: str, start: int, length: int) -> bytes:
    async with storage.stream(bucket, name, start=start, length=length) as (_, pieces):
        return b"".join([piece async for piece in pieces])
