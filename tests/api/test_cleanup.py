"""Deleting everything, and what is cleared away afterwards."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

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
    await door.accept("a")
    await door.client.delete("/api/cleanup/all")
    await door.sweeps.forget_deleted()
    assert list(door.videos.documents) == ["a"]
    await door.put("deleted/a", b"")
    await door.sweeps.forget_deleted()
    assert (door.videos.documents, door.commands.documents) == ({}, {})
    assert door.s3.objects("videos") == {}


async def test_only_old_marked_uploads_without_a_document_are_orphans(door: Door) -> None:
    orphan, known, young, unmarked = (str(uuid4()) for _ in range(4))
    door.s3.clock = lambda: LONG_AGO
    ours = {"kadr-upload": "1"}
    for video_id in (orphan, known):
        await door.put(f"input/{video_id}.mp4", b"x", **ours)
    await door.put(f"input/{unmarked}.mp4", b"x")
    await door.put("input/holiday.mp4", b"x", **ours)
    await door.put(f"archive/input/{orphan}.mp4", b"x", **ours)
    door.s3.clock = lambda: datetime.now(UTC)
    await door.put(f"input/{young}.mp4", b"x", **ours)
    await door.accept(known)
    before = set(door.s3.objects("videos"))
    await door.sweeps.remove_orphans()
    assert before - set(door.s3.objects("videos")) == {f"input/{orphan}.mp4"}


async def test_the_upload_of_a_deleted_video_is_the_pipelines_to_remove(door: Door) -> None:
    video_id = str(uuid4())
    door.s3.clock = lambda: LONG_AGO
    await door.put(f"input/{video_id}.mp4", b"x", **{"kadr-upload": "1"})
    await door.accept(video_id)
    await door.client.delete("/api/cleanup/all")
    await door.sweeps.remove_orphans()
    assert len(door.s3.objects("videos")) == 1


async def test_what_is_left_of_an_upload_that_was_cut_off_is_taken_away(door: Door) -> None:
    door.s3.clock = lambda: LONG_AGO
    await door.s3.begin_upload("videos", "input/a.mp4", {})
    door.s3.clock = lambda: datetime.now(UTC)
    running = await door.s3.begin_upload("videos", "input/b.mp4", {})
    await door.sweeps.remove_orphans()
    assert list(door.s3.uploads) == [running]


async def test_without_mongo_a_cleanup_is_unavailable_and_deletes_nothing(door: Door) -> None:
    await door.accept("a")
    door.set_away(mongo=True)
    assert (await door.client.delete("/api/cleanup/all")).status_code == 503
    door.set_away()
    assert (await door.client.get("/api/status/all")).json()["total"] == 1
