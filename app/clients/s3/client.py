"""minio's client as Kadr needs it: the calls that it keeps to itself, and when to try again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Self, TypeAlias

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import Part
from minio.error import S3Error
from minio.xml import findall, unmarshal

from app.settings import Settings

Headers: TypeAlias = Mapping[str, str]
Place: TypeAlias = tuple[str, str]
"""Bucket and name."""

PATIENCE: Final = 60.0
"""Seconds without a byte from the server, or for one part to be sent: urllib3 gives a whole body as long as
it gives the connection to be made, and a part of 8 MiB takes longer than 2 s on many a line."""


@dataclass(frozen=True)
class ObjectFacts:
    """What is known of an object.

    Attributes:
        name: within its bucket.
        size: in bytes.
        modified: when it was written.
        content_type: as its writer said; empty in listings.
        metadata: the writer's own, names in lower case; empty in listings.
        etag: changes whenever the bytes do; empty in listings.
    """

    name: str
    size: int
    modified: datetime
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""


@dataclass(frozen=True)
class UploadedPart:
    """A part that has arrived; its size is in bytes."""

    number: int
    tag: str
    size: int


@dataclass(frozen=True)
class UploadKey:
    """An object that arrives in parts."""

    bucket: str
    name: str
    upload: str
    begun: datetime | None = None


@dataclass(frozen=True)
class BucketRules:
    """What a server does with the objects of a bucket by itself.

    Attributes:
        expiring: how the names begin of those that it removes after a time; empty is all.
        is_versioned: whether it keeps what was removed.
        aborts_after: days after which it takes away uploads that were begun and did not end; None: never.
    """

    expiring: tuple[str, ...]
    is_versioned: bool
    aborts_after: int | None = None


class _WritingOrigins(tuple[str, ...]):
    """Whose pages may write into a bucket, as its CORS rules name them."""

    __slots__ = ()

    @classmethod
    def fromxml(cls, element: Any) -> Self:  # noqa: ANN401 - minio's
        return cls(
            str(origin.text)
            for rule in findall(element, "CORSRule")
            if any(each.text == "PUT" for each in findall(rule, "AllowedMethod"))
            for origin in findall(rule, "AllowedOrigin")
        )


class Client(Minio):  # type: ignore[misc]  # minio is untyped to us
    """minio's client with the calls that it keeps to itself."""

    def put(self, bucket: str, name: str, data: bytes, headers: Headers) -> None:
        """Write an object."""
        self._put_object(bucket, name, data, dict(headers))

    def begin_upload(self, bucket: str, name: str, headers: Headers) -> UploadKey:
        """Begin to write an object in parts."""
        return UploadKey(bucket, name, self._create_multipart_upload(bucket, name, dict(headers)))

    def send_part(self, key: UploadKey, number: int, data: bytes) -> str:
        """Write a part; return its tag."""
        return str(self._upload_part(key.bucket, key.name, data, None, key.upload, number))

    def copy(self, source: Place, target: Place, headers: Headers) -> None:
        """Copy an object, with headers of its own."""
        replacing = {"x-amz-metadata-directive": "REPLACE"}
        self._put_object(*target, b"", _copying(source) | dict(headers) | replacing)

    def copy_part(self, key: UploadKey, number: int, source: Place, span: tuple[int, int]) -> str:
        """Take a part from another object; return its tag."""
        headers = _copying(source) | {"x-amz-copy-source-range": f"bytes={span[0]}-{span[1]}"}
        return str(self._upload_part_copy(key.bucket, key.name, key.upload, number, headers)[0])

    def complete_upload(self, key: UploadKey, etags: list[str]) -> None:
        """Make an object of the parts with these tags."""
        parts = [Part(number, etag) for number, etag in enumerate(etags, 1)]
        self._complete_multipart_upload(key.bucket, key.name, key.upload, parts)

    def abort_upload(self, key: UploadKey) -> None:
        """Take away the parts."""
        self._abort_multipart_upload(key.bucket, key.name, key.upload)

    def unfinished_uploads(self, bucket: str, prefix: str) -> list[UploadKey]:
        """Return every upload that was begun and neither completed nor aborted."""
        found: list[UploadKey] = []
        after: dict[str, str] = {}
        while True:
            page = self._list_multipart_uploads(bucket, prefix=prefix, **after)
            found += [
                UploadKey(bucket, up.object_name, up.upload_id, up.initiated_time) for up in page.uploads
            ]
            if not (page.is_truncated and page.next_key_marker):
                return found
            after = {"key_marker": page.next_key_marker, "upload_id_marker": page.next_upload_id_marker}

    def last_part(self, key: UploadKey) -> datetime | None:
        """Return when the newest part of an upload arrived; None when there is none."""
        parts = list(self._parts(key))
        return max((part.last_modified for part in parts if part.last_modified), default=None)

    def parts(self, key: UploadKey) -> list[UploadedPart]:
        """Return the parts of an upload that have arrived, in order."""
        return [
            UploadedPart(part.part_number, part.etag.strip('"'), part.size or 0) for part in self._parts(key)
        ]

    def rules(self, bucket: str) -> BucketRules:
        """Return what the server does with the objects of a bucket by itself."""
        found = self.get_bucket_lifecycle(bucket)
        rules = [each for each in (found.rules if found else []) if each.status == "Enabled"]
        removing = [each for each in rules if each.expiration is not None]
        prefixes = [each.rule_filter.prefix or "" if each.rule_filter else "" for each in removing]
        aborting = [each.abort_incomplete_multipart_upload for each in rules]
        days = [each.days_after_initiation for each in aborting if each and each.days_after_initiation]
        is_versioned = self.get_bucket_versioning(bucket).status == "Enabled"
        return BucketRules(tuple(prefixes), is_versioned=is_versioned, aborts_after=min(days, default=None))

    def writing_origins(self, bucket: str) -> tuple[str, ...]:
        """Return whose pages may write into a bucket by its CORS rules, such as `https://kadr.example.org`."""
        try:
            answer = self._execute("GET", bucket, query_params={"cors": ""})
        except S3Error as error:
            if error.code == "NoSuchCORSConfiguration":
                return ()
            raise
        found: _WritingOrigins = unmarshal(_WritingOrigins, answer.data.decode())
        return found

    def lets_pages_write(self, url: str, origin: str, headers: frozenset[str]) -> bool:
        """Ask, as a browser does before, whether a page may PUT to a URL.

        Args:
            url: of the server as browsers reach it, which may be another address than ours.
            origin: the page's.
            headers: names of those that it would send, in lower case.
        """
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": ",".join(sorted(headers)),
        }
        answer = self._http.request("OPTIONS", url, headers=asked)
        methods, allowed = (
            _listed(answer.headers.get(f"Access-Control-Allow-{name}", "")) for name in ("Methods", "Headers")
        )
        return (
            answer.status < HTTPStatus.MULTIPLE_CHOICES
            and answer.headers.get("Access-Control-Allow-Origin") in ("*", origin)
            and bool({"put", "*"} & methods)
            and ("*" in allowed or headers <= allowed)
        )

    def _parts(self, key: UploadKey) -> Iterator[Part]:
        after = None
        while True:
            page = self._list_parts(key.bucket, key.name, key.upload, part_number_marker=after)
            yield from page.parts
            after = page.next_part_number_marker
            if not (page.is_truncated and after):
                return


