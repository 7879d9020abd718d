"""Trying a video again: another attempt, and nothing of the one before counts."""

from dataclasses import replace

import httpx
import pytest

from app.domain.api_keys import Quotas
from app.domain.documents import failed_document
from app.domain.failures import failure
from app.domain.objects import (
    marks,
)
from tests.api.conftest import Door

FAILED = failed_document("a", failure("no_frames"))


async def retry(door: Door, video_id: str = "a", **more: dict[str, str]) -> httpx.Response:
    return await door.client.post(f"/api/v1/videos/{video_id}/retry", **more)  # type: ignore[arg-type]  # headers


async def send(door: Door) -> list[tuple[str, int]]:
    sent: list[tuple[str, int]] = []
    for claimed in await door.services.outbox.claims.take():
        await door.services.outbox.claims.mark_sent(claimed)
        sent.append((claimed.asked.kind, claimed.asked.attempt))
    return sent


async def fail(door: Door, *, is_marked: bool = True) -> None:
    await door.accept("a")
    await door.put("failed/a.json", FAILED, **(marks(1) if is_marked else {}))
    await door.services.outcomes.look_at_some()


async def status(door: Door) -> str:
    found: str = (await door.client.get("/api/result_video/a")).json()["status"]
    return found


@pytest.mark.parametrize("is_marked", [True, False])
async def test_a_failed_video_is_tried_again_and_its_old_reason_is_no_outcome(
    door: Door, *, is_marked: bool
) -> None:
    await fail(door, is_marked=is_marked)
    answer = await retry(door)
    assert answer.status_code == 202
    found = answer.json()
    assert (found["id"], found["status"], found["attempt"], found["error"]) == ("a", "queued", 2, None)
    assert found["stage"] == "queued"
    assert await status(door) == "new"
    assert await send(door) == [("submitted", 2)]
    assert "failed/a.json" not in door.s3.objects("videos")
    await door.put("failed/a.json", FAILED, **marks(1))  # by somebody who was late
    await door.services.outcomes.look_at_some()
    assert await status(door) == "sent"
    await door.put("detection/a.json", b"{}", **marks(1))
    await door.services.outcomes.look_at_some()
    assert await status(door) == "sent"
    await door.put("failed/a.json", FAILED, **marks(2))
    await door.services.outcomes.look_at_some()
    assert await status(door) == "failed"


async def test_a_cancelled_video_is_tried_again_before_the_pipeline_has_said_anything(door: Door) -> None:
    await door.accept("a")
    await door.client.post("/api/v1/videos/a/cancel")
    assert (await retry(door)).json()["attempt"] == 2
    assert await status(door) == "new"
    assert await send(door) == [("submitted", 2)]
    await door.put("failed/a.json", failed_document("a", failure("cancelled")), **marks(1))
    await door.services.outcomes.look_at_some()
    assert await status(door) == "sent", "what follows of the first attempt counts no more"
    await door.put("detection/a.json", b'{"status":"ready"}', **marks(2))
    assert await status(door) == "ready"


@pytest.mark.parametrize(
    ("is_ready", "code", "video_status"),
    [(False, "not_ended", "processing"), (True, "already_ready", "ready")],
)
async def test_what_waits_or_is_ready_is_not_tried_again(
    door: Door, code: str, video_status: str, *, is_ready: bool
) -> None:
    await door.accept("a")
    if is_ready:
        await door.put("detection/a.json", b"{}")
    answer = await retry(door)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert answer.json()["video_status"] == video_status
    assert await send(door) == []


async def test_a_result_that_came_after_a_failure_is_not_tried_again(door: Door) -> None:
    await fail(door)
    await door.put("detection/a.json", b'{"status":"ready"}', **marks(1))
    assert (await retry(door)).json()["code"] == "already_ready"
    assert await status(door) == "ready"


async def test_a_retry_of_a_retry_counts_on(door: Door) -> None:
    await fail(door)
    for attempt in (2, 3, 4):
        assert (await retry(door)).json()["attempt"] == attempt
        await door.client.post("/api/v1/videos/a/cancel")
    video = await door.services.outbox.get("a")
    assert video is not None
    assert [(each.attempt, each.outcome) for each in video.history] == [
        (1, "failed"),
        (2, "cancelled"),
        (3, "cancelled"),
    ]


async def test_without_s3_or_mongo_it_is_unavailable_and_nothing_has_changed(door: Door) -> None:
    await fail(door)
    for away in ({"s3": True}, {"mongo": True}):
        door.set_away(**away)
        assert (await retry(door)).status_code == 503
        door.set_away()
    assert await status(door) == "failed"
    assert (await retry(door)).status_code == 202


async def test_what_is_unknown_cannot_be_tried_again(door: Door) -> None:
    await fail(door)
    await door.client.delete("/api/v1/videos/a")
    for video_id in ("a", "b", "%00", "x" * 5000):
        answer = await retry(door, video_id)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_retry_takes_a_place_among_the_videos_of_its_key_that_wait(door: Door) -> None:
    settings = door.services.settings.model_copy(update={"api_keys": "required"})
    door.api.state.services = replace(door.services, settings=settings)
    _, text = await door.keys.create("test", ["submit", "read"], Quotas(1, None))
    headers = {"X-API-Key": text}

    async def upload() -> httpx.Response:
        files = {"file": ("a.mp4", b"x")}
        return await door.client.post("/api/upload_video", files=files, headers=headers)

    first = (await upload()).json()["event_id"]
    assert (await door.client.post(f"/api/v1/videos/{first}/cancel", headers=headers)).status_code == 202
    second = await upload()
    assert second.status_code == 200, "a cancelled one waits no longer"
    refused = await retry(door, first, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "over_quota")
    await door.client.post(f"/api/v1/videos/{second.json()['event_id']}/cancel", headers=headers)
    assert (await retry(door, first, headers=headers)).status_code == 202
    assert (await upload()).status_code == 429
