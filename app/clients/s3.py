"""The calls of an S3 server, each run in a thread, with the library's errors in our words.

minio's client is synchronous. Two pools of threads and connections are kept apart: a quick one for
questions that a request or a probe waits for, and a patient one for bytes; twenty uploads therefore do
not delay a health check. Everybody but `app.clients.storage` uses that module instead of this one.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import Part
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from app.clients.presence import Presence
from app.errors import Missing, Unavailable
from app.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")
Headers: TypeAlias = Mapping[str, str]
Place: TypeAlias = tuple[str, str]
"""Bucket and name."""

PAGE: Final = 1000
"""Names per page of a listing; S3 gives no more at once."""

QUICK_WITHIN: Final = 2.8
"""Seconds until a question is given up; the API promises an answer in 3."""

ABSENT: Final = frozenset(
    {
        "NoSuchKey",
        "NoSuchBucket",
        "NoSuchUpload",
        "KeyTooLongError",
        "InvalidBucketName",
        "InvalidObjectName",
        "InvalidURI",
    }
)
"""Codes that say: what you name is not there, and never will be by asking again."""


@dataclass(frozen=True)
class ObjectFacts:
    """What is known of an object.

    Attributes:
        name: within its bucket.
        size: in bytes.
        modified: when it was written.
        content_type: as its writer said; empty in listings.
        metadata: the writer's own, names in lower case; empty in listings.
    """

    name: str
    size: int
    modified: datetime
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UploadKey:
    """An object that arrives in parts."""

    bucket: str
    name: str
    upload: str
    begun: datetime | None = None


class _Client(Minio):  # type: ignore[misc]  # minio is untyped to us
    """minio's client with the calls that it keeps to itself."""

    def put(self, bucket: str, name: str, data: bytes, headers: Headers) -> None:
        self._put_object(bucket, name, data, dict(headers))

    def begin_upload(self, bucket: str, name: str, headers: Headers) -> UploadKey:
        return UploadKey(bucket, name, self._create_multipart_upload(bucket, name, dict(headers)))

    def send_part(self, key: UploadKey, number: int, data: bytes) -> str:
        return str(self._upload_part(key.bucket, key.name, data, None, key.upload, number))

    def copy(self, source: Place, target: Place, headers: Headers) -> None:
        replacing = {"x-amz-metadata-directive": "REPLACE"}
        self._put_object(*target, b"", _copying(source) | dict(headers) | replacing)

    def copy_part(self, key: UploadKey, number: int, source: Place, span: tuple[int, int]) -> str:
        headers = _copying(source) | {"x-amz-copy-source-range": f"bytes={span[0]}-{span[1]}"}
        return str(self._upload_part_copy(key.bucket, key.name, key.upload, number, headers)[0])

    def complete_upload(self, key: UploadKey, etags: list[str]) -> None:
        parts = [Part(number, etag) for number, etag in enumerate(etags, 1)]
        self._complete_multipart_upload(key.bucket, key.name, key.upload, parts)

    def abort_upload(self, key: UploadKey) -> None:
        self._abort_multipart_upload(key.bucket, key.name, key.upload)

    def unfinished_uploads(self, bucket: str, prefix: str) -> list[UploadKey]:
        found = self._list_multipart_uploads(bucket, prefix=prefix).uploads
        return [UploadKey(bucket, up.object_name, up.upload_id, up.initiated_time) for up in found]


