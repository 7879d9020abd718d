"""What `kadr doctor` says of uploads that never ended and of pages that send files, on the real S3 server."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
from minio import Minio

from app.cli.doctor import uploads
from app.cli.doctor.findings import Finding
from app.cli.doctor.uploads import ANYBODY, HEADERS, look_at_uploads
from app.clients.s3.storage import Storage, open_storage
from app.domain.objects import (
    OURS,
    input_object,
)
from app.settings import Settings

pytestmark = pytest.mark.servers

PAGE = "https://pages.example.org"


@pytest.fixture
async def storage(servers: Settings) -> AsyncIterator[Storage]:
    async with open_storage(servers) as opened:
        yield opened


@pytest.fixture
async def bucket(storage: Storage) -> str:
    """A bucket that no other test uses."""
    name = f"doctor-{uuid4().hex[:12]}"
    await storage.ensure_buckets([name])
    return name


def only(found: list[Finding]) -> Finding:
    (finding,) = found
    return finding


async def begin(storage: Storage, bucket: str) -> None:
    """Begin an upload in parts, as a process does that is killed before the second one."""
    name = input_object(str(uuid4()))
    key = await storage.begin_parts(bucket, name, content_type="video/mp4", metadata=OURS)
    await storage._s3.send_part(key, 1, b"1" * 1000)


async def test_uploads_that_stand_still_are_counted_until_they_are_aborted(
    storage: Storage, servers: Settings, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only(await look_at_uploads(storage, servers, bucket)).verdict == "ok"
    for _ in range(3):
        await begin(storage, bucket)
    young = only(await look_at_uploads(storage, servers, bucket))
    assert young.verdict == "ok", "they may still be under way"
    monkeypatch.setattr(uploads, "OLD", -timedelta(minutes=1))
    found = only(await look_at_uploads(storage, servers, bucket))
    assert (found.verdict, f"{bucket}: 3 uploads" in found.said) == ("warning", True)
    assert "docs/object-storage.md" in found.remedy
    monkeypatch.setattr(uploads, "COUNTED", 2)
    assert "2 or more uploads" in only(await look_at_uploads(storage, servers, bucket)).said
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert await storage.abort_unfinished(bucket, "", before=later, is_ours=lambda _: True) == 3
    assert only(await look_at_uploads(storage, servers, bucket)).verdict == "ok"


LIFECYCLE = b"""<LifecycleConfiguration><Rule><ID>parts</ID><Status>Enabled</Status>
<Filter><Prefix></Prefix></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>
</AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>"""


async def test_after_how_long_the_server_aborts_uploads_is_known(
    storage: Storage, servers: Settings, bucket: str
) -> None:
    assert (await storage.rules(bucket)).aborts_after is None
    await asyncio.to_thread(tell, servers, bucket, "lifecycle", LIFECYCLE)
    rules = await storage.rules(bucket)
    assert (rules.aborts_after, rules.expiring) == (7, ()), "objects stay"


def rule(*headers: str, methods: tuple[str, ...] = ("PUT",), origin: str = PAGE) -> bytes:
    """A CORS rule as S3 takes it."""
    allowed = "".join(f"<AllowedMethod>{each}</AllowedMethod>" for each in methods)
    allowed += "".join(f"<AllowedHeader>{each}</AllowedHeader>" for each in headers)
    origins = f"<AllowedOrigin>{origin}</AllowedOrigin>"
    return f"<CORSConfiguration><CORSRule>{origins}{allowed}</CORSRule></CORSConfiguration>".encode()


def tell(settings: Settings, bucket: str, what: str, rules: bytes) -> None:
    """Give a bucket rules, as an operator does."""
    secret = settings.minio_secret_key.get_secret_value()
    client = Minio(
        settings.minio_endpoint,
        settings.minio_access_key,
        secret,
        secure=False,
        region=settings.minio_region,
    )
    client._execute("PUT", bucket, body=rules, query_params={what: ""})


@pytest.fixture
def reached(servers: Settings) -> Settings:
    """Settings with which clients reach S3."""
    return servers.model_copy(update={"s3_public_endpoint": f"http://{servers.minio_endpoint}"})


async def test_pages_are_only_looked_at_where_clients_reach_s3(
    storage: Storage, servers: Settings, reached: Settings, bucket: str
) -> None:
    assert len(await look_at_uploads(storage, servers, bucket)) == 1
    every = (await look_at_uploads(storage, reached, bucket))[1]
    assert (every.verdict, "every page" in every.said) == ("ok", True), "SeaweedFS lets all of them"


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (rule("*"), f"ok: pages of {PAGE} may"),
        (rule(*HEADERS), f"ok: pages of {PAGE} may"),
        (rule("Content-Type"), f"unknown: a CORS rule names {PAGE}, and uploads from there are refused"),
        (rule("*", methods=("GET",)), "unknown: no page may send files"),
    ],
)
async def test_a_rule_is_tried_as_a_browser_would(
    storage: Storage, reached: Settings, bucket: str, rules: bytes, says: str
) -> None:
    await asyncio.to_thread(tell, reached, bucket, "cors", rules)
    found = (await look_at_uploads(storage, reached, bucket))[1]
    assert f"{found.verdict}: {found.said.partition(': ')[2]}".startswith(says)
    url = f"http://{reached.minio_endpoint}/{bucket}/{input_object(str(uuid4()))}"
    assert not await storage.lets_pages_write(url, ANYBODY, HEADERS)


class _KnowsLittle(BaseHTTPRequestHandler):
    """An S3 server without the calls that are asked for."""

    def do_GET(self) -> None:
        body = b"<Error><Code>NotImplemented</Code><Message>not known here</Message></Error>"
        self.send_response(501)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextmanager
def server_that_knows_little() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _KnowsLittle) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


async def test_a_server_without_these_calls_is_no_fault(servers: Settings) -> None:
    with server_that_knows_little() as address:
        update = {"minio_endpoint": address, "s3_public_endpoint": address}
        settings = servers.model_copy(update=update)
        async with open_storage(settings) as storage:
            found = await look_at_uploads(storage, settings, "videos")
    assert [each.verdict for each in found] == ["unknown", "unknown"]
    assert "cannot be listed" in found[0].said
    assert "cannot be told" in found[1].said
