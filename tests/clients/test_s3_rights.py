"""The policy in docs/object-storage.md grants what Kadr asks of an S3 server, and nothing else."""

import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import urllib3

from app.cli.doctor.storage import look_at_storage
from app.clients.s3.calls import S3, open_s3
from app.domain.objects import (
    OUR_PREFIXES,
)
from app.errors import Missing
from app.settings import Settings

pytestmark = pytest.mark.servers

DOCUMENT = Path(__file__).parents[2] / "docs/object-storage.md"

BUCKET_ACTIONS = {
    ("HEAD", ""): "ListBucket",
    ("GET", ""): "ListBucket",
    ("GET", "uploads"): "ListBucketMultipartUploads",
    ("GET", "lifecycle"): "GetLifecycleConfiguration",
    ("GET", "versioning"): "GetBucketVersioning",
    ("GET", "cors"): "GetBucketCors",
    ("PUT", ""): "CreateBucket",
    ("POST", "delete"): "DeleteObject",
}
"""What a request for a bucket needs, by its method and what it names in the query."""

OBJECT_ACTIONS = {
    ("HEAD", ""): "GetObject",
    ("GET", ""): "GetObject",
    ("GET", "uploadId"): "ListMultipartUploadParts",
    ("PUT", ""): "PutObject",
    ("PUT", "uploadId"): "PutObject",
    ("POST", "uploads"): "PutObject",
    ("POST", "uploadId"): "PutObject",
    ("DELETE", ""): "DeleteObject",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}
"""The same for an object. https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html"""

SUBRESOURCES = ("uploads", "uploadId", "lifecycle", "versioning", "cors", "delete")

UNSIGNED = {"lets_pages_write", "close"}
"""Calls that need no right: nothing is asked, or nobody's name is given."""


def needed(method: str, url: str, headers: dict[str, str]) -> Iterator[str]:
    """Yield the actions of a request.

    Raises:
        KeyError: nobody has said what such a request needs.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query, keep_blank_values=True)
    named = "".join(each for each in SUBRESOURCES if each in query)
    is_object = "/" in parts.path.strip("/")
    yield (OBJECT_ACTIONS if is_object else BUCKET_ACTIONS)[method, named]
    if "x-amz-copy-source" in {name.lower() for name in headers}:
        yield "GetObject"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The actions of all requests that are made while the test runs."""
    found: set[str] = set()
    urlopen = urllib3.PoolManager.urlopen

    def noting(self: urllib3.PoolManager, method: str, url: str, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - urllib3's
        if method != "OPTIONS":
            found.update(needed(method, url, more.get("headers") or {}))
        return urlopen(self, method, url, *args, **more)

    monkeypatch.setattr(urllib3.PoolManager, "urlopen", noting)
    return found


def statements() -> dict[str, dict[str, Any]]:
    """The statements of the documented policy, by their names."""
    (text,) = re.findall(
        r"^```json\n(\{\n  \"Version\".*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    )
    return {each["Sid"]: each for each in json.loads(text)["Statement"]}


def actions(statement: dict[str, Any]) -> set[str]:
    found = statement["Action"]
    return {each.removeprefix("s3:") for each in ([found] if isinstance(found, str) else found)}


class Noted:
    """Somebody's methods, and which of them were asked for."""

    def __init__(self, whose: object) -> None:
        self._whose = whose
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method
        self.names.add(name)
        return getattr(self._whose, name)


@pytest.fixture
async def s3(servers: Settings) -> AsyncIterator[Noted]:
    async with open_s3(servers) as opened:
        yield Noted(opened)


async def test_the_policy_grants_what_the_calls_of_the_client_need_and_nothing_else(
    s3: Noted, asked: set[str], tmp_path: Path
) -> None:
    bucket, other = f"rights-{uuid4().hex[:12]}", f"rights-{uuid4().hex[:12]}"
    await s3.make_bucket(bucket)
    assert asked == {"ListBucket", "CreateBucket"}
    asked.discard("CreateBucket")  # the document says so beside the policy
    await call_everything(s3, bucket, tmp_path)
    with suppress(Missing):
        await s3.head(other, "x")
    public = {name for name, each in vars(S3).items() if not name.startswith("_") and callable(each)}
    assert s3.names == public - UNSIGNED, "a call was not made: nobody knows what it needs"
    granted = set().union(*(actions(each) for each in statements().values()))
    assert asked == granted


async def call_everything(s3: Noted, bucket: str, folder: Path) -> None:
    """Make every call once."""
    headers = {"Content-Type": "text/plain"}
    await s3.has_bucket(bucket)
    await s3.rules(bucket)
    await s3.writing_origins(bucket)
    await s3.put(bucket, "input/a", b"1" * 100, headers)
    await s3.head(bucket, "input/a")
    (await s3.open(bucket, "input/a")).close()
    await s3.download(bucket, "input/a", folder / "a", stop=threading.Event())
    await s3.copy((bucket, "input/a"), (bucket, "input/b"), headers)
    key = await s3.begin_upload(bucket, "input/c", headers)
    tags = [
        await s3.send_part(key, 1, b"1" * (5 << 20)),
        await s3.copy_part(key, 2, (bucket, "input/a"), (0, 99)),
    ]
    await s3.parts(key)
    await s3.last_part(key)
    await s3.unfinished_uploads(bucket, "input/")
    await s3.complete_upload(key, tags)
    await s3.abort_upload(await s3.begin_upload(bucket, "input/d", headers))
    assert len([each async for page in s3.pages(bucket, "input/", "") for each in page]) == 3
    await s3.remove(bucket, ["input/a"])
    await s3.remove(bucket, ["input/b", "input/c"])


async def test_what_doctor_asks_is_granted(servers: Settings, asked: set[str]) -> None:
    reached = servers.model_copy(update={"s3_public_endpoint": servers.minio_endpoint})
    async with open_s3(servers) as s3:
        await s3.make_bucket(servers.buckets[0])
    await look_at_storage(reached)
    granted = set().union(*(actions(each) for each in statements().values()))
    assert asked - {"CreateBucket"} <= granted
    assert asked >= actions(statements()["Doctor"]) - {"GetBucketCors"}, "SeaweedFS lets every page in"


def test_each_action_is_granted_for_what_it_is_about() -> None:
    bucket, objects = "arn:aws:s3:::videos", "arn:aws:s3:::videos/"
    for statement in statements().values():
        found = statement["Resource"]
        resources = [found] if isinstance(found, str) else found
        about_objects = actions(statement) <= set(OBJECT_ACTIONS.values())
        assert about_objects or not actions(statement) & set(OBJECT_ACTIONS.values())
        assert all(each.startswith(objects) if about_objects else each == bucket for each in resources)


def test_only_below_our_own_prefixes_may_anything_be_written_or_removed() -> None:
    found = {name for name, each in statements().items() if actions(each) & {"PutObject", "DeleteObject"}}
    assert found == {"Write"}
    resources = statements()["Write"]["Resource"]
    prefixes = {each.removeprefix("arn:aws:s3:::videos/").removesuffix("*") for each in resources}
    assert prefixes == {*OUR_PREFIXES, "kadr-doctor/"}
