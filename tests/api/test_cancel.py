"""Cancelling a video: from the answer on it is cancelled for every call."""

import asyncio
import logging

import httpx
import pytest

from api.lifecycle.cancellations import Cancellations
from app.domain.documents import failed_document
from app.domain.failures import failure
from app.domain.objects import (
    marks,
)
from app.domain.sentences import CANCELLED
from app.errors import RetryLater
from tests.api.conftest import Door

CANCELLED_BODY = failed_document("a", failure("cancelled"))


async def cancel(door: Door, video_id: str = "a") -> httpx.Response:
    return await door.client.post(f"/api/v1/videos/{video_id}/cancel")


async def look(door: Door) -> None:
    """Look once, as the API does each second."""
    await Cancellations(door.services.outcomes, door.services.outbox).look_at_some()


async def shows_cancelled(door: Door) -> bool:
    answer = await door.client.get("/api/result_video/a")
    assert answer.status_code == 200
    operations = (await door.client.get("/api/status/all", headers={"Accept-Language": "ru"})).json()
    (operation,) = operations["operations"]
    assert (operation["status_code"] == "failed") == (answer.content == CANCELLED_BODY)
    is_cancelled: bool = operation["status_description"].endswith(CANCELLED["ru"])
    assert is_cancelled == (answer.content == CANCELLED_BODY)
    return is_cancelled


@pytest.mark.parametrize("is_sent", [True, False])
async def test_a_cancelled_video_is_cancelled_for_every_call(door: Door, *, is_sent: bool) -> None:
    if is_sent:
        await door.accept("a")
    else:
        await door.services.outbox.accept(video_id="a", bucket="videos", object_name="x", input_owned=False)
    assert not await shows_cancelled(door)
    answer = await cancel(door)
    assert answer.status_code == 202
    found = answer.json()
    assert (found["id"], found["status"], found["attempt"]) == ("a", "cancelled", 1)
    assert found["error"] == {"code": "cancelled", "message": failure("cancelled").message}
    assert (found["stage"], found["options"]["conf"]) == (None, 0.25)
    assert found["ended_at"].endswith("Z")
    assert door.waker.knocks == 1
    assert await shows_cancelled(door)
    kinds = [claimed.asked.kind for claimed in await door.services.outbox.claims.take()]
    assert kinds == ["cancel"], "nothing of it is published as work"


async def test_cancelling_twice_is_cancelling_once(door: Door) -> None:
    await door.accept("a")
    first, again = await cancel(door), await cancel(door)
    assert (again.status_code, again.json()) == (202, first.json())
    assert len(door.commands.documents) == 1


async def test_a_cancel_whose_api_died_before_the_pipeline_was_told_is_told_by_the_next_one(
    door: Door,
) -> None:
    await door.accept("a")
    await cancel(door)
    door.commands.documents.clear()
    assert (await cancel(door)).status_code == 202
    assert [each["kind"] for each in door.commands.documents.values()] == ["cancel"]


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("detection/a.json", b"{}", "ready"),
        ("failed/a.json", failed_document("a", failure("no_frames")), "failed"),
    ],
)
async def test_what_has_ended_is_not_cancelled_although_nobody_had_asked_yet(
    door: Door, name: str, body: bytes, status: str
) -> None:
    await door.accept("a")
    await door.put(name, body)
    answer = await cancel(door)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert (found["code"], found["video_status"], found["status"]) == ("already_ended", status, 409)
    assert (await door.client.get("/api/result_video/a")).content == body
    assert door.commands.documents == {}


async def test_a_result_that_is_written_meanwhile_is_never_shown(door: Door) -> None:
    await door.accept("a")
    seen = await door.services.outbox.get("a")
    await cancel(door)
    await door.put("detection/a.json", b"{}", **marks(1))
    assert await shows_cancelled(door)
    facts = await door.services.storage.stat("videos", "detection/a.json")
    assert seen is not None
    assert facts is not None
    assert not await door.services.outcomes.note_ready(seen, facts)
    await door.services.outcomes.look_at_some()
    assert await shows_cancelled(door)


async def test_who_reads_a_result_while_its_video_is_cancelled_sees_that(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.accept("a")
    await door.put("detection/a.json", b"{}", **marks(1))
    video = await door.services.outbox.get("a")
    assert video is not None
    note = door.services.outcomes.note_ready

    async def cancelled_meanwhile(*seen: object) -> bool:
        await door.services.outbox.withdrawals.cancel(video)
        return await note(*seen)  # type: ignore[arg-type]  # what it is called with

    monkeypatch.setattr(door.services.outcomes, "note_ready", cancelled_meanwhile)
    assert (await door.client.get("/api/result_video/a")).content == CANCELLED_BODY
    assert door.s3.opened == set()


async def test_a_cancellation_is_confirmed_by_the_reason_in_s3(door: Door) -> None:
    await door.accept("a")
    await cancel(door)
    await look(door)
    assert len(door.commands.documents) == 1
    await door.put("failed/a.json", failed_document("a", failure("no_frames")), **marks(1))
    await look(door)
    assert len(door.commands.documents) == 1, "it failed before the pipeline had heard of it"
    await door.put("failed/a.json", CANCELLED_BODY, **marks(1))
    await look(door)
    assert door.commands.documents == {}
    assert "unconfirmed" not in door.videos.documents["a"]
    assert await shows_cancelled(door)


async def test_whoever_looks_tells_the_pipeline_what_nobody_told_it(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await door.accept("a")
    await cancel(door)
    door.commands.documents.clear()
    await look(door)
    assert [each["kind"] for each in door.commands.documents.values()] == ["cancel"]
    assert "cancellations were told again" in caplog.text


async def test_a_video_that_the_pipeline_says_is_cancelled_is(door: Door) -> None:
    await door.accept("a")
    await door.put("failed/a.json", CANCELLED_BODY, **marks(1))
    await door.services.outcomes.look_at_some()
    assert await shows_cancelled(door)
    assert (await cancel(door)).status_code == 202


async def test_without_s3_a_video_is_cancelled_and_without_mongo_not(door: Door) -> None:
    await door.accept("a")
    door.set_away(mongo=True)
    assert (await cancel(door)).status_code == 503
    door.set_away(s3=True)
    assert (await cancel(door)).status_code == 202
    answer = await door.client.get("/api/result_video/a")
    assert answer.content == CANCELLED_BODY, "nothing is asked of S3 for that"
    with pytest.raises(RetryLater):
        await look(door)


async def test_what_is_unknown_cannot_be_cancelled(door: Door) -> None:
    await door.accept("a")
    await door.client.delete("/api/v1/videos/a")
    for video_id in ("a", "b", "%00", "x" * 5000):
        answer = await cancel(door, video_id)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_of_many_who_cancel_and_look_at_the_same_time_each_sees_one_end(door: Door) -> None:
    for number in range(10):
        await door.accept(f"v{number}")
        await door.put(f"detection/v{number}.json", b"{}", **marks(1))
    answers = await asyncio.gather(
        *(cancel(door, f"v{number}") for number in range(10)), door.services.outcomes.look_at_some()
    )
    assert {each.status_code for each in answers if each is not None} == {409}


async def test_a_cancelled_video_is_deleted_like_any_other(door: Door) -> None:
    await door.accept("a")
    await cancel(door)
    assert (await door.client.delete("/api/v1/videos/a")).status_code == 204
    assert (await door.client.get("/api/result_video/a")).status_code == 404
    await door.put("deleted/a", b"", **marks(1))
    await look(door)
