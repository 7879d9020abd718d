"""Objects, in memory and on the real server: the same claims hold for both."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from app.clients.s3 import storage as storage_module
from app.clients.s3.storage import PART, Storage, TooLarge, open_storage
from app.errors import Missing, Unavailable
from app.settings import Settings
from tests.support.memory_s3 import MemoryS3

BUCKET = "videos"
KINDS = ["fake", pytest.param("real", marks=pytest.mark.servers)]


@pytest.fixture(params=KINDS)
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    if request.param == "fake":
        yield Storage(MemoryS3(BUCKET, "other"), BUCKET)
        return
    async with open_storage(request.getfixturevalue("servers")) as opened:
        await opened.ensure_buckets([BUCKET, "other"])
        yield opened


@pytest.fixture
def folder() -> str:
    """A prefix that no other test uses."""
    return f"test-{uuid4().hex}/"


async def pieces(size: int, *, piece: int = 100_000, fail_after: int | None = None) -> AsyncIterator[bytes]:
    for start in range(0, size, piece):
        if fail_after is not None and start >= fail_after:
            raise ConnectionAbortedError
        yield bytes([start // piece % 251]) * min(piece, size - start)


async def digest(chunks: AsyncIterator[bytes]) -> str:
    found = hashlib.sha256()
    async for chunk in chunks:
        found.update(chunk)
    return found.hexdigest()


async def unfinished(storage: Storage, folder: str) -> int:
    later = datetime.now(UTC) + timedelta(hours=1)
    return await storage.abort_unfinished(BUCKET, folder, before=later, is_ours=lambda _: True)


async def test_what_is_put_is_read_back_with_its_facts(storage: Storage, folder: str) -> None:
    metadata = {"kadr-upload": "1", "filename": "a%20b"}
    await storage.put(BUCKET, folder + "a", b"abc", content_type="text/plain", metadata=metadata)
    facts = await storage.stat(BUCKET, folder + "a")
    assert facts is not None
    assert (facts.size, facts.content_type, facts.metadata) == (3, "text/plain", metadata)
    assert facts.modified.tzinfo is not None
    assert await storage.get(BUCKET, folder + "a") == b"abc"


@pytest.mark.parametrize("bucket", [BUCKET, "no-such-bucket", "Not_A Bucket"])
async def test_what_is_not_there_is_missing(storage: Storage, folder: str, bucket: str) -> None:
    assert await storage.stat(bucket, folder + "a") is None
    with pytest.raises(Missing):
        await storage.get(bucket, folder + "a")
    await storage.delete(bucket, folder + "a")
    assert [item async for item in storage.names(bucket, folder)] == []


async def test_a_put_into_a_bucket_that_is_not_there_is_missing(storage: Storage) -> None:
    with pytest.raises(Missing):
        await storage.put("no-such-bucket", "a", b"", content_type="text/plain")


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, 2 * PART + 12345])
async def test_a_stream_of_any_length_arrives_whole(storage: Storage, folder: str, size: int) -> None:
    name = folder + "a"
    written = await storage.put_stream(
        BUCKET, name, pieces(size), content_type="video/mp4", metadata={"kadr-upload": "1"}
    )
    assert written == size
    async with storage.stream(BUCKET, name) as (facts, chunks):
        assert (facts.size, facts.content_type, facts.metadata["kadr-upload"]) == (size, "video/mp4", "1")
        assert await digest(chunks) == await digest(pieces(size))


@pytest.mark.parametrize("fail_after", [0, 1000, 3 * PART])
async def test_a_source_that_fails_leaves_nothing(storage: Storage, folder: str, fail_after: int) -> None:
    with pytest.raises(ConnectionAbortedError):
        await storage.put_stream(
            BUCKET, folder + "a", pieces(4 * PART, fail_after=fail_after), content_type="video/mp4"
        )
    assert await storage.stat(BUCKET, folder + "a") is None
    assert await unfinished(storage, folder) == 0


@pytest.mark.parametrize("limit", [10, PART + 1])
async def test_a_stream_over_the_limit_leaves_nothing(storage: Storage, folder: str, limit: int) -> None:
    with pytest.raises(TooLarge):
        await storage.put_stream(BUCKET, folder + "a", pieces(2 * PART), content_type="a/b", limit=limit)
    assert await storage.stat(BUCKET, folder + "a") is None
    assert await unfinished(storage, folder) == 0


async def test_a_stream_of_just_the_limit_is_taken(storage: Storage, folder: str) -> None:
    written = await storage.put_stream(BUCKET, folder + "a", pieces(1000), content_type="a/b", limit=1000)
    assert written == 1000


async def test_a_cancelled_stream_leaves_nothing(storage: Storage, folder: str) -> None:
    parts_sent = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(PART)
        parts_sent.set()
        await asyncio.Event().wait()

    put = asyncio.create_task(storage.put_stream(BUCKET, folder + "a", endless(), content_type="a/b"))
    await parts_sent.wait()
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert await storage.stat(BUCKET, folder + "a") is None
    assert await unfinished(storage, folder) == 0


async def test_a_stream_that_fails_leaves_the_object_that_was_there(storage: Storage, folder: str) -> None:
    await storage.put(BUCKET, folder + "a", b"old", content_type="text/plain")
    with pytest.raises(ConnectionAbortedError):
        await storage.put_stream(
            BUCKET, folder + "a", pieces(4 * PART, fail_after=2 * PART), content_type="text/plain"
        )
    assert await storage.get(BUCKET, folder + "a") == b"old"


async def test_an_upload_that_was_never_ended_can_be_taken_away(storage: Storage, folder: str) -> None:
    await storage._s3.begin_upload(BUCKET, folder + "a", {"Content-Type": "a/b"})
    yesterday = datetime.now(UTC) - timedelta(hours=24)
    assert await storage.abort_unfinished(BUCKET, folder, before=yesterday, is_ours=lambda _: True) == 0
    assert await unfinished(storage, folder) == 1
    assert await unfinished(storage, folder) == 0


async def test_a_reader_may_stop_early(storage: Storage, folder: str) -> None:
    await storage.put_stream(BUCKET, folder + "a", pieces(2 * PART), content_type="a/b")
    async with storage.stream(BUCKET, folder + "a", chunk=1000) as (_, chunks):
        assert len(await anext(chunks)) == 1000
    async with storage.stream(BUCKET, folder + "a", chunk=1000) as (_, chunks):
        assert len(await anext(chunks)) == 1000


async def test_an_object_is_downloaded_to_a_file(storage: Storage, folder: str, tmp_path: Path) -> None:
    await storage.put(BUCKET, folder + "a", b"abc", content_type="text/plain")
    assert (await storage.download(BUCKET, folder + "a", tmp_path / "a")).size == 3
    assert (tmp_path / "a").read_bytes() == b"abc"
    with pytest.raises(Missing):
        await storage.download(BUCKET, folder + "b", tmp_path / "b")


@pytest.mark.parametrize("size", [0, 1000, 12 << 20])
async def test_a_copy_has_the_bytes_and_its_own_facts(
    storage: Storage, folder: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "COPY_PART", 5 << 20)
    source, target = (BUCKET, folder + "ä b"), ("other", folder + "a")
    await storage.put_stream(*source, pieces(size), content_type="a/b", metadata={"x": "1"})
    await storage.copy(source, target, content_type="video/mp4", metadata={"y": "2"})
    async with storage.stream(*target) as (facts, chunks):
        assert (facts.content_type, facts.metadata) == ("video/mp4", {"y": "2"})
        assert await digest(chunks) == await digest(pieces(size))


async def test_a_copy_of_nothing_is_missing(storage: Storage, folder: str) -> None:
    with pytest.raises(Missing):
        await storage.copy((BUCKET, folder + "a"), ("other", folder + "a"), content_type="a/b")


async def test_names_come_in_order_and_can_be_resumed(storage: Storage, folder: str) -> None:
    for name in ("c/d", "a", "b", "ü+ %"):
        await storage.put(BUCKET, folder + name, b"12", content_type="text/plain")
    found = [item async for item in storage.names(BUCKET, folder)]
    assert [item.name.removeprefix(folder) for item in found] == ["a", "b", "c/d", "ü+ %"]
    assert {item.size for item in found} == {2}
    rest = [item.name async for item in storage.names(BUCKET, folder, after=folder + "b")]
    assert rest == [folder + "c/d", folder + "ü+ %"]


async def test_many_objects_are_removed_at_once_present_or_not(storage: Storage, folder: str) -> None:
    for name in "ab":
        await storage.put(BUCKET, folder + name, b"", content_type="text/plain")
    await storage.delete_many(BUCKET, [folder + name for name in "abc"])
    assert [item async for item in storage.names(BUCKET, folder)] == []


async def test_a_server_with_our_bucket_is_ready(storage: Storage) -> None:
    await storage.ping()


async def test_a_server_that_is_away_is_unavailable() -> None:
    async with open_storage(Settings(minio_endpoint="127.0.0.1:1")) as storage:
        with pytest.raises(Unavailable, match="S3 is not available"):
            await storage.ping()
        with pytest.raises(Unavailable):
            await storage.stat(BUCKET, "a")


async def test_what_is_not_asked_of_a_server_does_not_count_as_its_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with open_storage(Settings(minio_endpoint="127.0.0.1:1")) as storage:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await storage.delete(BUCKET, "a")
    assert caplog.messages == ["connection lost"]


@pytest.mark.servers
async def test_a_wrong_key_is_unavailable(servers: Settings) -> None:
    async with open_storage(servers.model_copy(update={"minio_access_key": "nobody"})) as storage:
        with pytest.raises(Unavailable):
            await storage.ping()
        with pytest.raises(Unavailable):
            await storage.stat(BUCKET, "a")


async def test_parts_that_somebody_else_sends_become_an_object_of_ours(storage: Storage, folder: str) -> None:
    name, metadata = folder + "a", {"kadr-upload": "1"}
    key = await storage.begin_parts(BUCKET, name, content_type="video/mp4", metadata=metadata)
    assert await storage.parts(key) == []
    sizes = (1000, PART)
    for number, size in zip((2, 1), sizes, strict=True):
        await storage._s3.send_part(key, number, bytes([number]) * size)
    arrived = await storage.parts(key)
    assert [(part.number, part.size) for part in arrived] == [(1, PART), (2, 1000)]
    await storage.assemble(key, [part.tag for part in arrived])
    facts = await storage.stat(BUCKET, name)
    assert facts is not None
    assert (facts.size, facts.content_type) == (PART + 1000, "video/mp4")
    assert facts.metadata == metadata
    with suppress(Missing):  # some servers say so, and to some it is the same as the first time
        await storage.assemble(key, [part.tag for part in arrived])
    with pytest.raises(Missing):
        await storage.parts(key)
    await storage.abort_parts(key)
    assert await storage.stat(BUCKET, name) == facts


async def test_parts_that_are_given_up_are_gone(storage: Storage, folder: str) -> None:
    key = await storage.begin_parts(BUCKET, folder + "a", content_type="video/mp4", metadata={})
    await storage._s3.send_part(key, 1, b"x")
    for _ in range(2):
        await storage.abort_parts(key)
    with pytest.raises(Missing):
        await storage.parts(key)
    assert await unfinished(storage, folder) == 0


async def test_parts_need_a_bucket(storage: Storage) -> None:
    with pytest.raises(Missing):
        await storage.begin_parts("nowhere", "a", content_type="video/mp4", metadata={})


@pytest.mark.parametrize("span", [(0, 0), (0, 9), (3, 4), (9, 9)])
async def test_a_span_of_an_object_is_read_without_the_rest(
    storage: Storage, folder: str, span: tuple[int, int]
) -> None:
    await storage.put(BUCKET, folder + "a", b"0123456789", content_type="text/plain")
    first, last = span
    async with storage.stream(BUCKET, folder + "a", start=first, length=last - first + 1) as (facts, chunks):
        assert facts.size == 10, "of the whole object"
        assert b"".join([chunk async for chunk in chunks]) == b"0123456789"[first : last + 1]


async def test_the_tag_of_an_object_changes_with_its_bytes(storage: Storage, folder: str) -> None:
    tags = []
    for data in (b"one", b"two", b"one"):
        await storage.put(BUCKET, folder + "a", data, content_type="text/plain")
        facts = await storage.stat(BUCKET, folder + "a")
        assert facts is not None
        tags.append(facts.etag)
    assert tags[0] == tags[2] != tags[1]
    assert '"' not in tags[0]
    assert tags[0]
