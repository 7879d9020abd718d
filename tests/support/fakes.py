"""Servers in memory; tests/clients runs the same suite on them and on the real ones, so they stay honest."""

import asyncio
import copy
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.clients.mongo import Document, Documents, Filter, Keys
from app.clients.s3 import S3, Download, Headers, ObjectFacts, Place, UploadKey
from app.clients.wake import Waker
from app.errors import Conflict, Missing, NoBucket, Unavailable


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, time: timedelta) -> None:
        """Move on."""
        self.now += time


class MemoryDocuments(Documents):
    """A collection in memory; it knows the operators that Kadr uses.

    Attributes:
        is_away: while it is set, every call raises `Unavailable`.
    """

    def __init__(self) -> None:
        self.documents: dict[Any, Document] = {}
        self.is_away = False

    async def find_one(self, match: Filter, projection: Sequence[str] | None = None) -> Document | None:
        found = await self.find(match, projection=projection, limit=1)
        return found[0] if found else None

    async def find(
        self,
        match: Filter,
        *,
        projection: Sequence[str] | None = None,
        sort: Keys | None = None,
        limit: int = 0,
    ) -> list[Document]:
        found = self._matching(match)
        for key, direction in reversed(sort or []):
            found.sort(key=lambda document: _order(_value(document, key)), reverse=direction < 0)
        return [_projected(copy.deepcopy(document), projection) for document in found[: limit or None]]

    async def insert(self, document: Document) -> None:
        self._answer()
        if document["_id"] in self.documents:
            raise Conflict(str(document["_id"]))
        self.documents[document["_id"]] = _as_kept(document)

    async def insert_missing(self, documents: Sequence[Document]) -> int:
        self._answer()
        new = [document for document in documents if document["_id"] not in self.documents]
        self.documents |= {document["_id"]: _as_kept(document) for document in new}
        return len(new)

    async def update(self, match: Filter, change: Filter, *, upsert: bool = False) -> bool:
        found = self._matching(match)
        if found:
            before = copy.deepcopy(found[0])
            _apply(found[0], change)
            return found[0] != before
        if upsert:
            document = {key: value for key, value in match.items() if not isinstance(value, Mapping)}
            _apply(document, change, is_new=True)
            await self.insert(document)
        return upsert

    async def update_and_get(self, match: Filter, change: Filter) -> Document | None:
        found = self._matching(match)
        if not found:
            return None
        _apply(found[0], change)
        return copy.deepcopy(found[0])

    async def update_many(self, match: Filter, change: Filter) -> int:
        changed = 0
        for document in self._matching(match):
            before = copy.deepcopy(document)
            _apply(document, change)
            changed += document != before
        return changed

    async def delete(self, match: Filter) -> int:
        found = self._matching(match)
        for document in found:
            del self.documents[document["_id"]]
        return len(found)

    async def count(self, match: Filter) -> int:
        return len(self._matching(match))

    async def ensure_index(
        self,
        keys: Keys,  # noqa: ARG002  # an index changes nothing here
        *,
        partial: Filter | None = None,  # noqa: ARG002
        is_unique: bool = False,  # noqa: ARG002
    ) -> None:
        self._answer()

    def _answer(self) -> None:
        if self.is_away:
            raise Unavailable("Mongo", "the test took it away")

    def _matching(self, match: Filter) -> list[Document]:
        self._answer()
        return [document for document in self.documents.values() if _matches(document, match)]


def _value(document: Document, path: str) -> Any:  # noqa: ANN401  # a document holds anything
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _order(value: Any) -> tuple[bool, Any]:  # noqa: ANN401  # see above
    return (value is not None, value)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "$lt": lambda value, bound: value is not None and value < bound,
    "$lte": lambda value, bound: value is not None and value <= bound,
    "$gt": lambda value, bound: value is not None and value > bound,
    "$gte": lambda value, bound: value is not None and value >= bound,
    "$in": lambda value, values: value in values,
    "$nin": lambda value, values: value not in values,
    "$ne": lambda value, other: value != other,
    "$exists": lambda value, is_there: (value is not None) == is_there,
}


def _matches(document: Document, match: Filter) -> bool:
    for key, wanted in match.items():
        if key == "$and":
            is_match = all(_matches(document, item) for item in wanted)
        elif key == "$or":
            is_match = any(_matches(document, item) for item in wanted)
        elif isinstance(wanted, Mapping) and any(name.startswith("$") for name in wanted):
            is_match = all(_COMPARE[name](_value(document, key), bound) for name, bound in wanted.items())
        else:
            is_match = _value(document, key) == wanted
        if not is_match:
            return False
    return True


def _apply(document: Document, change: Filter, *, is_new: bool = False) -> None:
    for operator, fields in change.items():
        for path, value in fields.items():
            *parents, last = path.split(".")
            place = document
            for name in parents:
                place = place.setdefault(name, {})
            if operator == "$unset":
                place.pop(last, None)
            elif operator == "$inc":
                place[last] = place.get(last, 0) + value
            elif operator == "$set" or (operator == "$setOnInsert" and is_new):
                place[last] = _as_kept(value)
            elif operator != "$setOnInsert":
                message = f"this memory knows no {operator}"
                raise ValueError(message)


def _as_kept(value: Any) -> Any:  # noqa: ANN401  # see above
    """As Mongo keeps it: times in UTC and whole milliseconds, sequences as lists."""
    if isinstance(value, datetime):
        utc = value.astimezone(UTC)
        return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
    if isinstance(value, dict):
        return {key: _as_kept(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_kept(item) for item in value]
    return value


def _projected(document: Document, projection: Sequence[str] | None) -> Document:
    if projection is None:
        return document
    return {key: value for key, value in document.items() if key in {"_id", *projection}}


@dataclass
class _Kept:
    data: bytes
    headers: Headers
    modified: datetime

    def facts(self, name: str) -> ObjectFacts:
        prefix = "x-amz-meta-"
        own = {key.removeprefix(prefix): text for key, text in self.headers.items() if key.startswith(prefix)}
        return ObjectFacts(name, len(self.data), self.modified, self.headers["Content-Type"], own)


class _MemoryDownload(Download):
    def __init__(self, name: str, kept: _Kept, opened: set[str]) -> None:
        self.facts = kept.facts(name)
        self._rest = kept.data
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

    async def open(self, bucket: str, name: str) -> Download:
        return _MemoryDownload(name, self._kept(bucket, name), self.opened)

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


class SilentWaker(Waker):
    """Counts how often it was to knock."""

    def __init__(self) -> None:
        self.knocks = 0

    def wake(self) -> None:
        self.knocks += 1