@dataclass(frozen=True)
class _Lane:
    client: _Client
    pool: urllib3.PoolManager
    threads: ThreadPoolExecutor

    def submit(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        return asyncio.wrap_future(self.threads.submit(call, *args, **kwargs))

    def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.pool.clear()


class Download:
    """The bytes of one object on their way to us."""

    def __init__(self, lane: _Lane, presence: Presence, name: str, response: Any) -> None:  # noqa: ANN401  # minio's
        self._lane = lane
        self._presence = presence
        self._response = response
        self._reading: asyncio.Future[bytes] | None = None
        self.facts = _facts(name, response.headers)

    async def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end."""
        with _translated(self._presence):
            self._reading = self._lane.submit(self._response.read, size)
            data = await asyncio.shield(self._reading)
            self._reading = None
        return data

    def close(self) -> None:
        """Give the connection back, or close it when the object was not read to its end."""
        if self._reading is None:
            self._give_back()
        else:
            # A read that a cancelled task left behind still uses the connection.
            self._reading.add_done_callback(self._give_back)

    def _give_back(self, done: asyncio.Future[bytes] | None = None) -> None:
        if done is not None and not done.cancelled():
            done.exception()  # marks it as seen
        self._response.close()
        self._response.release_conn()


class S3:
    """One server.

    Every method raises `Unavailable` when the server does not do its work, and `Missing` when what is
    named is not there, or has a name that nothing can have.
    """

    def __init__(self, *, patient: _Lane, quick: _Lane) -> None:
        self._patient = patient
        self._quick = quick
        self._presence = Presence("S3")

    async def has_bucket(self, bucket: str) -> bool:
        """Return whether there is such a bucket; asked in the quick lane."""
        return bool(await self._quickly(self._quick.client.bucket_exists, bucket))

    async def head(self, bucket: str, name: str) -> ObjectFacts:
        """Return what is known of an object; asked in the quick lane."""
        return _facts(name, (await self._quickly(self._quick.client.stat_object, bucket, name)).metadata)

    async def make_bucket(self, bucket: str) -> None:
        """Create a bucket; one that is there is fine."""
        await self._patiently(_make_bucket, self._patient.client, bucket)

    async def put(self, bucket: str, name: str, data: bytes, headers: Headers) -> None:
        """Write an object."""
        await self._patiently(self._patient.client.put, bucket, name, data, headers)

    async def begin_upload(self, bucket: str, name: str, headers: Headers) -> UploadKey:
        """Begin to write an object in parts."""
        return await self._patiently(self._patient.client.begin_upload, bucket, name, headers)

    async def send_part(self, key: UploadKey, number: int, data: bytes) -> str:
        """Write the part with this number, counted from 1; return its tag."""
        return await self._patiently(self._patient.client.send_part, key, number, data)

    async def copy(self, source: Place, target: Place, headers: Headers) -> None:
        """Write an object that has the bytes of another one."""
        await self._patiently(self._patient.client.copy, source, target, headers)

    async def copy_part(self, key: UploadKey, number: int, source: Place, span: tuple[int, int]) -> str:
        """Take a part from another object, its first and last byte included; return its tag."""
        return await self._patiently(self._patient.client.copy_part, key, number, source, span)

    async def complete_upload(self, key: UploadKey, tags: list[str]) -> None:
        """Make an object of the parts with these tags."""
        await self._patiently(self._patient.client.complete_upload, key, tags)

    async def abort_upload(self, key: UploadKey) -> None:
        """Take away the parts."""
        await self._patiently(self._patient.client.abort_upload, key)

    async def unfinished_uploads(self, bucket: str, prefix: str) -> list[UploadKey]:
        """Return up to 1,000 uploads that were begun and neither completed nor aborted."""
        return await self._patiently(self._patient.client.unfinished_uploads, bucket, prefix)

    async def open(self, bucket: str, name: str) -> Download:
        """Begin to read an object; the caller closes it."""
        response = await self._patiently(self._patient.client.get_object, bucket, name)
        return Download(self._patient, self._presence, name, response)

    async def download(self, bucket: str, name: str, path: Path, *, stop: threading.Event) -> ObjectFacts:
        """Write an object to a local file until `stop` is set."""
        client = self._patient.client
        return _facts(name, await self._patiently(_download, client, bucket, name, path, stop))

    async def remove(self, bucket: str, names: list[str]) -> None:
        """Remove objects; those that are not there are fine."""
        await self._patiently(_remove, self._patient.client, bucket, names)

    async def pages(self, bucket: str, prefix: str, after: str) -> AsyncIterator[list[ObjectFacts]]:
        """Yield the objects whose names begin with `prefix` and come after `after`, in order."""
        listing = self._patient.client.list_objects(
            bucket, prefix=prefix, recursive=True, start_after=after or None
        )
        while page := await self._patiently(_next_page, listing):
            yield page

    async def _patiently(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call in a thread; a cancelled caller still waits for its end.

        Otherwise a part could arrive after its upload was aborted, and stay for ever.
        """
        future = self._patient.submit(call, *args, **kwargs)
        with _translated(self._presence):
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                await asyncio.wait([future])
                raise

    async def _quickly(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with _translated(self._presence):
            async with asyncio.timeout(QUICK_WITHIN):
                return await self._quick.submit(call, *args, **kwargs)


@asynccontextmanager
async def open_s3(settings: Settings) -> AsyncIterator[S3]:
    """Yield a client of the server that the settings name; it connects when it is first used."""
    # Each retry would be a warning; a server that stays away is logged once, by `Presence`.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    patient = urllib3.PoolManager(
        maxsize=32,
        timeout=urllib3.Timeout(connect=2, read=60),
        retries=urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
    )
    quick = urllib3.PoolManager(
        maxsize=8, timeout=urllib3.Timeout(connect=1, read=2.5), retries=urllib3.Retry(total=1)
    )
    lanes = [
        _Lane(_connect(settings, pool), pool, ThreadPoolExecutor(count, thread_name_prefix=name))
        for pool, count, name in ((patient, 32, "s3"), (quick, 8, "s3-quick"))
    ]
    try:
        yield S3(patient=lanes[0], quick=lanes[1])
    finally:
        for lane in lanes:
            lane.close()


def _connect(settings: Settings, pool: urllib3.PoolManager) -> _Client:
    return _Client(
        settings.minio_endpoint,
        access_key=settings.minio_access_key,
        secret_key=settings.minio_secret_key.get_secret_value(),
        secure=settings.minio_secure,
        region=settings.minio_region,
        http_client=pool,
    )


@contextmanager
def _translated(presence: Presence) -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        if error.code in ABSENT:
            presence.answered()
            raise Missing(_what(error)) from error
        raise presence.lost(error) from error
    except (MinioException, urllib3.exceptions.HTTPError, TimeoutError) as error:
        raise presence.lost(str(error) or "no answer in time") from error
    except ValueError as error:
        # minio refuses names that no bucket or object can have, before it asks the server.
        raise Missing(f"a thing of such a name ({error})") from error
    else:
        presence.answered()


def _copying(source: Place) -> dict[str, str]:
    return dict(CopySource(*source).gen_copy_headers())


def _what(error: S3Error) -> str:
    parts = (error.bucket_name, error.object_name)
    return "/".join(part for part in parts if part) or str(error.resource or error.code)


def _facts(name: str, headers: Headers) -> ObjectFacts:
    lower = {key.lower(): value for key, value in headers.items()}
    prefix = "x-amz-meta-"
    modified = lower.get("last-modified")
    return ObjectFacts(
        name,
        int(lower.get("content-length", "0")),
        parsedate_to_datetime(modified) if modified else datetime.now(UTC),
        lower.get("content-type", ""),
        {key.removeprefix(prefix): value for key, value in lower.items() if key.startswith(prefix)},
    )


def _make_bucket(client: _Client, name: str) -> None:
    if client.bucket_exists(name):
        return
    try:
        client.make_bucket(name)
    except S3Error as error:
        if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise


def _remove(client: _Client, bucket: str, names: list[str]) -> None:
    if len(names) == 1:
        client.remove_object(bucket, names[0])
        return
    for error in client.remove_objects(bucket, [DeleteObject(name) for name in names]):
        if error.code not in ABSENT:
            raise Unavailable("S3", f"{error.code} {error.message}")


def _next_page(listing: Iterator[Any]) -> list[ObjectFacts]:
    now = datetime.now(UTC)
    return [
        ObjectFacts(item.object_name, item.size or 0, item.last_modified or now)
        for item in islice(listing, PAGE)
    ]


def _download(client: _Client, bucket: str, name: str, path: Path, stop: threading.Event) -> Headers:
    response = client.get_object(bucket, name)
    try:
        with path.open("wb") as file:
            while not stop.is_set() and (data := response.read(1 << 20)):
                file.write(data)
        headers: Headers = response.headers
        return headers
    finally:
        response.close()
        response.release_conn()
