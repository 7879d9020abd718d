"""The result of a video, before and after it is there."""

import pytest

from app.domain.documents import failed_document
from app.domain.failures import failure
from tests.api.conftest import Door

RESULT = b'{"status":"ready","event_id":"a","prediction":[{"frame":0,"time":0.0,"objects":[]}] }'
FAILED = failed_document("a", failure("not_a_video"))


async def test_before_it_is_there_it_says_how_far_the_video_is(door: Door) -> None:
    await door.services.outbox.accept(video_id="a", bucket="videos", object_name="x", input_owned=False)
    answer = await door.client.get("/api/result_video/a")
    assert answer.json() == {"status": "new", "event_id": "a"}
    for claimed in await door.services.outbox.claims.take():
        await door.services.outbox.claims.mark_sent(claimed)
    answer = await door.client.get("/api/result_video/a")
    assert answer.json() == {"status": "sent", "event_id": "a"}


async def test_a_ready_result_comes_byte_for_byte(door: Door) -> None:
    await door.accept("a")
    await door.put("detection/a.json", RESULT)
    answer = await door.client.get("/api/result_video/a")
    assert answer.status_code == 200
    assert answer.content == RESULT
    assert answer.headers["content-length"] == str(len(RESULT))
    assert answer.headers["content-type"] == "application/json"
    assert door.s3.opened == set()


async def test_a_failure_comes_byte_for_byte(door: Door) -> None:
    await door.accept("a")
    await door.put("failed/a.json", FAILED)
    answer = await door.client.get("/api/result_video/a")
    assert answer.status_code == 200
    assert answer.content == FAILED


async def test_a_result_wins_over_a_failure(door: Door) -> None:
    await door.accept("a")
    await door.put("failed/a.json", FAILED)
    await door.put("detection/a.json", RESULT)
    assert (await door.client.get("/api/result_video/a")).content == RESULT


async def test_a_video_that_could_not_even_be_published_has_failed(door: Door) -> None:
    await door.services.outbox.accept(video_id="a", bucket="videos", object_name="x", input_owned=False)
    (claimed,) = await door.services.outbox.claims.take()
    await door.services.outbox.claims.refuse(claimed, failure("worker_crashed"))
    answer = await door.client.get("/api/result_video/a")
    assert answer.content == failed_document("a", failure("worker_crashed"))
    assert answer.headers["content-type"] == "application/json"
    (operation,) = (await door.client.get("/api/status/all")).json()["operations"]
    assert operation["status_code"] == "failed"
    assert failure("worker_crashed").message in operation["status_description"]


async def test_what_a_client_saw_is_in_the_list_at_once(door: Door) -> None:
    for video_id in "ab":
        await door.accept(video_id)
    await door.put("detection/a.json", RESULT)
    await door.put("failed/b.json", FAILED)
    for video_id in "ab":
        await door.client.get(f"/api/result_video/{video_id}")
    operations = (await door.client.get("/api/status/all")).json()["operations"]
    assert {item["video_id"]: item["status_code"] for item in operations} == {"a": "ready", "b": "failed"}


async def test_a_video_that_was_never_marked_sent_may_be_ready(door: Door) -> None:
    await door.services.outbox.accept(video_id="a", bucket="videos", object_name="x", input_owned=False)
    await door.put("detection/a.json", RESULT)
    assert (await door.client.get("/api/result_video/a")).content == RESULT


@pytest.mark.parametrize(
    "event_id", ["7d1b2b6c-c1e4-4b6d-a380-18facde17d5c", "not-a-uuid", "%00", "x" * 5000]
)
async def test_an_unknown_id_is_not_found(door: Door, event_id: str) -> None:
    answer = await door.client.get(f"/api/result_video/{event_id}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 500


async def test_without_a_service_it_is_unavailable(door: Door) -> None:
    await door.accept("a")
    door.set_away(s3=True)
    assert (await door.client.get("/api/result_video/a")).status_code == 503
    door.set_away(mongo=True)
    assert (await door.client.get("/api/result_video/a")).status_code == 503
