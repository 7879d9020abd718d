"""Pages hold each video once, in order, whatever comes and goes: in memory and on the real server."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest

from app.clients.main_db.video_outbox import Wanted
from app.clients.main_db.video_pages import READ_AT_MOST, VideoPages, find_beyond
from app.clients.mongo import Document, Documents, open_mongo
from app.domain.states import KEPT_AS, STATES, State
from app.settings import Settings
from tests.support.memory_mongo import MemoryDocuments

NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)

AGES: Final = [0, 0, 0.001, 1, 5, 5, 5, 60, 3_600, 3_601, 86_400, 86_400, 2e6, 2e7, 2e8]
"""Seconds: some at the same millisecond, some close together, some years apart."""


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.servers)])
async def documents(request: pytest.FixtureRequest) -> AsyncIterator[Documents]:
    if request.param == "fake":
        yield MemoryDocuments()
        return
    settings: Settings = request.getfixturevalue("servers")
    async with open_mongo(settings.mongo_uri, answer_within=timedelta(seconds=60)) as mongo:
        yield mongo.collection("kadr_test", uuid4().hex)


@pytest.fixture
async def pages(documents: Documents) -> VideoPages:
    found = VideoPages(documents, now=lambda: NOW)
    await found.prepare()
    return found


def video(video_id: str, *, age: float = 0, state: State = "queued", **more: Any) -> Document:  # noqa: ANN401
    """The document of a video that was accepted so many seconds ago."""
    outcome, status = KEPT_AS[state][0]
    known = {"_id": video_id, "status": status, "created_at": NOW - timedelta(seconds=age), "attempt": 1}
    payload = {"bucket": "videos", "object": f"input/{video_id}.mp4"}
    return known | {"payload": payload} | ({"outcome": outcome} if outcome else {}) | more


async def all_of(pages: VideoPages, *, limit: int = 3, **wanted: Any) -> list[str]:  # noqa: ANN401
    """The ids on all pages, in order."""
    found: list[str] = []
    after = None
    for _ in range(1000):
        page = await pages.page(Wanted(**wanted), limit=limit, after=after)
        assert len(page.videos) <= limit
        found += [each.id for each in page.videos]
        after = page.next
        if after is None:
            return found
    pytest.fail("the pages have no end")


def in_order(documents: list[Document]) -> list[str]:
    newest_first = sorted(documents, key=lambda each: (each["created_at"], each["_id"]), reverse=True)
    return [each["_id"] for each in newest_first]


@pytest.mark.parametrize("limit", [1, 2, 7, 200])
async def test_the_pages_together_are_all_videos_newest_first(
    pages: VideoPages, documents: Documents, limit: int
) -> None:
    kept = [video(uuid4().hex, age=age) for age in AGES]
    await documents.insert_missing(kept)
    assert await all_of(pages, limit=limit) == in_order(kept)


async def test_filters_choose_by_state_tags_time_and_owner_together(
    pages: VideoPages, documents: Documents
) -> None:
    kept = [
        video(
            f"{number:03}",
            age=AGES[number * 4 % len(AGES)] + number % 3,
            state=STATES[number % len(STATES)],
            tags=[["x"], ["x", "y"], [], ["y", "z", "x"]][number // 3 % 4],
            owner=["me", "you"][number // 2 % 2],
            **({"deleted_at": NOW} if number % 7 == 0 else {}),
        )
        for number in range(60)
    ]
    await documents.insert_missing(kept)
    since, until = NOW - timedelta(days=2), NOW - timedelta(seconds=2)
    for states in ([], ["queued"], ["ready", "failed"], ["cancelled", "processing"], list(STATES)):
        for tags in ((), ("x",), ("y", "x")):
            for owner in (None, "me"):
                for after, before in ((None, None), (since, None), (None, until), (since, until)):
                    expected = [
                        each
                        for each in kept
                        if "deleted_at" not in each
                        and (not states or state_of(each) in states)
                        and set(tags) <= set(each["tags"])
                        and owner in (None, each["owner"])
                        and (after is None or each["created_at"] > after)
                        and (before is None or each["created_at"] < before)
                    ]
                    wanted = {"states": frozenset(states), "tags": tags, "owner": owner}
                    found = await all_of(pages, limit=20, after=after, before=before, **wanted)
                    assert found == in_order(expected), (states, tags, owner, after, before)


def state_of(document: Document) -> State:
    return next(state for state in STATES if (document.get("outcome"), document["status"]) in KEPT_AS[state])


async def test_what_ended_before_it_was_noted_as_published_is_listed_by_its_end(
    pages: VideoPages, documents: Documents
) -> None:
    await documents.insert_missing(
        [video("a", age=1) | {"outcome": "cancelled"}, video("b", state="cancelled")]
    )
    assert await all_of(pages, states=frozenset({"cancelled"})) == ["b", "a"]
    assert await all_of(pages, states=frozenset({"queued"})) == []


async def test_pages_stay_where_they_are_while_videos_come_and_go(
    pages: VideoPages, documents: Documents
) -> None:
    kept = [video(f"{number:03}", age=float(number // 2)) for number in range(40)]
    await documents.insert_missing(kept)
    found: list[str] = []
    after = None
    while True:
        page = await pages.page(Wanted(), limit=5, after=after)
        found += [each.id for each in page.videos]
        if page.next is None:
            break
        after = page.next
        await documents.insert(video(uuid4().hex, age=-1.0))  # newer than all
        await documents.delete({"_id": page.videos[-1].id})  # the one that the cursor names
        to_come = in_order(kept)[len(found) :]
        gone = to_come[len(to_come) // 3] if to_come else ""
        kept = [each for each in kept if each["_id"] != gone]
        await documents.delete({"_id": gone})
    assert len(found) == len(set(found)), "none twice"
    assert found == [each for each in in_order(kept) if each in found]
    assert {each["_id"] for each in kept} <= set(found), "none that stayed is missing"


async def test_a_rare_combination_of_tags_reads_a_bounded_number_of_documents_for_a_page(
    documents: Documents, pages: VideoPages
) -> None:
    many = [video(f"{number:05}", age=number / 10, tags=["often"]) for number in range(READ_AT_MOST + 50)]
    rare = video("rare", age=1e6, tags=["often", "rare"])
    await documents.insert_missing([*many, rare])
    first = await pages.page(Wanted(tags=("often", "rare")), limit=50)
    assert first.videos == []
    assert first.next is not None
    second = await pages.page(Wanted(tags=("often", "rare")), limit=50, after=first.next)
    assert [each.id for each in second.videos] == ["rare"]
    assert second.next is None


@pytest.mark.parametrize("direction", [1, -1])
async def test_beyond_a_place_lies_everything_that_comes_after_it(
    documents: Documents, direction: int
) -> None:
    kept = [video(f"{number:02}", age=float(number // 3)) for number in range(10)]
    await documents.insert_missing(kept)
    expected = in_order(kept)[::-direction]
    found: list[str] = []
    after = None
    while some := await find_beyond(documents, {}, after, limit=2, direction=direction):  # type: ignore[arg-type]
        found += [each["_id"] for each in some]
        after = some[-1]["created_at"], some[-1]["_id"]
    assert found == expected


async def test_videos_that_lie_exactly_as_far_apart_as_pages_are_looked_for_are_all_there(
    documents: Documents, pages: VideoPages
) -> None:
    for at in range(40):
        await documents.insert(video(f"v{at:02}", age=at, state="ready"))
    assert await all_of(pages, limit=30) == [f"v{at:02}" for at in range(40)]
