"""Submitting on real servers: many at the same time, and an API that dies between two steps."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from app.clients.main_db.idempotency import DATABASE, LEASE
from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.mongo import Mongo
from app.clients.s3.storage import Storage
from app.domain.objects import (
    input_object,
)
from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

PATH = "/api/v1/videos"
CLIP = bytes(range(256)) * 4000
TOGETHER = 50


@pytest.fixture(scope="module")
def two(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ApiProcess]]:
    """Two processes of the API, as behind a balancer."""
    folder = tmp_path_factory.mktemp("api")
    given = {"MAX_UPLOADS": TOGETHER}
    with (
        open_api(servers, folder / "one", given=given) as one,
        open_api(servers, folder / "other", given=given) as other,
    ):
        yield [one, other]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as opened:
        yield opened


async def submit(client: httpx.AsyncClient, api: ApiProcess, key: str, **more: str) -> httpx.Response:
    """Submit the clip, again and again until somebody else is not at it any more."""
    headers = {"Content-Type": "video/mp4", "Idempotency-Key": key}
    deadline = time.monotonic() + 2 * LEASE.total_seconds()
    while True:
        answer = await client.post(f"{api.url}{PATH}", content=CLIP, headers=headers, params=more)
        if answer.status_code != 409 or answer.json()["code"] != "idempotency_in_progress":
            return answer
        assert int(answer.headers["retry-after"]) > 0
        assert time.monotonic() < deadline, "it is held for ever"
        await asyncio.sleep(0.2)


async def inputs(storage: Storage) -> set[str]:
    return {item.name async for item in storage.names("videos", "input/")}


async def test_fifty_identical_requests_at_the_same_time_make_one_video(
    two: list[ApiProcess],
    client: httpx.AsyncClient,
    mongo: Mongo,
    storage: Storage,
    outbox: VideoOutbox,
) -> None:
    videos, objects, key = await outbox.total(), await inputs(storage), str(uuid4())
    tries = [submit(client, two[number % 2], key, conf="0.5") for number in range(TOGETHER)]
    answers = await asyncio.gather(*tries)
    assert {answer.status_code for answer in answers} == {202}
    (video_id,) = {answer.json()["id"] for answer in answers}
    assert [answer.headers.get("idempotent-replayed") for answer in answers].count(None) == 1
    assert await outbox.total() == videos + 1
    assert await inputs(storage) == objects | {input_object(video_id)}
    assert await mongo.collection(DATABASE, "idempotency").count({"_id": f"/{key}"}) == 1


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("upload.stored", marks=pytest.mark.long),
        "upload.recorded",
        pytest.param("upload.accepted", marks=pytest.mark.long),
    ],
)
async def test_an_api_that_dies_in_between_neither_loses_nor_doubles_a_video(
    two: list[ApiProcess],
    client: httpx.AsyncClient,
    storage: Storage,
    outbox: VideoOutbox,
    tmp_path: Path,
    *,
    point: str,
) -> None:
    videos, key = await outbox.total(), str(uuid4())
    armed = tmp_path / f"{point}.json"
    with open_api(two[0].servers, tmp_path / "log", given={"FAILPOINTS": str(tmp_path)}) as dying:
        armed.write_text(json.dumps({"action": "kill"}), encoding="utf-8")
        with pytest.raises(httpx.TransportError):
            await submit(client, dying, key)
        assert await asyncio.to_thread(dying.process.wait, 20) == -signal.SIGKILL
    ids = {(await submit(client, two[number], key)).json()["id"] for number in (0, 1)}
    (video_id,) = ids
    assert await outbox.total() == videos + 1
    assert (await outbox.get(video_id)) is not None
    assert await storage.get("videos", input_object(video_id)) == CLIP
    other = await submit(client, two[0], key, conf="0.5")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
