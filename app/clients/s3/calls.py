"""The calls of an S3 server, each run in a thread, with the library's errors in our words.

minio's client is synchronous. Two pools of threads and connections are kept apart: a quick one for
questions that a request or a probe waits for, and a patient one for bytes; twenty uploads therefore do
not delay a health check. While a patient call is under way, a quick question tells a server that is slow
from one that hangs. Everybody but `app.clients.s3.storage` uses that module instead of this one.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import urllib3
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from app.clients.lanes import PatientLane, QuickLane
from app.clients.presence import Presence
from app.clients.s3.client import (
    BucketRules,
    Client,
    Headers,
    ObjectFacts,
    Place,
    UploadedPart,
    UploadKey,
    facts_of,
    patient_client,
    quick_client,
)
from app.errors import Missing, NoBucket, NoRoom, Unavailable
from app.settings import Settings

__all__ = [
    "S3",
    "BucketRules",
    "Download",
    "Headers",
    "ObjectFacts",
    "Place",
    "UploadKey",
    "UploadedPart",
    "open_s3",
]

P = ParamSpec("P")
T = TypeVar("T")

PATIENT_THREADS: Final = 32
QUICK_THREADS: Final = 8

NO_ANSWER: Final = "no answer in time"

PAGE: Final = 1000
"""Names per page of a listing; S3 gives no more at once."""

QUICK_WITHIN: Final = 2.5
"""Seconds until a question is given up; the API promises an answer in 3."""

SIGN_WITHIN: Final = 2.0
"""Seconds until a server that answers nothing at all is said to hang; with the time before it is asked
(`app.clients.lanes`) that is less than 3."""

SIGN_LASTS: Final = 0.2
"""Seconds for which one answer is enough for everybody who waits."""

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

FULL: Final = frozenset(
    {"XMinioStorageFull", "XMinioStorageQuotaExceeded", "InsufficientStorage", "QuotaExceeded"}
)
"""Codes that say that nothing more can be kept: of MinIO, and of Ceph."""


class Download:
    """The bytes of one object on their way to us."""

    def __init__(self, run: Callable[..., Awaitable[bytes]], name: str, response: Any) -> None:  # noqa: ANN401  # minio's
        self._run = run
        self._response = response
        self._in_use = threading.Lock()
        self._is_closed = False
        self.facts = facts_of(name, response.headers)

    async def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end."""
        return await self._run(self._read, size)

    def _read(self, size: int) -> bytes:
        try:
            with self._in_use:
                data: bytes = self._response.read(size)
                return data
        finally:
            if self._is_closed:  # by one who did not wait for us
                self._give_back()

    def close(self) -> None:
        """Give the connection back, or close it when the object was not read to its end."""
        self._is_closed = True
        if self._in_use.acquire(blocking=False):  # or a read that was left behind closes it
            self._in_use.release()
            self._give_back()

    def _give_back(self) -> None:
        self._response.close()
        self._response.release_conn()


