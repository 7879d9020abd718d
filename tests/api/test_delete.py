"""Deleting one video."""

from tests.api.conftest import Door


async def test_a_deleted_video_is_unknown_at_once_and_the_pipeline_is_asked_to_remove_it(door: Door) -> None:
    for video_id in "ab":
        await door.accept(video_id)
    await door.put("detection/a.json", b"{}")
    answer = await door.client.delete("/api/v1/videos/a")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await door.client.get("/api/result_video/a")).status_code == 404
    operations = (await door.client.get("/api/status/all")).json()["operations"]
    assert [item["video_id"] for item in operations] == ["b"]
    (command,) = door.commands.documents.values()
    assert (command["video_id"], command["kind"], command["status"]) == ("a", "delete", "new")
    assert door.waker.knocks == 1


async def test_what_is_unknown_or_deleted_already_is_not_found(door: Door) -> None:
    await door.accept("a")
    await door.client.delete("/api/v1/videos/a")
    for video_id in ("a", "b", "%00", "x" * 5000):
        answer = await door.client.delete(f"/api/v1/videos/{video_id}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_found"
    assert len(door.commands.documents) == 1


async def test_without_mongo_it_is_unavailable_and_the_video_stays(door: Door) -> None:
    await door.accept("a")
    door.set_away(mongo=True)
    answer = await door.client.delete("/api/v1/videos/a")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    door.set_away()
    assert (await door.client.get("/api/result_video/a")).status_code == 200
    assert (await door.client.delete("/api/v1/videos/a")).status_code == 204


async def test_without_s3_a_video_is_deleted_all_the_same(door: Door) -> None:
    await door.accept("a")
    door.set_away(s3=True)
    assert (await door.client.delete("/api/v1/videos/a")).status_code == 204
