"""Deleting everything, and what is cleared away afterwards."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from api.lifecycle.sweeps import Sweeps
from app.domain.objects import (
    OURS,
)
from tests.api.conftest import Door

LONG_AGO = datetime.now(UTC) - timedelta(hours=25)


async def test_after_a_cleanup_every_id_is_unknown(door: Door) -> None:
    for video_id in "abc":
        await door.accept(video_id)
    await door.put("detection/a.json", b"{}")
    answer = await door.client.delete("/api/cleanup/all")
    assert answer.json() == {"status": "ok", "deleted": 3}
    assert (await door.client.get("/api/status/all")).json() == {"operations": [], "total": 0}
    for video_id in "abc":
        assert (await door.client.get(f"/api/result_video/{video_id}")).status_code == 404
    assert door.waker.knocks == 1


async def test_a_cleanup_asks_the_pipeline_before_it_answers(door: Door) -> None:
    await door.accept("a")
    await door.client.delete("/api/cleanup/all")
    (command,) = door.commands.documents.values()
    assert (command["video_id"], command["kind"], command["status"]) == ("a", "delete", "new")
    assert "deleted_at" in door.videos.documents["a"]


async def test_a_cleanup_touches_no_object_itself(door: Door) -> None:
    await door.accept("a")
    await door.put("theirs.mp4", b"x")
    await door.client.delete("/api/cleanup/all")
    assert list(door.s3.objects("videos")) == ["theirs.mp4"]


async def test_a_confirmed_deletion_is_forgotten(door: Door) -> None:
    video_id = str(uuid4())
    await door.accept(video_id)
    await door.client.delete("/api/cleanup/all")
    await door.sweeps.forget_deleted()
    assert list(door.videos.documents) == [video_id]
    await door.put(f"deleted/{video_id}", b"", **OURS)
    await door.sweeps.forget_deleted()
    assert (door.videos.documents, door.commands.documents) == ({}, {})
    assert door.s3.objects("videos") == {}


async def test_a_confirmation_of_an_older_worker_has_no_mark_and_counts_all_the_same(door: Door) -> None:
    video_id = str(uuid4())
    await door.accept(video_id)
    await door.client.delete(f"/api/v1/videos/{video_id}")
    await door.put(f"deleted/{video_id}", b"")
    await door.sweeps.forget_deleted()
    assert (door.videos.documents, door.s3.objects("videos")) == ({}, {})


async def test_what_others_keep_where_deletions_are_confirmed_stays(door: Door) -> None:
    video_id = str(uuid4())
    await door.accept(video_id)
    theirs = {"deleted/holiday.mp4", f"deleted/{video_id}", f"deleted/{uuid4()}", f"deleted/{uuid4()}.mp4"}
    for name in theirs:
        await door.put(name, b"")
    await door.put("deleted/marked.mp4", b"", **OURS)
    await door.sweeps.forget_deleted()
    assert set(door.s3.objects("videos")) == theirs | {"deleted/marked.mp4"}
    assert list(door.videos.documents) == [video_id]


async def put_long_ago(door: Door, *names: str, **metadata: str) -> None:
    door.s3.clock = lambda: LONG_AGO
    for name in names:
        await door.put(name, b"x", **metadata)
    door.s3.clock = lambda: datetime.now(UTC)


def objects_of(video_id: str) -> set[str]:
    derived = {f"derived/{video_id}/annotated.mp4", f"derived/{video_id}/preview.state.json"}
    return {f"input/{video_id}.mp4", f"detection/{video_id}.json", f"failed/{video_id}.json"} | derived


async def test_only_old_marked_objects_without_a_document_are_orphans(door: Door) -> None:
    orphan, known, young, unmarked = (str(uuid4()) for _ in range(4))
    for video_id in (orphan, known):
        await put_long_ago(door, *objects_of(video_id), **OURS)
    await put_long_ago(door, *objects_of(unmarked))
    others = [
        "input/holiday.mp4",
        f"archive/input/{orphan}.mp4",
        f"input/{orphan}.mp4.bak",
        f"input/{orphan}",
        f"derived/{orphan}",
        f"derived/{orphan}/",
        f"derived/{orphan}/more/annotated.mp4",
        "derived/holiday/annotated.mp4",
    ]
    await put_long_ago(door, *others, f"detection/{orphan}.mp4", f"{orphan}.json", **OURS)
    await door.put(f"input/{young}.mp4", b"x", **OURS)
    await door.accept(known)
    before = set(door.s3.objects("videos"))
    await door.sweeps.remove_orphans()
    assert before - set(door.s3.objects("videos")) == objects_of(orphan)


async def test_the_objects_of_a_deleted_video_are_the_pipelines_to_remove(door: Door) -> None:
    video_id = str(uuid4())
    await put_long_ago(door, *objects_of(video_id), **OURS)
    await door.accept(video_id)
    await door.client.delete("/api/cleanup/all")
    await door.sweeps.remove_orphans()
    assert set(door.s3.objects("videos")) == objects_of(video_id)


async def test_a_video_that_is_accepted_between_the_two_looks_keeps_its_upload(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    video_id = str(uuid4())
    await put_long_ago(door, f"input/{video_id}.mp4", **OURS)
    known = door.services.outbox.known

    async def then_accepted(video_ids: Collection[str]) -> set[str]:
        found = await known(video_ids)
        await door.accept(video_id)
        return found

    monkeypatch.setattr(door.services.outbox, "known", then_accepted)
    await door.sweeps.remove_orphans()
    assert set(door.s3.objects("videos")) == {f"input/{video_id}.mp4"}


async def test_many_orphans_are_removed_though_mongo_is_asked_for_some_at_a_time(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.lifecycle.sweeps.AT_ONCE", 3)
    await put_long_ago(door, *(f"input/{uuid4()}.mp4" for _ in range(7)), **OURS)
    await door.sweeps.remove_orphans()
    assert door.s3.objects("videos") == {}


async def test_two_that_sweep_at_the_same_time_do_no_harm(door: Door) -> None:
    orphan, deleted, kept = (str(uuid4()) for _ in range(3))
    await put_long_ago(door, *objects_of(orphan), *objects_of(kept), **OURS)
    await door.put(f"deleted/{deleted}", b"", **OURS)
    door.s3.clock = lambda: LONG_AGO
    await door.s3.begin_upload("videos", f"input/{orphan}.mp4", {})
    for video_id in (deleted, kept):
        await door.accept(video_id)
    other = Sweeps(
        door.services.storage,
        door.services.outbox,
        buckets=["videos", "archive"],
        deliveries=door.services.deliveries,
    )
    for one, two in (
        (door.sweeps.forget_deleted, other.forget_deleted),
        (door.sweeps.remove_orphans, other.remove_orphans),
    ):
        await asyncio.gather(one(), two())
    assert set(door.s3.objects("videos")) == objects_of(kept)
    assert (list(door.videos.documents), door.s3.uploads) == ([kept], {})


async def test_what_is_left_of_a_write_that_was_cut_off_is_taken_away(door: Door) -> None:
    door.s3.clock = lambda: LONG_AGO
    ours = [
        f"input/{uuid4()}.mp4",
        f"detection/{uuid4()}.json",
        f"input/{uuid4()}.mp4",
        f"input/{uuid4()}.mp4",
    ]
    theirs = ["input/holiday.mp4", f"other/{uuid4()}.mp4"]
    keys = [await door.s3.begin_upload("videos", name, {}) for name in ours + theirs]
    door.s3.clock = lambda: datetime.now(UTC)
    await door.s3.send_part(keys[2], 1, b"a client that is slow, but there")
    keys[3:4] = [await door.s3.begin_upload("videos", ours[3], {})]
    await door.sweeps.remove_orphans()
    assert {key.name for key in door.s3.uploads} == {ours[2], ours[3], *theirs}
    later = Sweeps(
        door.services.storage,
        door.services.outbox,
        buckets=["videos"],
        deliveries=door.services.deliveries,
        now=lambda: datetime.now(UTC) + timedelta(hours=25),
    )
    await later.remove_orphans()
    assert {key.name for key in door.s3.uploads} == set(theirs)


async def test_without_mongo_a_cleanup_is_unavailable_and_deletes_nothing(door: Door) -> None:
    await door.accept("a")
    door.set_away(mongo=True)
    assert (await door.client.delete("/api/cleanup/all")).status_code == 503
    door.set_away()
    assert (await door.client.get("/api/status/all")).json()["total"] == 1
