"""Processes that die while they tell somebody of a video, and several at the same time; on real servers."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.mongo import Documents, Mongo
from app.clients.s3.storage import Storage
from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api
from tests.support.local_receiver import open_receiver
from tests.support.told_videos import GIVEN, WITHIN, accept, arrived, finish, verify, wait_for

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture
def kept(mongo: Mongo) -> Documents:
    return mongo.collection("main_db", "webhook_deliveries")


@contextmanager
def dying(servers: Settings, folder: Path, place: str) -> Iterator[ApiProcess]:
    """Yield an API that kills itself at a place of this name."""
    (folder / f"{place}.json").write_text(json.dumps({"action": "kill"}))
    with open_api(servers, folder / "dying.log", given=GIVEN | {"FAILPOINTS": str(folder)}) as found:
        yield found


async def end_claim(kept: Documents, video_id: str) -> None:
    """Let the claim of whoever has died end now, and not within a minute."""
    found = await kept.find_one({"video_id": video_id})
    assert found is not None
    assert (found["state"], found["tries"]) == ("waiting", [])
    assert found["due_at"] > found["trying_since"]
    await kept.update({"video_id": video_id}, {"$set": {"due_at": found["trying_since"]}})


async def test_who_dies_between_the_receivers_answer_and_its_note_sends_the_same_event_again(
    servers: Settings, tmp_path: Path, outbox: VideoOutbox, storage: Storage, kept: Documents
) -> None:
    async with open_receiver() as receiver:
        with dying(servers, tmp_path, "webhook.posted") as api:
            video_id = await accept(outbox, receiver.url)
            await finish(storage, video_id)
            await asyncio.to_thread(api.process.wait, WITHIN)
        (first,) = receiver.received
        await end_claim(kept, video_id)
        with open_api(servers, tmp_path / "log", given=GIVEN):
            _, second = await arrived(receiver, 2)
            await wait_for(lambda: kept.find_one({"video_id": video_id, "state": "delivered"}))
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert verify(second)["data"]["id"] == video_id


async def test_who_dies_while_an_end_becomes_a_delivery_tells_of_it_once(
    servers: Settings, tmp_path: Path, outbox: VideoOutbox, storage: Storage, kept: Documents
) -> None:
    async with open_receiver() as receiver:
        with dying(servers, tmp_path, "webhook.added") as api:
            video_id = await accept(outbox, receiver.url)
            await finish(storage, video_id)
            await asyncio.to_thread(api.process.wait, WITHIN)
        assert video_id in [video.id for video, _ in await outbox.endings.due(limit=100)]
        with open_api(servers, tmp_path / "log", given=GIVEN):
            await wait_for(lambda: kept.find_one({"video_id": video_id, "state": "delivered"}))
            await accept(outbox, None)
        assert video_id not in [video.id for video, _ in await outbox.endings.due(limit=100)]
    assert len(receiver.received) == 1
    assert await kept.count({"video_id": video_id}) == 1


async def test_two_processes_tell_of_each_video_once(
    servers: Settings, tmp_path: Path, outbox: VideoOutbox, storage: Storage
) -> None:
    async with open_receiver() as receiver:
        with (
            open_api(servers, tmp_path / "one.log", given=GIVEN),
            open_api(servers, tmp_path / "other.log", given=GIVEN),
        ):
            videos = [await accept(outbox, receiver.url) for _ in range(12)]
            for each in videos:
                await finish(storage, each)
            got = await arrived(receiver, 12)
            assert sorted(verify(each)["data"]["id"] for each in got) == sorted(videos)
    assert len(receiver.received) == 12
