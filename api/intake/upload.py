"""A video that is sent, straight into S3: what arrives is handed on, nothing is kept or written to disk.

The body is pulled: the next piece is read from the socket when S3 has taken the last part, so that a fast
client and a slow server meet in the kernel's buffers and not in our memory.
"""

import hashlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from api.intake.options import VideoOptions
from api.intake.orders import Order, Pair
from api.intake.sent import Announced, SentFile
from api.problems import Invalid
from app.clients.s3.storage import Storage, TooLarge
from app.domain.filenames import clean_filename, encode_filename
from app.domain.objects import (
    OURS,
    input_object,
    video_of,
)
from app.errors import Missing, RetryLater, Unavailable
from app.telemetry.metrics import UPLOAD_BYTES
from app.telemetry.stages import timed

logger = logging.getLogger(__name__)

DEFAULT_BUCKET: Final = "videos"

ReadOrder: TypeAlias = Callable[[Sequence[Pair]], Order]
"""Reads what the client says; asked before the file's first byte, and again at the end with everything."""


@dataclass(frozen=True)
class Uploaded:
    """A file that has arrived.

    Attributes:
        bucket: where it is meant to be kept.
        filename: what is kept of its name.
        size: in bytes.
        sha256: of its bytes, in hexadecimal digits; empty where nobody wanted to know.
        options: what is chosen for it.
    """

    bucket: str
    filename: str | None
    size: int
    sha256: str
    options: VideoOptions


class _Measured:
    """The bytes of a file as they pass by: there are some, and not too many.

    Args:
        pieces: the bytes.
        limit: how many there may be.
        is_digested: whether to compute their digest, too.
    """

    def __init__(self, pieces: AsyncIterator[bytes], *, limit: int, is_digested: bool) -> None:
        self._pieces = pieces
        self._limit = limit
        self._digest = hashlib.sha256() if is_digested else None
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of what has passed by."""
        return self._digest.hexdigest() if self._digest else ""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces.

        Raises:
            Invalid: there is none.
            TooLarge: there are too many bytes.
        """
        async for piece in self._pieces:
            self.size += len(piece)
            UPLOAD_BYTES.inc(len(piece))
            if self.size > self._limit:
                raise TooLarge(self._limit)
            if self._digest:
                self._digest.update(piece)
            yield piece
        if not self.size:
            raise Invalid("file", "is empty")


async def receive_video(
    sent: SentFile,
    *,
    video_id: str,
    storage: Storage,
    read: ReadOrder,
    default: str,
    limit: int,
    is_digested: bool = False,
) -> Uploaded:
    """Write a file to S3, as the input of a video; whatever goes wrong, nothing is left of it.

    Args:
        sent: the file, and what is said of it before and after.
        video_id: names the object.
        storage: where it goes.
        read: reads what is said of it.
        default: the bucket when none is named.
        limit: bytes that the file may have.
        is_digested: whether its digest is wanted.

    Raises:
        Invalid: there is no file, it is empty, or what is said of it cannot be accepted.
        TooLarge: the file is.
        Stalled: the client sends nothing more.
        Unavailable: S3 does not answer. What it may have kept all the same, a sweep removes a day later.
    """
    announced, order = await _begin(sent, read)
    first = order.bucket or default
    name = input_object(video_id)
    content_type = video_content_type(announced.content_type)
    filename = clean_filename(announced.filename)
    metadata = upload_metadata(filename)
    passing = _Measured(sent.pieces(), limit=limit, is_digested=is_digested)
    with _present(), timed("upload", video_id) as noted:
        await storage.put_stream(first, name, aiter(passing), content_type=content_type, metadata=metadata)
        try:
            order = read(announced.pairs + await sent.rest())
            bucket = order.bucket or default
            if bucket != first:
                await storage.copy(
                    (first, name), (bucket, name), content_type=content_type, metadata=metadata
                )
                await storage.delete(first, name)
        except Unavailable:
            raise  # and S3 would not remove it either
        except BaseException:
            await _remove(storage, first, name)
            raise
        noted["bytes"] = passing.size
    return Uploaded(bucket, filename, passing.size, passing.sha256, order.options)


async def read_through(sent: SentFile, *, read: ReadOrder, default: str, limit: int) -> Uploaded:
    """Read a file to its end, with its digest, and keep nothing of it.

    Raises:
        Invalid, TooLarge, Stalled: as above.
    """
    announced, _ = await _begin(sent, read)
    passing = _Measured(sent.pieces(), limit=limit, is_digested=True)
    async for _ in passing:
        pass
    order = read(announced.pairs + await sent.rest())
    filename = clean_filename(announced.filename)
    return Uploaded(order.bucket or default, filename, passing.size, passing.sha256, order.options)


async def _begin(sent: SentFile, read: ReadOrder) -> tuple[Announced, Order]:
    announced = await sent.announced()
    order = read(announced.pairs)
    if not announced.is_there:
        raise Invalid("file", "is missing: send it as a part of a multipart form")
    return announced, order


def in_buckets(read: ReadOrder, buckets: Sequence[str]) -> ReadOrder:
    """Return the same, which refuses buckets that are not allowed."""

    def read_checked(pairs: Sequence[Pair]) -> Order:
        order = read(pairs)
        if order.bucket is not None:
            check_bucket(order.bucket, buckets)
        return order

    return read_checked


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
        fields = {"video_id": video_of(name), "object": name, "cause": str(error)}
        logger.info("upload not removed", extra=fields)


def default_bucket(buckets: Sequence[str]) -> str:
    """Return the bucket that is meant where none is named."""
    return DEFAULT_BUCKET if DEFAULT_BUCKET in buckets else buckets[0]


def check_bucket(bucket: str, buckets: Sequence[str]) -> None:
    """Return if a bucket may be used.

    Raises:
        Invalid: it may not.
    """
    if bucket not in buckets:
        raise Invalid("bucket", f"is not one of: {', '.join(buckets)}")


def video_content_type(value: str) -> str:
    """A browser's guess, where it is a video's: it comes back as a header, so only plain words pass."""
    return value if re.fullmatch(r"video/[\w.+-]{1,60}", value, re.ASCII) else "video/mp4"


def upload_metadata(filename: str | None) -> Mapping[str, str]:
    """Return what is kept with an upload: our mark, and the file's name once it is clean."""
    return OURS | ({"filename": encode_filename(filename)} if filename else {})