def patient_client(settings: Settings, *, connections: int) -> tuple[Client, urllib3.PoolManager]:
    """Return a client for bytes, and its connections."""
    pool = urllib3.PoolManager(
        maxsize=connections,
        timeout=urllib3.Timeout(connect=PATIENCE, read=PATIENCE),
        retries=_Retries(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
    )
    return _connect(settings, pool), pool


def quick_client(settings: Settings, *, connections: int) -> tuple[Client, urllib3.PoolManager]:
    """Return a client for questions, and its connections."""
    pool = urllib3.PoolManager(
        maxsize=connections, timeout=urllib3.Timeout(connect=1, read=2.5), retries=_Retries(total=1)
    )
    return _connect(settings, pool), pool


def _connect(settings: Settings, pool: urllib3.PoolManager) -> Client:
    return Client(
        settings.minio_endpoint,
        access_key=settings.minio_access_key,
        secret_key=settings.minio_secret_key.get_secret_value(),
        secure=settings.minio_secure,
        region=settings.minio_region,
        http_client=pool,
    )


class _Retries(urllib3.Retry):
    """Tries again what failed at once; who has waited in vain once does not wait again."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,  # noqa: ANN401 - urllib3's
        error: Exception | None = None,
        _pool: Any = None,  # noqa: ANN401 - urllib3's
        _stacktrace: Any = None,  # noqa: ANN401 - urllib3's
    ) -> Self:
        if error is not None and _has_waited(error):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _has_waited(error: Exception) -> bool:
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return False  # refused: to urllib3 a kind of timeout
    causes = (error, *error.args)
    return any(isinstance(cause, urllib3.exceptions.TimeoutError | TimeoutError) for cause in causes)


def facts_of(name: str, headers: Headers) -> ObjectFacts:
    """Return what the headers of an answer say of an object."""
    lower = {key.lower(): value for key, value in headers.items()}
    prefix = "x-amz-meta-"
    modified = lower.get("last-modified")
    whole = lower.get("content-range", "").rpartition("/")[2] or lower.get("content-length", "0")
    return ObjectFacts(
        name,
        int(whole),
        parsedate_to_datetime(modified) if modified else datetime.now(UTC),
        lower.get("content-type", ""),
        {key.removeprefix(prefix): value for key, value in lower.items() if key.startswith(prefix)},
        lower.get("etag", "").strip('"'),
    )


def _listed(header: str) -> set[str]:
    return {each.strip().lower() for each in header.split(",")}


def _copying(source: Place) -> dict[str, str]:
    return dict(CopySource(*source).gen_copy_headers())
