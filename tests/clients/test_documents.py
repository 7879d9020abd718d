"""Documents, in memory and on the real server: the same claims hold for both."""

import asyncio
import gc
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from pydantic import SecretStr

from app.clients.mongo import Documents, open_mongo
from app.errors import Conflict, Misconfigured, Unavailable
from app.settings import Settings
from tests.support.memory_mongo import MemoryDocuments


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.servers)])
async def documents(request: pytest.FixtureRequest) -> AsyncIterator[Documents]:
    if request.param == "fake":
        yield MemoryDocuments()
        return
    settings: Settings = request.getfixturevalue("servers")
    async with open_mongo(settings.mongo_uri) as mongo:
        yield mongo.collection("kadr_test", uuid4().hex)


async def test_an_insert_of_a_known_id_is_a_conflict(documents: Documents) -> None:
    await documents.insert({"_id": "a"})
    with pytest.raises(Conflict):
        await documents.insert({"_id": "a"})


async def test_inserting_what_is_missing_leaves_what_is_there(documents: Documents) -> None:
    await documents.insert({"_id": "a", "n": 1})
    assert await documents.insert_missing([{"_id": "a", "n": 2}, {"_id": "b", "n": 2}]) == 1
    assert [item["n"] for item in await documents.find({}, sort=[("_id", 1)])] == [1, 2]


async def test_a_word_matches_a_list_that_holds_it(documents: Documents) -> None:
    await documents.insert({"_id": "a", "tags": ["x", "y"]})
    await documents.insert({"_id": "b"})
    assert [item["_id"] for item in await documents.find({"tags": "x"})] == ["a"]
    assert await documents.find({"tags": "z"}) == []


async def test_times_come_back_in_utc_and_whole_milliseconds(documents: Documents) -> None:
    at = datetime(2026, 5, 1, 12, 0, 0, 123456, timezone(timedelta(hours=3)))
    await documents.insert({"_id": "a", "at": at})
    found = await documents.find_one({"_id": "a"})
    assert found is not None
    assert found["at"] == datetime(2026, 5, 1, 9, 0, 0, 123000, UTC)
    assert found["at"].tzinfo is UTC


async def test_a_guarded_update_succeeds_once(documents: Documents) -> None:
    await documents.insert({"_id": "a", "status": "new"})
    change = {"$set": {"status": "sent"}}
    assert await documents.update({"_id": "a", "status": "new"}, change)
    assert not await documents.update({"_id": "a", "status": "new"}, change)


async def test_an_upsert_against_its_guard_is_a_conflict(documents: Documents) -> None:
    await documents.insert({"_id": "a", "n": 1})
    assert await documents.update({"_id": "b", "n": 1}, {"$set": {"x": 1}}, upsert=True)
    with pytest.raises(Conflict):
        await documents.update({"_id": "a", "n": 2}, {"$set": {"x": 1}}, upsert=True)


async def test_update_operators_do_what_they_say(documents: Documents) -> None:
    await documents.insert({"_id": "a", "n": 1, "gone": 1, "deep": {"x": 1, "y": 2}})
    change = {"$set": {"deep.x": 5}, "$inc": {"n": 2}, "$unset": {"gone": ""}}
    found = await documents.update_and_get({"_id": "a"}, change)
    assert found == {"_id": "a", "n": 3, "deep": {"x": 5, "y": 2}}
    assert await documents.update_and_get({"_id": "b"}, change) is None


async def test_what_is_pushed_into_a_list_is_found_by_its_time_until_it_is_pulled(
    documents: Documents,
) -> None:
    await documents.insert({"_id": "a", "told": {"url": "u"}})
    at = datetime(2026, 5, 1, tzinfo=UTC)
    later = {"told.due.at": {"$gt": at - timedelta(days=1)}}
    assert await documents.find(later) == []
    for name, days in (("y", 1), ("x", 0)):
        await documents.update(
            {"_id": "a"}, {"$push": {"told.due": {"id": name, "at": at + timedelta(days=days)}}}
        )
    await documents.insert({"_id": "b", "told": {"due": [{"id": "z", "at": at + timedelta(hours=1)}]}})
    found = await documents.find(later, sort=[("told.due.at", 1)])
    assert [[each["id"] for each in item["told"]["due"]] for item in found] == [["y", "x"], ["z"]]
    for name in ("x", "y"):
        assert await documents.update({"_id": "a"}, {"$pull": {"told.due": {"id": name}}})
    assert [item["_id"] for item in await documents.find(later)] == ["b"]


