"""Two hours of detections in each form, and a large video, through an API that moves bytes and keeps none."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Final
from uuid import uuid4

import httpx
import pytest

from api.results import derived
from app.clients.main_db.video_outbox import video_outbox
from app.clients.mongo import open_mongo
from app.clients.s3.storage import Storage, open_storage
from app.domain.objects import (
    OURS,
    derived_object,
    detection_object,
    input_object,
)
from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api
from tests.support.made_results import TWO_HOURS, made_result, made_tracked

LONG: Final = bool(os.environ.get("KADR_LONG_TESTS"))
"""Set: two hours of which every frame was looked at, 20 objects in each. Takes many minutes."""

FRAMES: Final = TWO_HOURS * 6 if LONG else TWO_HOURS
OBJECTS: Final = 20 if LONG else 10

MOST: Final = 200 << 20
"""Bytes of memory that the API is promised to stay below."""

GROWTH: Final = 24 << 20
"""Bytes that it may have more after one form than before: buffers of S3's client and of pipes, once."""

pytestmark = [pytest.mark.servers, pytest.mark.timeout(3600 if LONG else 300)]


@pytest.fixture(scope="module")
def api(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with open_api(servers, tmp_path_factory.mktemp("api") / "log") as found:
        yield found


@pytest.fixture(scope="module")
def video(servers: Settings) -> str:
    """A video whose result is long."""
    video_id = str(uuid4())

    async def put() -> None:
        async with open_storage(servers) as storage, open_mongo(servers.mongo_uri) as mongo:
            name = detection_object(video_id)
            result = made_result(video_id, FRAMES, objects=OBJECTS)
            await storage.put_stream("videos", name, result, content_type="application/json", metadata=OURS)
            await put_tracked(storage, video_id)
            await video_outbox(mongo, servers).accept(
                video_id=video_id, bucket="videos", object_name="x", input_owned=False
            )

    asyncio.run(put())
    return video_id


async def put_tracked(storage: Storage, video_id: str) -> None:
    """Follow its objects at once: what ByteTrack takes half a minute for is not what is measured here."""
    facts = await storage.stat("videos", detection_object(video_id))
    assert facts is not None
    name = derived_object(video_id, derived.NAMES["tracked"])
    tracked = made_tracked(video_id, FRAMES, objects=OBJECTS)
    marks = {**OURS, derived.OF: derived.version_of(facts)}
    await storage.put_stream("videos", name, tracked, content_type="application/json", metadata=marks)


@pytest.mark.parametrize(
    "name",
    [
        *("json", "csv", "yolo"),
        *(pytest.param(each, marks=pytest.mark.long) for each in ("jsonl", "coco", "vtt", "parquet", "mot")),
    ],
)
async def test_a_long_result_takes_no_memory_of_the_api(api: ApiProcess, video: str, name: str) -> None:
    before = most = api.memory
    size = 0
    url = f"{api.url}/api/v1/videos/{video}/detections"
    async with (
        httpx.AsyncClient(trust_env=False, timeout=120) as client,
        client.stream("GET", url, params={"format": name, "limit": 0}) as answer,
    ):
        assert answer.status_code == 200
        async for piece in answer.aiter_raw():
            size += len(piece)
            most = max(most, api.memory)
    print(f"{name}: {size >> 20} MB, API {before >> 20} -> {most >> 20} MB")  # noqa: T201 - shown with -s
    assert size > 50
    assert most < MOST
    assert most - before < GROWTH


async def test_a_large_video_takes_no_memory_of_the_api_also_for_who_does_not_read(
    api: ApiProcess, servers: Settings
) -> None:
    size, video_id = 192 << 20, str(uuid4())
    async with open_storage(servers) as storage, open_mongo(servers.mongo_uri) as mongo:
        pieces = async_pieces(size)
        name = input_object(video_id)
        await storage.put_stream("videos", name, pieces, content_type="video/mp4", metadata=OURS)
        await video_outbox(mongo, servers).accept(
            video_id=video_id, bucket="videos", object_name=name, input_owned=True
        )
    url, before, got = f"{api.url}/api/v1/videos/{video_id}/media", api.memory, 0
    async with httpx.AsyncClient(trust_env=False, timeout=120) as client, AsyncExitStack() as opened:
        for _ in range(3):
            stalled = await opened.enter_async_context(client.stream("GET", url))
            assert stalled.headers["content-length"] == str(size)
        most = api.memory
        async with client.stream("GET", url) as answer:
            async for piece in answer.aiter_raw():
                got += len(piece)
                most = max(most, api.memory)
    print(f"media: {got >> 20} MB, API {before >> 20} -> {most >> 20} MB")  # noqa: T201 - shown with -s
    assert got == size
    assert most - before < GROWTH


async def async_pieces(size: int) -> AsyncIterator[bytes]:
    """So many bytes."""
    for _ in range(size >> 20):
        yield bytes(1 << 20)


async def test_a_page_deep_in_a_long_result_is_as_quick_as_the_first(api: ApiProcess, video: str) -> None:
    url = f"{api.url}/api/v1/videos/{video}/detections"
    async with httpx.AsyncClient(trust_env=False, timeout=120) as client:
        seconds = []
        for start in (0, 7000):
            params: dict[str, float | str] = {"from": start, "limit": 10}
            answer = await client.get(url, params=params)
            cursor = answer.json()["next_cursor"]
            answer = await client.get(url, params={**params, "cursor": cursor})
            assert answer.json()["prediction"][0]["time"] >= start
            seconds.append(answer.elapsed.total_seconds())
    assert seconds[1] < 10 * seconds[0] + 0.1


async def test_health_answers_at_once_while_results_are_written(api: ApiProcess, video: str) -> None:
    url = f"{api.url}/api/v1/videos/{video}/detections"
    async with httpx.AsyncClient(trust_env=False, timeout=120) as client:

        async def read() -> None:
            async with client.stream("GET", url, params={"format": "csv"}) as answer:
                async for _ in answer.aiter_raw():
                    pass

        reading = [asyncio.create_task(read()) for _ in range(2)]
        slowest = 0.0
        while not all(task.done() for task in reading):
            answer = await client.get(f"{api.url}/health/live")
            assert answer.status_code == 200
            slowest = max(slowest, answer.elapsed.total_seconds())
        await asyncio.gather(*reading)
    assert slowest < 0.5
    assert api.memory < MOST


async def test_a_summary_and_a_page_leave_no_memory_behind(api: ApiProcess, video: str) -> None:
    before = api.memory
    async with httpx.AsyncClient(trust_env=False, timeout=120) as client:
        url = f"{api.url}/api/v1/videos/{video}"
        for _ in range(120):
            answer = await client.get(f"{url}/summary")
            if answer.status_code == 200:
                break
            assert answer.status_code == 202
        assert answer.json()["looked_at"] == FRAMES
        page = await client.get(f"{url}/detections", params={"class": "nothing of that name", "limit": 1000})
        assert page.json()["prediction"] == []
    assert api.memory - before < GROWTH
    assert api.memory < MOST