class S3:
    """One server.

    Every method raises `Unavailable` when the server does not do its work, and `Missing` when what is
    named is not there, or has a name that nothing can have.
    """

    def __init__(self, *, patient: Client, quick: Client, bucket: str) -> None:
        self._patient = patient
        self._quick = quick
        self._our_bucket = bucket
        self._presence = Presence("S3")
        self._quick_lane = QuickLane("s3-quick", QUICK_THREADS)
        self._patient_lane = PatientLane("s3", PATIENT_THREADS, self._ask)
        self._asking: asyncio.Task[str | None] | None = None

    def close(self) -> None:
        """Let no more calls begin."""
        if self._asking is not None:
            self._asking.cancel()
        self._patient_lane.close()
        self._quick_lane.close()

    async def has_bucket(self, bucket: str) -> bool:
        """Return whether there is such a bucket; asked in the quick lane."""
        return bool(await self._quickly(self._quick.bucket_exists, bucket))

    async def head(self, bucket: str, name: str) -> ObjectFacts:
        """Return what is known of an object; asked in the quick lane."""
        return facts_of(name, (await self._quickly(self._quick.stat_object, bucket, name)).metadata)

    async def make_bucket(self, bucket: str) -> None:
        """Create a bucket; one that is there is fine."""
        await self._patiently(_make_bucket, self._patient, bucket)

    async def rules(self, bucket: str) -> BucketRules:
        """Return what the server does with the objects of a bucket by itself."""
        return await self._patiently(self._patient.rules, bucket)

    async def writing_origins(self, bucket: str) -> tuple[str, ...]:
        """Return whose pages may write into a bucket by its CORS rules."""
        return await self._patiently(self._patient.writing_origins, bucket)

    async def lets_pages_write(self, url: str, origin: str, headers: frozenset[str]) -> bool:
        """Return whether a page of this origin may PUT to a URL; asked in the quick lane."""
        return await self._quickly(self._quick.lets_pages_write, url, origin, headers)

    async def put(self, bucket: str, name: str, data: bytes, headers: Headers) -> None:
        """Write an object."""
        await self._patiently(self._patient.put, bucket, name, data, headers)

    async def begin_upload(self, bucket: str, name: str, headers: Headers) -> UploadKey:
        """Begin to write an object in parts."""
        return await self._patiently(self._patient.begin_upload, bucket, name, headers)

    async def send_part(self, key: UploadKey, number: int, data: bytes) -> str:
        """Write the part with this number, counted from 1; return its tag."""
        return await self._patiently(self._patient.send_part, key, number, data)

    async def copy(self, source: Place, target: Place, headers: Headers) -> None:
        """Write an object that has the bytes of another one."""
        await self._patiently(self._patient.copy, source, target, headers)

    async def copy_part(self, key: UploadKey, number: int, source: Place, span: tuple[int, int]) -> str:
        """Take a part from another object, its first and last byte included; return its tag."""
        return await self._patiently(self._patient.copy_part, key, number, source, span)

    async def complete_upload(self, key: UploadKey, tags: list[str]) -> None:
        """Make an object of the parts with these tags."""
        await self._patiently(self._patient.complete_upload, key, tags)

    async def abort_upload(self, key: UploadKey) -> None:
        """Take away the parts, after every call that was left behind: a later part would stay for ever."""
        await self._settle()
        await self._patiently(self._patient.abort_upload, key)

    async def unfinished_uploads(self, bucket: str, prefix: str) -> list[UploadKey]:
        """Return the uploads that were begun and neither completed nor aborted."""
        return await self._patiently(self._patient.unfinished_uploads, bucket, prefix)

    async def last_part(self, key: UploadKey) -> datetime | None:
        """Return when the newest part of an upload arrived; None when there is none."""
        return await self._patiently(self._patient.last_part, key)

    async def parts(self, key: UploadKey) -> list[UploadedPart]:
        """Return the parts of an upload that have arrived, in order."""
        return await self._patiently(self._patient.parts, key)

    async def open(self, bucket: str, name: str, *, start: int = 0, length: int = 0) -> Download:
        """Begin to read an object, from a byte that it has, to its end when no length is said.

        The caller closes it.
        """
        response = await self._patiently(self._patient.get_object, bucket, name, start, length)
        return Download(self._patiently, name, response)

    async def download(self, bucket: str, name: str, path: Path, *, stop: threading.Event) -> ObjectFacts:
        """Write an object to a local file until `stop` is set."""
        client = self._patient
        return facts_of(name, await self._patiently(_download, client, bucket, name, path, stop))

    async def remove(self, bucket: str, names: list[str]) -> None:
        """Remove objects, those too that a call writes that was left behind; those not there are fine."""
        await self._settle()
        await self._patiently(_remove, self._patient, bucket, names)

    async def pages(self, bucket: str, prefix: str, after: str) -> AsyncIterator[list[ObjectFacts]]:
        """Yield the objects whose names begin with `prefix` and come after `after`, in order."""
        listing = self._patient.list_objects(bucket, prefix=prefix, recursive=True, start_after=after or None)
        while page := await self._patiently(_next_page, listing):
            yield page

    async def _patiently(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with _translated(self._presence):
            return await self._patient_lane.run(call, *args, **kwargs)

    async def _quickly(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with _translated(self._presence):
            return await self._quick_lane.run(call, QUICK_WITHIN, *args, **kwargs)

    async def _settle(self) -> None:
        try:  # not `_translated`: nothing to wait for is no answer
            await self._patient_lane.settle()
        except TimeoutError as error:
            raise Unavailable("S3", error) from error

    async def _ask(self) -> str | None:
        """Tell why the server seems to hang; all who ask share one question to it."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._look_for_a_sign())
        return await asyncio.shield(self._asking)

    async def _look_for_a_sign(self) -> str | None:
        begun = time.monotonic()
        if self._presence.heard > begun - SIGN_LASTS:
            return None
        try:
            await self._quick_lane.run(self._quick.bucket_exists, SIGN_WITHIN, self._our_bucket)
        except (S3Error, ValueError):
            return None  # it refuses, so it lives
        except (MinioException, urllib3.exceptions.HTTPError, TimeoutError) as error:
            has_answered_others = self._presence.heard > begun
            return None if has_answered_others else str(error) or NO_ANSWER
        return None


@asynccontextmanager
async def open_s3(settings: Settings) -> AsyncIterator[S3]:
    """Yield a client of the server that the settings name; it connects when it is first used."""
    # Each retry would be a warning; a server that stays away is logged once, by `Presence`.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    patient, patient_pool = patient_client(settings, connections=PATIENT_THREADS)
    quick, quick_pool = quick_client(settings, connections=QUICK_THREADS)
    s3 = S3(patient=patient, quick=quick, bucket=settings.buckets[0])
    try:
        yield s3
    finally:
        s3.close()
        patient_pool.clear()
        quick_pool.clear()


@contextmanager
def _translated(presence: Presence) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    except S3Error as error:
        if error.code in ABSENT:
            presence.answered()
            missing = NoBucket if error.code == "NoSuchBucket" else Missing
            raise missing(_what(error)) from error
        if error.code in FULL or error.response.status == HTTPStatus.INSUFFICIENT_STORAGE:
            presence.answered()
            raise NoRoom("S3", error.message or error.code) from error
        raise presence.lost(error, begun=begun) from error
    except (MinioException, urllib3.exceptions.HTTPError, TimeoutError) as error:
        raise presence.lost(str(error) or NO_ANSWER, begun=begun) from error
    except ValueError as error:
        # minio refuses names that no bucket or object can have, before it asks the server.
        raise Missing(f"a thing of such a name ({error})") from error
    else:
        presence.answered()


def _what(error: S3Error) -> str:
    parts = (error.bucket_name, error.object_name)
    return "/".join(part for part in parts if part) or str(error.resource or error.code)


def _make_bucket(client: Client, name: str) -> None:
    if client.bucket_exists(name):
        return
    try:
        client.make_bucket(name)
    except S3Error as error:
        if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise


def _remove(client: Client, bucket: str, names: list[str]) -> None:
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


def _download(client: Client, bucket: str, name: str, path: Path, stop: threading.Event) -> Headers:
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
