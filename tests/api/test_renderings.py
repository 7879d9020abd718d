"""Frames and videos that a runner makes: what the API asks it for, and what it says meanwhile."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from app.clients.http.renderer import RunnerBusy
from app.domain.failures import failure
from app.domain.objects import (
    OURS,
    detection_object,
    input_object,
)
from app.domain.renderings import (
    FrameAsked,
    RenderingAsked,
    RenderingState,
    rendering_failure,
    rendering_object,
    state_object,
)
from app.errors import Missing, Unavailable, Undecodable
from tests.api.conftest import Door

ANNOTATED = "/api/v1/videos/a/annotated.mp4"
PREVIEW = "/api/v1/videos/a/preview.mp4"
FRAME = "/api/v1/videos/a/frames/7.jpg"


async def accept_ready(door: Door) -> None:
    await door.accept("a")
    await door.put(detection_object("a"), b"{}")


async def note(door: Door, state: RenderingState) -> None:
    name = state_object("a", "annotated")
    await door.put(name, msgspec.json.encode(state), **OURS)


def soon(seconds: float = 60) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def test_what_is_not_there_yet_is_asked_for_and_said_to_be_being_made(door: Door) -> None:
    await accept_ready(door)
    answer = await door.client.get(ANNOTATED)
    assert answer.status_code == 202
    assert answer.json() == {"status": "queued", "frames_done": 0, "frames_total": None}
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["location"] == ANNOTATED
    assert door.renderer.asked == [RenderingAsked("a", "annotated", "videos", input_object("a"))]


async def test_what_is_there_comes_as_a_video_with_ranges_and_nobody_is_asked(door: Door) -> None:
    await accept_ready(door)
    for kind in ("annotated", "preview"):
        name = rendering_object("a", kind)
        await door.services.storage.put("videos", name, b"0123456789", content_type="video/mp4")
    for path in (ANNOTATED, PREVIEW):
        answer = await door.client.get(path, headers={"Range": "bytes=2-4"})
        assert (answer.status_code, answer.content) == (206, b"234")
        assert answer.headers["content-type"] == "video/mp4"
        assert f'inline; filename="a.{path.split("/")[-1]}"' == answer.headers["content-disposition"]
        assert (await door.client.head(path)).headers["content-length"] == "10"
    assert door.renderer.asked == []


async def test_what_another_runner_makes_is_seen_without_asking(door: Door) -> None:
    await accept_ready(door)
    await note(door, RenderingState("making", soon(), frames_done=3, frames_total=9))
    answer = await door.client.get(ANNOTATED)
    assert answer.status_code == 202
    assert answer.json() == {"status": "making", "frames_done": 3, "frames_total": 9}
    assert door.renderer.asked == []


async def test_what_a_runner_left_behind_is_asked_for_again(door: Door) -> None:
    await accept_ready(door)
    await note(door, RenderingState("making", soon(-1)))
    assert (await door.client.get(ANNOTATED)).status_code == 202
    assert len(door.renderer.asked) == 1


async def test_what_could_not_be_made_says_why_and_is_not_tried_again_for_some_time(door: Door) -> None:
    await accept_ready(door)
    error = rendering_failure("rendering_too_large")
    await note(door, RenderingState("failed", soon(), error=error))
    answer = await door.client.get(ANNOTATED)
    assert (answer.status_code, answer.json()["code"]) == (409, "rendering_too_large")
    assert answer.json()["detail"] == error.message
    assert door.renderer.asked == []
    await note(door, RenderingState("failed", soon(-1), error=error))
    assert (await door.client.get(ANNOTATED)).status_code == 202


async def test_boxes_need_a_result_and_a_preview_does_not(door: Door) -> None:
    await door.accept("a")
    for path in (ANNOTATED, f"{FRAME}?boxes=1"):
        answer = await door.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")
    assert door.renderer.asked == []
    assert (await door.client.get(PREVIEW)).status_code == 202
    assert (await door.client.get(FRAME)).status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (Unavailable("The runner", "refused"), 503, "unavailable", "2"),
        (RunnerBusy("The runner has as much to do as it takes on"), 503, "busy", "5"),
    ],
)
async def test_a_runner_that_is_away_or_busy_is_a_reason_to_come_again(
    door: Door, error: Exception, status: int, code: str, retry_after: str
) -> None:
    await accept_ready(door)
    door.renderer.error = error
    for path in (ANNOTATED, PREVIEW, FRAME):
        answer = await door.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["retry-after"] == retry_after


async def test_a_frame_comes_as_a_picture(door: Door) -> None:
    await accept_ready(door)
    answer = await door.client.get(FRAME, params={"boxes": "1"})
    assert (answer.status_code, answer.content) == (200, door.renderer.picture)
    assert answer.headers["content-type"] == "image/jpeg"
    assert door.renderer.asked == [FrameAsked("a", "videos", input_object("a"), 7, boxes=True)]


async def test_a_frame_that_is_none_is_not_found_and_one_of_a_broken_video_says_why(door: Door) -> None:
    await accept_ready(door)
    beyond = rendering_failure("no_such_frame", "It has 3.")
    broken = failure("not_a_video")
    for error, status, code in (
        (Undecodable(beyond.code, beyond.message), 404, "not_found"),
        (Missing("The frame 7"), 404, "not_found"),
        (Undecodable(broken.code, broken.message), 409, "not_a_video"),
    ):
        door.renderer.error = error
        answer = await door.client.get(FRAME)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("number", ["-1", "x", "1e3", "100000000", "1.5"])
async def test_what_is_no_number_of_a_frame_is_refused(door: Door, number: str) -> None:
    await accept_ready(door)
    assert (await door.client.get(f"/api/v1/videos/a/frames/{number}.jpg")).status_code == 422
    assert door.renderer.asked == []


async def test_of_an_unknown_or_deleted_video_nothing_is_made(door: Door) -> None:
    await accept_ready(door)
    await door.services.storage.put(
        "videos", rendering_object("a", "preview"), b"x", content_type="video/mp4"
    )
    await door.client.delete("/api/v1/videos/a")
    for path in (ANNOTATED, PREVIEW, FRAME):
        for method in ("GET", "HEAD") if path != FRAME else ("GET",):
            assert (await door.client.request(method, path)).status_code == 404
    assert door.renderer.asked == []
