"""Idempotency keys, on documents in memory and on the real server: the same claims hold for both."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest

from app.clients.main_db.idempotency import KEPT_FOR, LEASE, Hold, IdempotencyKeys, KeyHeld, Recorded
from app.clients.mongo import Documents, open_mongo
from app.errors import Conflict
from app.settings import Settings
from tests.support.clock import Clock
from tests.support.memory_mongo import MemoryDocuments

VIDEO = {"video_id": "v", "options": {"classes": ["car", 0]}}


@dataclass
class Kept:
    """The keys, their collection and their clock."""

    keys: IdempotencyKeys
    documents: Documents
    clock: Clock

    async def hold(self, key: str = "k", owner: str | None = None) -> Hold:
        taken = await self.keys.take(key, owner=owner)
        assert isinstance(taken, Hold)
        return taken

    async def record(self, key: str = "k") -> Recorded:
        hold = await self.hold(key)
        recorded = Recorded(hold.key, "print", VIDEO)
        await self.keys.record(hold, recorded)
        return recorded


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.servers)])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Kept]:
    clock = Clock()
    if request.param == "fake":
        documents: Documents = MemoryDocuments()
        yield Kept(IdempotencyKeys(documents, now=clock), documents, clock)
        return
    settings: Settings = request.getfixturevalue("servers")
    async with open_mongo(settings.mongo_uri) as mongo:
        documents = mongo.collection("kadr_test", uuid4().hex)
        keys = IdempotencyKeys(documents, now=clock)
        await keys.prepare()
        yield Kept(keys, documents, clock)


async def test_a_key_is_taken_by_one_of_many(kept: Kept) -> None:
    tries = [kept.keys.take("k", owner=None) for _ in range(20)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert len([each for each in found if isinstance(each, Hold)]) == 1
    assert len([each for each in found if isinstance(each, KeyHeld)]) == 19


async def test_each_owner_has_keys_of_its_own(kept: Kept) -> None:
    for owner in (None, "a", "b"):
        await kept.hold("k", owner)
    with pytest.raises(KeyHeld):
        await kept.keys.take("k", owner="a")


async def test_what_was_recorded_is_found_again(kept: Kept) -> None:
    recorded = await kept.record()
    assert await kept.keys.take("k", owner=None) == recorded
    await kept.keys.settle(recorded.key, "v")
    assert await kept.keys.take("k", owner=None) == Recorded(recorded.key, "print", VIDEO, is_settled=True)


async def test_a_block_that_fails_sets_its_key_free(kept: Kept) -> None:
    with pytest.raises(ZeroDivisionError):
        async with kept.keys.holding(await kept.hold()):
            raise ZeroDivisionError
    await kept.hold()


async def test_a_block_that_fails_after_it_has_recorded_does_not(kept: Kept) -> None:
    hold = await kept.hold()

    async def record_and_fail() -> None:
        async with kept.keys.holding(hold):
            await kept.keys.record(hold, Recorded(hold.key, "print", VIDEO))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await record_and_fail()
    assert isinstance(await kept.keys.take("k", owner=None), Recorded)


async def test_a_key_of_a_process_that_died_is_free_when_its_lease_is_over(kept: Kept) -> None:
    dead = await kept.hold()
    kept.clock.pass_by(LEASE - timedelta(seconds=1))
    with pytest.raises(KeyHeld):
        await kept.keys.take("k", owner=None)
    kept.clock.pass_by(timedelta(seconds=1))
    tries = [kept.keys.take("k", owner=None) for _ in range(10)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    (heir,) = [each for each in found if isinstance(each, Hold)]
    with pytest.raises(Conflict):
        await kept.keys.record(dead, Recorded(dead.key, "print", VIDEO))
    await kept.keys.record(heir, Recorded(heir.key, "other", VIDEO))


async def test_a_process_that_was_away_for_too_long_sets_nobodys_key_free(kept: Kept) -> None:
    async def fall_asleep_and_fail() -> None:
        async with kept.keys.holding(await kept.hold()):
            kept.clock.pass_by(LEASE)
            await kept.hold()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fall_asleep_and_fail()
    with pytest.raises(KeyHeld):
        await kept.keys.take("k", owner=None)


async def test_a_key_stays_held_as_long_as_its_block_takes(kept: Kept) -> None:
    keys = IdempotencyKeys(kept.documents, now=kept.clock, lease=timedelta(milliseconds=30))
    hold = await keys.take("k", owner=None)
    assert isinstance(hold, Hold)
    async with keys.holding(hold):
        kept.clock.pass_by(LEASE)
        deadline = time.monotonic() + 10
        while not await kept.documents.count({"lease_until": {"$gt": kept.clock.now}}):
            assert time.monotonic() < deadline, "it is not renewed"
            await asyncio.sleep(0.01)
        with pytest.raises(KeyHeld):
            await kept.keys.take("k", owner=None)


async def test_a_key_is_kept_for_seven_days(kept: Kept) -> None:
    await kept.record("used")
    await kept.hold("left behind")
    kept.clock.pass_by(KEPT_FOR - timedelta(seconds=1))
    assert await kept.keys.forget_expired() == 0
    assert isinstance(await kept.keys.take("used", owner=None), Recorded)
    kept.clock.pass_by(timedelta(seconds=1))
    await kept.hold("used")
    assert await kept.keys.forget_expired() == 1
    assert await kept.documents.count({}) == 1


async def test_a_key_whose_video_was_lost_before_it_was_one_is_free(kept: Kept) -> None:
    recorded = await kept.record()
    await kept.keys.void(recorded)
    await kept.hold()


async def test_a_key_whose_video_was_settled_stays(kept: Kept) -> None:
    recorded = await kept.record()
    await kept.keys.settle(recorded.key, "v")
    await kept.keys.void(recorded)
    assert isinstance(await kept.keys.take("k", owner=None), Recorded)
