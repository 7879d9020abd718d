"""An S3 server in memory; tests/clients runs the same suite on it and on the real one, so it stays honest."""

import asyncio
import functools
import hashlib
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from app.clients.s3.calls import S3, Download, Headers, ObjectFacts, Place, UploadedPart, UploadKey
from app.errors import Missing, NoBucket, Unavailable


@dataclass
class _Kept:
    data: bytes
    headers: Headers
    modified: datetime

    def facts(self, name: str) -> ObjectFacts:
        prefix = "x-amz-meta-"
        own = {key.removeprefix(prefix): text for key, text in self.headers.items() if key.startswith(prefix)}
        return ObjectFacts(name, len(self.data), self.modified, self.headers["Content-Type"], own, self.etag)

    @functools.cached_property
    def etag(self) -> str:
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()


class _MemoryDownload(Download):
    def __init__(self, name: str, kept: _Kept, opened: set[str], span: slice) -> None:
        self.facts = kept.facts(name)
        self._rest = kept.data[span]
        self._opened = opened
        opened.add(name)

    async def read(self, size: int) -> bytes:
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        self._opened.discard(self.facts.name)


@dataclass
class _Parts:
    headers: Headers
    parts: dict[int, bytes] = field(default_factory=dict)
    arrived: list[datetime] = field(default_factory=list)


class MemoryS3(S3):
    """An S3 server in memory.

    Attributes:
        is_away: while it is set, every call raises `Unavailable`.
        buckets: objects by name, by bucket.
        uploads: those that were begun and not ended.
        opened: names of objects that are being read.
    """

    def __init__(self, *buckets: str) -> None:
        self.is_away = False
        self.buckets: dict[str, dict[str, _Kept]] = {bucket: {} for bucket in buckets}
        self.uploads: dict[UploadKey, _Parts] = {}
        self.opened: set[str] = set()
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._keys = itertools.count()

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return the objects of a bucket."""
        return {name: kept.data for name, kept in self.buckets[bucket].items()}

    async def has_bucket(self, bucket: str) -> bool:
        self._answer()
        return bucket in self.buckets

    async def head(self, bucket: str, name: str) -> ObjectFacts:
        return self._kept(bucket, name).facts(name)

    async def make_bucket(self, bucket: str) -> None:
        self._answer()
        self.buckets.setdefault(bucket, {})

    async def put(self, bucket: str, name: str, data: bytes, headers: Headers) -> None:
        self._bucket(bucket)[name] = _Kept(data, headers, self.clock())

    async def copy(self, source: Place, target: Place, headers: Headers) -> None:
        await self.put(*target, self._kept(*source).data, headers)

    async def begin_upload(self, bucket: str, name: str, headers: Headers) -> UploadKey:
        self._bucket(bucket)
        key = UploadKey(bucket, name, str(next(self._keys)), self.clock())
        self.uploads[key] = _Parts(headers)
        return key

    async def send_part(self, key: UploadKey, number: int, data: bytes) -> str:
        self._parts(key).parts[number] = data
        self._parts(key).arrived.append(self.clock())
        return str(number)

    async def copy_part(self, key: UploadKey, number: int, source: Place, span: tuple[int, int]) -> str:
        return await self.send_part(key, number, self._kept(*source).data[span[0] : span[1] + 1])

    async def complete_upload(self, key: UploadKey, tags: list[str]) -> None:
        upload = self._parts(key)
        data = b"".join(upload.parts[int(tag)] for tag in tags)
        await self.put(key.bucket, key.name, data, upload.headers)
        del self.uploads[key]

    async def abort_upload(self, key: UploadKey) -> None:
        self._parts(key)
        del self.uploads[key]

    async def unfinished_uploads(self, bucket: str, prefix: str) -> list[UploadKey]:
        self._bucket(bucket)
        return [key for key in self.uploads if key.bucket == bucket and key.name.startswith(prefix)]

    async def last_part(self, key: UploadKey) -> datetime | None:
        return max(self._parts(key).arrived, default=None)

    async def parts(self, key: UploadKey) -> list[UploadedPart]:
        arrived = sorted(self._parts(key).parts.items())
        return [UploadedPart(number, str(number), len(data)) for number, data in arrived]

    async def open(self, bucket: str, name: str, *, start: int = 0, length: int = 0) -> Download:
        span = slice(start, start + length if length else None)
        return _MemoryDownload(name, self._kept(bucket, name), self.opened, span)

    async def download(self, bucket: str, name: str, path: Path, *, stop: threading.Event) -> ObjectFacts:
        kept = self._kept(bucket, name)
        if not stop.is_set():
            await asyncio.to_thread(path.write_bytes, kept.data)
        return kept.facts(name)

    async def remove(self, bucket: str, names: list[str]) -> None:
        objects = self._bucket(bucket)
        for name in names:
            objects.pop(name, None)

    async def pages(self, bucket: str, prefix: str, after: str) -> AsyncIterator[list[ObjectFacts]]:
        objects = self._bucket(bucket)
        names = sorted(name for name in objects if name.startswith(prefix) and name > after)
        for name in names:
            yield [ObjectFacts(name, len(objects[name].data), objects[name].modified)]

    def _answer(self) -> None:
        if self.is_away:
            raise Unavailable("S3", "the test took it away")

    def _bucket(self, bucket: str) -> dict[str, _Kept]:
        self._answer()
        try:
            return self.buckets[bucket]
        except KeyError as error:
            raise NoBucket(bucket) from error

    def _kept(self, bucket: str, name: str) -> _Kept:
        try:
            return self._bucket(bucket)[name]
        except KeyError as error:
            raise Missing(f"{bucket}/{name}") from error

    def _parts(self, key: UploadKey) -> _Parts:
        self._answer()
        try:
            return self.uploads[key]
        except KeyError as error:
            raise Missing(key.name) from error
