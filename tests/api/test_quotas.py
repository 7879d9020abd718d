"""What a key may use, and what happens beyond; the races are on real servers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.clients.main_db.api_keys import api_keys
from app.clients.mongo import Mongo
from app.clients.s3.storage import Storage
from app.domain.api_keys import Quotas
from app.domain.objects import (
    detection_object,
)
from app.settings import Settings
from tests.api.conftest import Door
from tests.support.api_process import ApiProcess, open_api

HEAD = b'--bb\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
TAIL = b"\r\n--bb--\r\n"
TYPE = {"Content-Type": "multipart/form-data; boundary=bb"}


async def limited(door: Door, *, waiting: int | None = None, a_day: int | None = None) -> dict[str, str]:
    """Let the API ask for keys; return the headers of one with such quotas."""
    settings = door.services.settings.model_copy(update={"api_keys": "required"})
    door.api.state.services = replace(door.services, settings=settings)
    _, text = await door.keys.create("test", ["submit", "read", "delete"], Quotas(waiting, a_day))
    return {"X-API-Key": text}


async def upload(door: Door, headers: dict[str, str], size: int) -> httpx.Response:
    files = {"file": ("a.mp4", b"x" * size)}
    return await door.client.post("/api/upload_video", files=files, headers=headers)


async def test_a_day_has_so_many_bytes_and_the_next_one_again(door: Door) -> None:
    headers = await limited(door, a_day=1000)
    door.clock.now = datetime(2026, 1, 1, 23, 0, tzinfo=UTC)
    assert (await upload(door, headers, 600)).status_code == 200
    refused = await upload(door, headers, 401)
    assert (refused.status_code, refused.json()["code"]) == (429, "over_quota")
    assert refused.headers["retry-after"] == "3600"
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await upload(door, headers, 400)).status_code == 200
    assert (await upload(door, headers, 1)).status_code == 429
    assert len(door.s3.objects("videos")) == len(door.videos.documents) == 2
    door.clock.pass_by(timedelta(hours=1))
    assert (await upload(door, headers, 1000)).status_code == 200


async def test_who_has_used_everything_is_refused_before_a_byte_is_read(door: Door) -> None:
    headers = await limited(door, a_day=10)
    assert (await upload(door, headers, 10)).status_code == 200
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        yield HEAD
        read += 1
        yield b"x" * 1000
        yield TAIL

    answer = await door.client.post("/api/upload_video", content=body(), headers=headers | TYPE)
    assert (answer.status_code, read) == (429, 0)


async def test_an_upload_that_passes_the_quota_ends_there_and_leaves_nothing(door: Door) -> None:
    headers = await limited(door, a_day=100_000)
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        yield HEAD
        for _ in range(100):
            read += 1
            yield b"x" * 10_000
        yield TAIL

    answer = await door.client.post("/api/upload_video", content=body(), headers=headers | TYPE)
    assert (answer.status_code, answer.json()["code"]) == (429, "over_quota")
    assert read < 20
    assert door.s3.objects("videos") == {}
    assert door.s3.uploads == {}
    assert door.videos.documents == {}


async def test_what_is_larger_than_any_upload_is_too_large_and_not_over_a_quota(door: Door) -> None:
    headers = await limited(door, a_day=10 << 20)
    assert (await upload(door, headers, (1 << 20) + 1)).status_code == 413


async def test_videos_wait_until_they_have_an_outcome_or_are_deleted(door: Door) -> None:
    headers = await limited(door, waiting=2)
    first, second = [(await upload(door, headers, 5)).json()["event_id"] for _ in range(2)]
    refused = await upload(door, headers, 5)
    assert (refused.status_code, refused.json()["code"]) == (429, "over_quota")
    assert int(refused.headers["retry-after"]) >= 1
    for claimed in await door.services.outbox.claims.take():
        await door.services.outbox.claims.mark_sent(claimed)
    assert (await upload(door, headers, 5)).status_code == 429, "published is not done"
    await door.put(detection_object(first), b"{}")
    await door.services.outcomes.look_at_some()
    assert (await upload(door, headers, 5)).status_code == 200
    assert (await upload(door, headers, 5)).status_code == 429
    await door.client.delete(f"/api/v1/videos/{second}", headers=headers)
    assert (await upload(door, headers, 5)).status_code == 200


async def test_a_video_that_is_asked_for_waits_too_and_costs_no_bytes(door: Door) -> None:
    headers = await limited(door, waiting=1, a_day=1)
    await door.put("mine/a.mp4", b"x" * 1000)
    asked = {"bucket": "videos", "object": "mine/a.mp4"}
    assert (await door.client.post("/api/request", json=asked, headers=headers)).status_code == 200
    assert (await door.client.post("/api/request", json=asked, headers=headers)).status_code == 429


async def test_a_place_that_was_taken_by_somebody_who_died_is_free_after_a_minute(door: Door) -> None:
    await limited(door, waiting=1)
    (key,) = await door.keys.all()
    await door.services.usage.charge(key, "never-recorded", 5)
    headers = {"X-API-Key": (await door.keys.create("x", ["submit"], Quotas()))[1]}
    assert (await upload(door, headers, 5)).status_code == 200, "of another key"
    with pytest.raises(Exception, match="1 videos waiting"):
        await door.services.usage.charge(key, "next", 5)
    door.clock.pass_by(timedelta(minutes=1))
    await door.services.usage.charge(key, "next", 5)


async def test_the_same_video_is_charged_once(door: Door) -> None:
    await limited(door, a_day=10)
    (key,) = await door.keys.all()
    for _ in range(3):
        await door.services.usage.charge(key, "one", 6)
    assert await door.services.usage.room(key) == 4


@pytest.fixture(scope="module")
def two(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ApiProcess]]:
    """Two processes of the API, as behind a balancer."""
    folder: Path = tmp_path_factory.mktemp("api")
    given = {"API_KEYS": "required"}
    with (
        open_api(servers, folder / "one", given=given) as one,
        open_api(servers, folder / "two", given=given) as other,
    ):
        yield [one, other]


@pytest.mark.servers
@pytest.mark.parametrize("quotas", [Quotas(max_waiting=3), Quotas(bytes_per_day=3000), Quotas(3, 3000)])
async def test_of_many_uploads_at_once_exactly_so_many_are_accepted_as_the_quota_has_room_for(
    two: list[ApiProcess], mongo: Mongo, storage: Storage, quotas: Quotas
) -> None:
    key, text = await api_keys(mongo).create("test", ["submit", "read"], quotas)
    before = {item.name async for item in storage.names("videos", "input/")}

    async with httpx.AsyncClient(headers={"X-API-Key": text}, timeout=60, trust_env=False) as client:

        async def one(number: int) -> int:
            files = {"file": ("a.mp4", b"x" * 1000)}
            url = f"{two[number % 2].url}/api/upload_video"
            return (await client.post(url, files=files)).status_code

        statuses = await asyncio.gather(*(one(number) for number in range(12)))
        assert sorted(statuses) == [200] * 3 + [429] * 9
        listed = (await client.get(f"{two[0].url}/api/status/all")).json()
    assert listed["total"] == 3
    after = {item.name async for item in storage.names("videos", "input/")}
    ours = {f"input/{each['video_id']}.mp4" for each in listed["operations"]}
    assert after - before == ours, "what was refused left nothing"
    assert key.id
