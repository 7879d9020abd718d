"""Objects of an S3 server, read and written without ever holding a whole one in memory."""

import asyncio
import io
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from app.clients.s3.calls import S3, BucketRules, ObjectFacts, Place, UploadedPart, UploadKey, open_s3
from app.errors import Missing, Rejected, RetryLater, Unavailable
from app.settings import Settings

__all__ = ["PART", "ObjectFacts", "Storage", "TooLarge", "UploadKey", "UploadedPart", "open_storage"]

logger = logging.getLogger(__name__)

PART: Final = 8 << 20
"""Bytes per part of a large object. S3 asks for at least 5 MiB and at most 10,000 parts: 80 GB."""

ABORT_PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 240.0)
"""Seconds between the tries to take away an upload that came to nothing; after that it is left to a sweep."""

FINISH_WITHIN: Final = 5.0
"""Seconds that the end of the process, or of a call, waits for that."""

COPY_PART: Final = 256 << 20
"""Bytes per part of a server-side copy: one such copy must end within a read timeout."""


class TooLarge(Rejected):
    """More bytes came than are allowed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__("too_large", f"more than the {limit} bytes that are allowed")


class Storage:
    """An S3 server. Every method raises `Unavailable` when the server does not do its work.

    Args:
        s3: its calls.
        bucket: the first one that is ours; without it the server is not ready.
    """

    def __init__(self, s3: S3, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._cleanups: set[asyncio.Task[None]] = set()

    async def ping(self) -> None:
        """Return if the server answers and our first bucket is there.

        Raises:
            Unavailable: it does not, or the bucket is not there.
        """
        if not await self._s3.has_bucket(self._bucket):
            raise Unavailable("S3", f"there is no bucket {self._bucket}")

    async def has_bucket(self, name: str) -> bool:
        """Return whether there is such a bucket."""
        return await self._s3.has_bucket(name)

    async def rules(self, bucket: str) -> BucketRules:
        """Return what the server does with the objects of a bucket by itself.

        Raises:
            Missing: there is no such bucket.
        """
        return await self._s3.rules(bucket)

    async def ensure_buckets(self, names: Iterable[str]) -> None:
        """Create the buckets that are not there yet."""
        for name in names:
            await self._s3.make_bucket(name)

    async def put(
        self,
        bucket: str,
        name: str,
        data: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write an object that fits into memory.

        Raises:
            Missing: there is no such bucket.
        """
        await self._s3.put(bucket, name, data, object_headers(content_type, metadata))

    async def put_stream(
        self,
        bucket: str,
        name: str,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> int:
        """Write an object from pieces of any size; return how many bytes it has.

        When anything goes wrong, and when the task is cancelled, nothing is left of it. An object that
        had this name before stays as it was. At most two parts are held in memory.

        Raises:
            TooLarge: more than `limit` bytes came.
            Missing: there is no such bucket.
            Unavailable: the server does not answer. The object may appear all the same when it was nearly
                written; a part of it is taken away in the background.
        """
        headers = object_headers(content_type, metadata)
        parts = _in_parts(chunks, limit)
        first = await anext(parts, b"")
        if len(first) < PART:
            await self._s3.put(bucket, name, first, headers)
            return len(first)
        size = len(first)
        async with self._upload(bucket, name, headers) as (key, tags):
            tags.append(await self._s3.send_part(key, 1, first))
            del first  # or it would stay in memory to the end
            async for part in parts:
                size += len(part)
                tags.append(await self._s3.send_part(key, len(tags) + 1, part))
                del part  # or it would stay in memory beside the next one
        return size

    async def stat(self, bucket: str, name: str) -> ObjectFacts | None:
        """Return what is known of an object; None when it is not there."""
        try:
            return await self._s3.head(bucket, name)
        except Missing:
            return None

    async def get(self, bucket: str, name: str) -> bytes:
        """Return the bytes of a small object.

        Raises:
            Missing: it is not there.
        """
        async with self.stream(bucket, name) as (_, chunks):
            return b"".join([chunk async for chunk in chunks])

    @asynccontextmanager
    async def stream(
        self, bucket: str, name: str, *, chunk: int = 1 << 20, start: int = 0, length: int = 0
    ) -> AsyncIterator[tuple[ObjectFacts, AsyncIterator[bytes]]]:
        """Yield what is known of an object, and its bytes in pieces of at most `chunk` bytes.

        Args:
            bucket: where it is.
            name: what it is called.
            chunk: bytes of a piece at most.
            start: the first byte that is read; the object has it.
            length: how many are read; all up to the end when it is 0.

        Raises:
            Missing: it is not there.
        """
        download = await self._s3.open(bucket, name, start=start, length=length)

        async def chunks() -> AsyncIterator[bytes]:
            while data := await download.read(chunk):
                yield data

        try:
            yield download.facts, chunks()
        finally:
            download.close()

    async def download(self, bucket: str, name: str, path: Path) -> ObjectFacts:
        """Write an object to a local file; a cancelled caller waits until the file is let go.

        Raises:
            Missing: the object is not there.
            Unavailable: the server does not answer. If it hangs, the file may be written to a little longer.
        """
        stop = threading.Event()
        call = asyncio.ensure_future(self._s3.download(bucket, name, path, stop=stop))
        try:
            return await asyncio.shield(call)
        except BaseException:
            stop.set()
            await asyncio.wait([call])
            raise

    async def delete(self, bucket: str, name: str) -> None:
        """Remove an object; one that is not there is fine."""
        await self.delete_many(bucket, [name])

    async def delete_many(self, bucket: str, names: Iterable[str]) -> None:
        """Remove objects; those that are not there are fine."""
        with suppress(Missing):
            await self._s3.remove(bucket, list(names))

    async def names(self, bucket: str, prefix: str, *, after: str = "") -> AsyncIterator[ObjectFacts]:
        """Yield the objects whose names begin with `prefix`, in order, a page at a time.

        Args:
            bucket: where to look; nothing is yielded when it is not there.
            prefix: how the names begin.
            after: a name; only those behind it are yielded.
        """
        with suppress(Missing):
            async for page in self._s3.pages(bucket, prefix, after):
                for item in page:
                    yield item

    async def copy(
        self,
        source: Place,
        target: Place,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Copy an object within the server; source and target are (bucket, name).

        Raises:
            Missing: the source, or the target's bucket, is not there.
        """
        size = (await self._s3.head(*source)).size
        headers = object_headers(content_type, metadata)
        if size <= COPY_PART:
            await self._s3.copy(source, target, headers)
            return
        async with self._upload(*target, headers) as (key, tags):
            for start in range(0, size, COPY_PART):
                span = (start, min(start + COPY_PART, size) - 1)
                tags.append(await self._s3.copy_part(key, len(tags) + 1, source, span))

    async def unfinished(
        self, bucket: str, prefix: str, *, before: datetime, is_ours: Callable[[str], bool]
    ) -> AsyncIterator[UploadKey]:
        """Yield uploads that were begun and never ended, as by a process killed.

        A bucket that is not there holds none.

        Args:
            bucket: where to look.
            prefix: how the names begin.
            before: nothing of them has arrived since.
            is_ours: tells from a name whether the upload is one of those that are meant.
        """
        try:
            found = await self._s3.unfinished_uploads(bucket, prefix)
        except Missing:
            return
        for key in found:
            if key.begun and key.begun < before and is_ours(key.name):
                with suppress(Missing):  # completed or aborted meanwhile, perhaps by another process
                    newest = await self._s3.last_part(key)
                    if newest is None or newest < before:
                        yield key

    async def abort_unfinished(
        self, bucket: str, prefix: str, *, before: datetime, is_ours: Callable[[str], bool]
    ) -> int:
        """Take away the uploads that `unfinished` finds; return how many."""
        count = 0
        async for key in self.unfinished(bucket, prefix, before=before, is_ours=is_ours):
            with suppress(Missing):
                await self._s3.abort_upload(key)
                count += 1
        return count

    async def writing_origins(self, bucket: str) -> tuple[str, ...]:
        """Return whose pages may write into a bucket by its CORS rules."""
        return await self._s3.writing_origins(bucket)

    async def lets_pages_write(self, url: str, origin: str, headers: Iterable[str]) -> bool:
        """Return whether a page of this origin may PUT to a URL with these headers."""
        return await self._s3.lets_pages_write(url, origin, frozenset(name.lower() for name in headers))

    # Parts that somebody else sends, with URLs that we have signed

    async def begin_parts(
        self, bucket: str, name: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> UploadKey:
        """Begin an object whose parts others send; what never comes to an end, a sweep takes away.

        Raises:
            Missing: there is no such bucket.
        """
        return await self._s3.begin_upload(bucket, name, object_headers(content_type, metadata))

    async def parts(self, key: UploadKey) -> list[UploadedPart]:
        """Return what has arrived, in order.

        Raises:
            Missing: there is no such upload any more: it was completed or aborted.
        """
        return await self._s3.parts(key)

    async def assemble(self, key: UploadKey, tags: list[str]) -> None:
        """Make an object of all parts, in order.

        Raises:
            Missing: as above, unless to the server twice is the same as once.
        """
        await self._s3.complete_upload(key, tags)

    async def abort_parts(self, key: UploadKey) -> None:
        """Take away what has arrived; an upload that is over is fine."""
        with suppress(Missing):
            await self._s3.abort_upload(key)

    @asynccontextmanager
    async def _upload(
        self, bucket: str, name: str, headers: dict[str, str]
    ) -> AsyncIterator[tuple[UploadKey, list[str]]]:
        """Complete an upload at the end of the block, or leave nothing of it when the block raises."""
        key = await self._s3.begin_upload(bucket, name, headers)
        tags: list[str] = []
        try:
            yield key, tags
            await self._s3.complete_upload(key, tags)
        except RetryLater:  # the caller does not wait for what may take long
            self._begin_abort(key)
            raise
        except BaseException:
            await asyncio.wait([self._begin_abort(key)], timeout=FINISH_WITHIN)
            raise

    def _begin_abort(self, key: UploadKey) -> asyncio.Task[None]:
        cleanup = asyncio.create_task(self._abort(key))
        self._cleanups.add(cleanup)
        cleanup.add_done_callback(self._cleanups.discard)
        return cleanup

    async def _abort(self, key: UploadKey) -> None:
        for pause in ABORT_PAUSES:
            try:
                await self._s3.abort_upload(key)
            except Missing:
                return  # it had been completed or aborted before
            except RetryLater:
                await asyncio.sleep(pause)
            else:
                return
        logger.info("upload not aborted", extra={"object": key.name})

    async def finish(self) -> None:
        """Wait for what is still taken away, but not for a server that is away; a sweep does the rest."""
        if self._cleanups:
            _, unfinished = await asyncio.wait(self._cleanups, timeout=FINISH_WITHIN)
            for cleanup in unfinished:
                cleanup.cancel()


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncIterator[Storage]:
    """Yield a client of the S3 server that the settings name; it connects when it is first used."""
    async with open_s3(settings) as s3:
        storage = Storage(s3, settings.buckets[0])
        try:
            yield storage
        finally:
            await storage.finish()


def object_headers(content_type: str, metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Return how S3 is told what an object is."""
    own = {f"x-amz-meta-{key}": value for key, value in (metadata or {}).items()}
    return {"Content-Type": content_type} | own


async def _in_parts(chunks: AsyncIterator[bytes], limit: int | None) -> AsyncIterator[bytes]:
    """Yield pieces of at least PART bytes, the last one of less."""
    waiting, size = io.BytesIO(), 0
    async for chunk in chunks:
        size += len(chunk)
        if limit is not None and size > limit:
            raise TooLarge(limit)
        waiting.write(chunk)
        if waiting.tell() >= PART:
            part, waiting = waiting.getvalue(), io.BytesIO()
            yield part
            del part  # or it would stay in memory beside the next one
    if waiting.tell():
        yield waiting.getvalue()
