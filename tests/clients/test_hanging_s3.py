"""A real S3 server behind a line that is slow, or hangs: what is slow goes on, what hangs is given up."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import uuid4

import pytest

from app.clients.s3.storage import PART, Storage, open_storage
from app.errors import Unavailable
from app.settings import Settings
from tests.support.slow_line import SlowLine, open_slow_line

pytestmark = pytest.mark.servers

BUCKET = "videos"
PROMISED = 3.3
"""Seconds until a server that hangs is said to be away: 3, and something for a machine that is busy."""


@pytest.fixture
async def line(servers: Settings) -> AsyncIterator[SlowLine]:
    async with open_slow_line(servers.minio_endpoint) as opened:
        yield opened
        opened.thaw()


@pytest.fixture
async def storage(servers: Settings, line: SlowLine) -> AsyncIterator[Storage]:
    async with open_storage(servers.model_copy(update={"minio_endpoint": line.address})) as opened:
        await opened.ensure_buckets([BUCKET])
        yield opened


@pytest.fixture
def name() -> str:
    return f"test-{uuid4().hex}/a"


async def parts(count: int, *, then: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    """Pieces of the size of a part; the event is set when the second one is asked for."""
    for number in range(count):
        if number == 1 and then is not None:
            then.set()
        yield bytes(PART)


async def put(storage: Storage, name: str, pieces: AsyncIterator[bytes]) -> int:
    return await storage.put_stream(BUCKET, name, pieces, content_type="a/b")


async def test_a_part_that_takes_long_arrives_while_the_server_answers(
    storage: Storage, line: SlowLine, name: str
) -> None:
    line.rate = 3 << 20
    begun = time.monotonic()
    assert await put(storage, name, parts(2)) == 2 * PART
    assert time.monotonic() - begun > 2 * PART / line.rate


async def test_an_upload_ends_in_time_when_the_server_begins_to_hang_and_nothing_is_left(
    storage: Storage, line: SlowLine, name: str
) -> None:
    is_half_there = asyncio.Event()
    upload = asyncio.create_task(put(storage, name, parts(4, then=is_half_there)))
    await is_half_there.wait()
    line.freeze()
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        await upload
    assert time.monotonic() - begun < PROMISED
    line.thaw()
    assert await put(storage, name + "b", parts(1)) == PART
    deadline = time.monotonic() + 20
    while await storage._s3.unfinished_uploads(BUCKET, name):
        assert time.monotonic() < deadline, "parts are left"
    assert await storage.stat(BUCKET, name) is None


async def test_many_that_hang_are_given_up_in_time_and_do_not_stand_in_the_way_of_others(
    storage: Storage, line: SlowLine, name: str
) -> None:
    await storage.ping()
    line.freeze()
    begun = time.monotonic()
    found = await asyncio.gather(
        *(storage.put(BUCKET, f"{name}{number}", b"x", content_type="a/b") for number in range(60)),
        return_exceptions=True,
    )
    assert time.monotonic() - begun < PROMISED
    assert {type(each) for each in found} == {Unavailable}
    line.replace()
    async with asyncio.timeout(PROMISED):
        await storage.ping()
        assert await put(storage, name, parts(1)) == PART


async def test_what_is_read_is_given_up_in_time(storage: Storage, line: SlowLine, name: str) -> None:
    await put(storage, name, parts(2))
    async with storage.stream(BUCKET, name) as (_, chunks), aclosing(chunks):  # type: ignore[type-var]  # a generator
        assert await anext(chunks)
        line.freeze()
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            async for _ in chunks:
                pass
        assert time.monotonic() - begun < PROMISED
    line.thaw()
    assert len(await storage.get(BUCKET, name)) == 2 * PART


async def test_a_removal_waits_for_what_may_still_be_written(
    storage: Storage, line: SlowLine, name: str
) -> None:
    await storage.ping()
    line.freeze()
    with pytest.raises(Unavailable):
        await storage.put(BUCKET, name, b"late", content_type="a/b")
    line.thaw()
    await storage.delete(BUCKET, name)
    assert await storage.stat(BUCKET, name) is None
