"""What the API learns from S3 by itself."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from api.lifecycle import outcomes as outcomes_module
from api.lifecycle.outcomes import Outcomes
from app.clients.main_db.video_outbox import Video
from app.domain.documents import failed_document
from app.domain.failures import failure
from app.errors import RetryLater
from tests.api.conftest import Door


async def states(door: Door) -> dict[str, str]:
    page = await door.services.outbox.newest(limit=100)
    return {video.id: video.client_status for video in page.videos}


async def test_a_result_is_seen_without_anybody_asking(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    await door.accept("a")
    await door.services.outcomes.look_at_some()
    assert await states(door) == {"a": "sent"}
    await door.put("detection/a.json", b"{}")
    await door.services.outcomes.look_at_some()
    assert await states(door) == {"a": "ready"}
    (record,) = [item for item in caplog.records if item.getMessage() == "video state changed"]
    fields = vars(record)
    assert (fields["video_id"], fields["before"], fields["state"]) == ("a", "sent", "ready")
    assert fields["seconds"] >= 0


async def test_each_change_is_logged_once(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    await door.accept("a")
    await door.put("detection/a.json", b"{}")
    await door.services.outcomes.look_at_some()
    await door.services.outcomes.look_at_some()
    await door.client.get("/api/result_video/a")
    assert caplog.text.count("video state changed") == 1


async def test_a_failure_is_seen_with_its_reason(door: Door) -> None:
    await door.accept("a")
    await door.put("failed/a.json", failed_document("a", failure("no_frames")))
    await door.services.outcomes.look_at_some()
    video = await door.services.outbox.get("a")
    assert video is not None
    assert video.error == failure("no_frames")


async def test_a_video_never_ends_before_it_was_sent_though_s3_tells_whole_seconds(door: Door) -> None:
    await door.accept("a")
    sent = await door.services.outbox.get("a")
    assert sent is not None
    assert sent.sent_at is not None
    await door.put("detection/a.json", b"{}")
    door.s3.buckets["videos"]["detection/a.json"].modified = sent.sent_at - timedelta(milliseconds=999)
    await door.services.outcomes.look_at_some()
    video = await door.services.outbox.get("a")
    assert video is not None
    assert (video.outcome, video.outcome_at) == ("ready", sent.sent_at)


async def test_a_failure_that_cannot_be_read_is_still_one(door: Door) -> None:
    await door.accept("a")
    await door.put("failed/a.json", b"what")
    await door.services.outcomes.look_at_some()
    assert await states(door) == {"a": "failed"}


async def test_a_result_wins_over_a_failure(door: Door) -> None:
    await door.accept("a")
    await door.put("failed/a.json", failed_document("a", failure("no_frames")))
    await door.put("detection/a.json", b"{}")
    await door.services.outcomes.look_at_some()
    assert await states(door) == {"a": "ready"}


async def test_a_result_wins_over_a_failure_that_was_seen_before(door: Door) -> None:
    await door.accept("a")
    await door.put("failed/a.json", failed_document("a", failure("no_frames")))
    await door.services.outcomes.look_at_some()
    await door.put("detection/a.json", b"{}")
    await door.client.get("/api/result_video/a")
    assert await states(door) == {"a": "ready"}


async def test_every_video_has_its_turn_however_many_there_are(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes_module, "PER_ROUND", 2)
    for video_id in "abcde":
        await door.accept(video_id)
    await door.put("detection/e.json", b"{}")
    for _ in range(3):
        await door.services.outcomes.look_at_some()
    assert (await states(door))["e"] == "ready"
    await door.put("detection/a.json", b"{}")
    await door.services.outcomes.look_at_some()
    assert (await states(door))["a"] == "ready"


async def test_a_service_that_is_away_costs_a_round(door: Door) -> None:
    await door.accept("a")
    door.set_away(s3=True)
    with pytest.raises(RetryLater):
        await door.services.outcomes.look_at_some()
    door.set_away()
    await door.put("detection/a.json", b"{}")
    await door.services.outcomes.look_at_some()
    assert await states(door) == {"a": "ready"}


async def test_a_video_that_takes_long_is_looked_up_less_often(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, looked = 0.0, list[float]()

    async def look_at(_video: Video) -> None:
        looked.append(now)

    outcomes = Outcomes(door.services.storage, door.services.outbox, clock=lambda: now)
    monkeypatch.setattr(outcomes, "look_at", look_at)
    await door.accept("a")
    for second in range(150):
        now = float(second)
        await outcomes.look_at_some()
    gaps = [later - sooner for sooner, later in pairwise(looked)]
    assert looked[:5] == [0, 1, 2, 3, 4]
    assert all(gap <= 0.25 * later + 1 for later, gap in zip(looked[1:], gaps, strict=True))
    assert gaps[-1] == max(gaps) == 15


async def test_another_attempt_is_looked_up_at_once(door: Door) -> None:
    waits = outcomes_module._Waits(clock=lambda: 100.0)
    await door.accept("a")
    video = await door.services.outbox.get("a")
    assert video is not None
    assert waits.is_over(video)
    assert waits.is_over(replace(video, attempt=2))