@pytest.mark.parametrize(
    ("match", "ids"),
    [
        ({"n": None}, "d"),
        ({"n": {"$lte": 2}}, "ab"),
        ({"n": {"$gt": 1, "$lt": 3}}, "b"),
        ({"n": {"$in": [1, 3]}}, "ac"),
        ({"n": {"$ne": 1}}, "bcd"),
        ({"n": {"$exists": False}}, "d"),
        ({"deep.x": 7}, "b"),
        ({"$or": [{"n": 1}, {"n": {"$gte": 3}}]}, "ac"),
        ({"$and": [{"n": {"$gte": 2}}, {"$or": [{"deep": None}, {"n": 7}]}]}, "c"),
    ],
)
async def test_filters_find_what_they_say(documents: Documents, match: dict[str, object], ids: str) -> None:
    for item in ({"_id": "a", "n": 1}, {"_id": "b", "n": 2, "deep": {"x": 7}}, {"_id": "c", "n": 3}):
        await documents.insert(dict(item))
    await documents.insert({"_id": "d"})
    found = await documents.find(match, sort=[("_id", 1)])
    assert "".join(item["_id"] for item in found) == ids
    assert await documents.count(match) == len(ids)


async def test_a_find_sorts_limits_and_projects(documents: Documents) -> None:
    for key, n in (("a", 1), ("b", 2), ("c", 2)):
        await documents.insert({"_id": key, "n": n, "x": 0})
    found = await documents.find({}, sort=[("n", -1), ("_id", -1)], limit=2, projection=["n"])
    assert found == [{"_id": "c", "n": 2}, {"_id": "b", "n": 2}]


async def test_changes_and_removals_of_many_are_counted(documents: Documents) -> None:
    for key in "abc":
        await documents.insert({"_id": key})
    assert await documents.update_many({"_id": {"$in": ["a", "b"]}}, {"$set": {"n": 1}}) == 2
    assert await documents.delete({"n": 1}) == 2
    assert await documents.count({}) == 1


async def test_an_index_may_be_asked_for_again(documents: Documents) -> None:
    for _ in range(2):
        await documents.ensure_index([("a", 1), ("b", -1)], partial={"status": "new"})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_that_is_away_is_unavailable() -> None:
    uri = SecretStr("mongodb://127.0.0.1:1/?directConnection=true")
    async with open_mongo(uri, answer_within=timedelta(seconds=0.5)) as mongo:
        with pytest.raises(Unavailable, match="Mongo is not available"):
            await mongo.ping()
        with pytest.raises(Unavailable):
            await mongo.collection("a", "b").insert({"_id": 1})
    # pymongo's monitor forgets its socket when it is stopped while it connects; here, not in a later test.
    gc.collect()


async def test_an_address_that_is_none_is_the_operators_affair() -> None:
    with pytest.raises(Misconfigured):
        async with open_mongo(SecretStr("http://127.0.0.1")):
            pass


@pytest.mark.filterwarnings("ignore:Unknown option")  # which it does not quote
@pytest.mark.parametrize(
    "password",
    ["abc/def", "abc:def", "abc@def", "abc%def", "abc?def", "abc?w=def", "abc#def", "abc[def", "abc/d.ef"],
)
async def test_an_address_that_cannot_be_read_is_refused_without_a_piece_of_its_password(
    password: str,
) -> None:
    for options in ("", "?authSource=admin", "?w=many&journal=true"):
        uri = SecretStr(f"mongodb://kadr:{password}@mongo.example:port/{options}")
        with pytest.raises(Misconfigured) as refused:
            async with open_mongo(uri):
                pass
        trace = "".join(traceback.format_exception(refused.value))
        assert "The address of Mongo cannot be read: " in trace
        assert "abc" not in trace
        assert "def" not in trace.replace("def test", "").replace("default", "")


async def test_an_address_says_what_is_wrong_with_it() -> None:
    for uri, cause in {
        "mongodb://me:secret@mongo.example:port/": "Port contains non-digit",
        "http://me:secret@mongo.example/": "Invalid URI scheme",
        "mongodb://me:sec%ret@mongo.example/": "must be percent-encoded",
        "mongodb://me:sec/ret@mongo.example/": "must be percent-encoded",
    }.items():
        with pytest.raises(Misconfigured, match=cause) as refused:
            async with open_mongo(SecretStr(uri)):
                pass
        assert "sec" not in str(refused.value)


async def test_a_cancel_is_never_lost_whenever_it_comes(documents: Documents) -> None:
    async def ask() -> None:
        await documents.find_one({"_id": "a"})
        await asyncio.sleep(60)

    for steps in range(200):
        asking = asyncio.create_task(ask())
        for _ in range(steps % 40):  # each a step further, until the answer has been there for a while
            await asyncio.sleep(0)
        asking.cancel()
        done, _ = await asyncio.wait([asking], timeout=10)
        assert done, f"lost after {steps % 40} steps"
        assert asking.cancelled()
