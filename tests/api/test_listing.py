"""The list of videos of `/api/v1`, and one of them: what is said, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest

from api.lifecycle.video_answers import ShownVideo, VideoList
from app.clients.http.runner_progress import RunnerProgress, StageTimes
from app.domain.documents import failed_document
from app.domain.failures import failure
from tests.api.conftest import Door

VIDEOS = "/api/v1/videos"


async def listed(door: Door, **params: Any) -> list[str]:  # noqa: ANN401 - any parameter
    answer = await door.client.get(VIDEOS, params=params)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in VideoList.model_validate(answer.json()).model_dump()["videos"]]


async def accept_new(door: Door, video_id: str) -> None:
    await door.services.outbox.accept(
        video_id=video_id, bucket="videos", object_name="a.mp4", input_owned=False, filename="a.mp4"
    )


async def shown(door: Door, video_id: str) -> dict[str, Any]:
    answer = await door.client.get(f"{VIDEOS}/{video_id}")
    assert answer.status_code == 200, answer.text
    ShownVideo.model_validate(answer.json())
    body: dict[str, Any] = answer.json()
    return body


async def test_without_videos_the_list_is_empty(door: Door) -> None:
    assert (await door.client.get(VIDEOS)).json() == {"videos": [], "next_cursor": None}


async def test_an_item_says_what_main_db_knows_of_a_video(door: Door) -> None:
    await accept_new(door, "a")
    door.videos.documents["a"]["tags"] = ["x", "y"]
    (item,) = (await door.client.get(VIDEOS)).json()["videos"]
    options = item.pop("options")
    assert {"conf": 0.25, "iou": 0.45, "vid_stride": 5, "max_det": 300}.items() <= options.items()
    assert item == {
        "id": "a",
        "status": "queued",
        "stage": "queued",
        "filename": "a.mp4",
        "tags": ["x", "y"],
        "attempt": 1,
        "bucket": "videos",
        "object": "a.mp4",
        "created_at": "2026-01-01T00:00:00Z",
        "sent_at": None,
        "ended_at": None,
        "error": None,
    }


async def test_each_status_has_its_word_and_is_a_filter(door: Door) -> None:
    for video_id in ("processing", "ready", "failed", "cancelled"):
        await door.accept(video_id)
        door.clock.pass_by(timedelta(seconds=1))
    await accept_new(door, "queued")
    await door.put("detection/ready.json", b"{}")
    await door.put("failed/failed.json", failed_document("failed", failure("not_a_video")))
    await door.services.outcomes.look_at_some()
    door.videos.documents["cancelled"] |= {"outcome": "cancelled", "outcome_at": door.clock.now}
    everything = ["queued", "cancelled", "failed", "ready", "processing"]
    assert await listed(door) == everything
    for status in everything:
        assert await listed(door, status=status) == [status]
        assert (await shown(door, status))["status"] == status
    assert await listed(door, status=["ready", "failed"]) == ["failed", "ready"]
    assert await listed(door, status=everything) == everything
    failed = await shown(door, "failed")
    assert failed["error"]["code"] == "not_a_video"
    assert failed["ended_at"] is not None


async def test_tags_must_all_match_and_times_bound_the_list(door: Door) -> None:
    for video_id, tags in (("a", ["x"]), ("b", ["x", "y"]), ("c", [])):
        await door.accept(video_id)
        door.videos.documents[video_id]["tags"] = tags
        door.clock.pass_by(timedelta(seconds=10))
    assert await listed(door, tag="x") == ["b", "a"]
    assert await listed(door, tag=["y", "x"]) == ["b"]
    assert await listed(door, tag=["y", "z"]) == []
    assert await listed(door, tag="x", status="processing") == ["b", "a"]
    assert await listed(door, tag="x", status="ready") == []
    assert await listed(door, created_after="2026-01-01T00:00:00Z") == ["c", "b"]
    assert await listed(door, created_before="2026-01-01T00:00:20Z") == ["b", "a"]
    assert await listed(door, created_before="2026-01-01T03:00:20+03:00") == ["b", "a"]
    bounds = {"created_after": "2026-01-01T00:00:00Z", "created_before": "2026-01-01T00:00:20Z"}
    assert await listed(door, **bounds) == ["b"]


async def test_a_page_leads_to_the_next(door: Door) -> None:
    for number in range(5):
        await door.accept(f"v{number}")
    found, params = [], {"limit": "2"}
    while True:
        body = (await door.client.get(VIDEOS, params=params)).json()
        found += [each["id"] for each in body["videos"]]
        if body["next_cursor"] is None:
            break
        params["cursor"] = body["next_cursor"]
    assert found == ["v4", "v3", "v2", "v1", "v0"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("status=sent", "status"),
        ("status=ready&status=done", "status"),
        ("tag=", "tag"),
        ("tag=" + "x" * 65, "tag"),
        ("&".join(f"tag={n}" for n in range(17)), "tag"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-01-01T00:00:00", "created_before"),
        ("cursor=zzzz", "cursor"),
        ("cursor=MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMHxh", "cursor"),  # the year 1, some hours before UTC's
    ],
)
async def test_what_cannot_be_is_refused_by_name(door: Door, query: str, field: str) -> None:
    answer = await door.client.get(f"{VIDEOS}?{query}")
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "1969-12-31T00:00:00Z"])
async def test_times_before_all_videos_bound_nothing_or_everything(door: Door, time: str) -> None:
    await door.accept("a")
    assert await listed(door, created_after=time) == ["a"]
    assert await listed(door, created_before=time) == []


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "9000-01-01T00:00:00Z"])
async def test_times_after_all_videos_bound_everything_or_nothing(door: Door, time: str) -> None:
    await door.accept("a")
    assert await listed(door, created_after=time) == []
    assert await listed(door, created_before=time) == ["a"]


async def test_the_list_needs_neither_s3_nor_the_runner(door: Door) -> None:
    await door.accept("a")
    door.set_away(s3=True)
    door.runner.is_away = True
    assert await listed(door) == ["a"]
    assert door.runner.looks == {}
    door.set_away(mongo=True)
    assert (await door.client.get(VIDEOS)).status_code == 503


async def test_a_video_in_work_shows_how_far_it_is(door: Door) -> None:
    await door.accept("a")
    door.runner.progress["a"] = RunnerProgress(
        attempt=1,
        status="processing",
        stage="decoding",
        frames_done=10,
        frames_expected=60,
        frames_split=15,
        seconds_decoding=2.0,
        times=StageTimes(accepted="2026-01-01T00:00:01Z", decoding="2026-01-01T00:00:02Z"),
    )
    body = await shown(door, "a")
    assert (body["status"], body["stage"]) == ("processing", "decoding")
    assert body["progress"] == {
        "known": True,
        "frames_done": 10,
        "frames_total": 60,
        "frames_split": 15,
        "fps": 5.0,
        "eta_seconds": 10.0,
        "queue_position": 0,
    }
    assert body["times"] == {
        "created": "2026-01-01T00:00:00Z",
        "sent": "2026-01-01T00:00:00Z",
        "accepted": "2026-01-01T00:00:01Z",
        "decoding": "2026-01-01T00:00:02Z",
        "decoded": None,
        "detected": None,
        "ready": None,
    }


async def test_a_video_that_waits_shows_how_many_are_before_it(door: Door) -> None:
    await door.accept("a")
    door.runner.progress["a"] = RunnerProgress(
        attempt=1, status="processing", stage="queued", queue_position=7
    )
    body = await shown(door, "a")
    assert (body["status"], body["stage"]) == ("processing", "queued")
    assert body["progress"]["queue_position"] == 7
    assert (body["progress"]["fps"], body["progress"]["eta_seconds"]) == (None, None)


async def test_without_the_runner_the_status_is_there_and_the_progress_is_unknown(door: Door) -> None:
    await door.accept("a")
    await accept_new(door, "b")
    door.runner.is_away = True
    body = await shown(door, "a")
    assert (body["status"], body["stage"], body["progress"]) == ("processing", None, {"known": False})
    assert (await shown(door, "b"))["progress"]["known"], "it is queued, and nobody has to be asked"
    door.set_away(s3=True)
    assert (await shown(door, "a"))["status"] == "processing"


async def test_a_result_is_seen_without_waiting_for_the_background(door: Door) -> None:
    await door.accept("a")
    await door.put("detection/a.json", b"{}")
    assert (await shown(door, "a"))["stage"] == "queued", "the runner has not heard of it"
    door.runner.progress["a"] = RunnerProgress(attempt=1, status="ready", stage="ready", frames_done=60)
    body = await shown(door, "a")
    assert (body["status"], body["stage"]) == ("ready", None)
    assert body["times"]["ready"] == body["ended_at"]


async def test_without_the_runner_a_result_is_seen_too(door: Door) -> None:
    await door.accept("a")
    await door.put("detection/a.json", b"{}")
    door.runner.is_away = True
    assert (await shown(door, "a"))["status"] == "ready"


async def test_what_the_runner_knows_of_an_attempt_before_is_not_told(door: Door) -> None:
    await door.accept("a")
    door.videos.documents["a"]["attempt"] = 2
    door.runner.progress["a"] = RunnerProgress(attempt=1, status="failed", stage="failed", frames_done=50)
    body = await shown(door, "a")
    assert (body["status"], body["stage"], body["attempt"]) == ("processing", "queued", 2)
    assert body["progress"]["frames_done"] == 0


@pytest.mark.parametrize("path", ["nobody", "nobody/events"])
async def test_an_unknown_or_deleted_video_is_not_found(door: Door, path: str) -> None:
    assert (await door.client.get(f"{VIDEOS}/{path}")).status_code == 404
    await door.accept("nobody")
    assert await door.services.outbox.delete_one("nobody")
    answer = await door.client.get(f"{VIDEOS}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
