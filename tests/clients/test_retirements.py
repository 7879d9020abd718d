"""What has ended long ago is marked, then asked to be removed: in memory and on the real server."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.domain.failures import failure
from app.settings import Settings
from tests.support.outboxes import KeptOutbox, open_outbox


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.servers)])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[KeptOutbox]:
    servers: Settings | None = request.getfixturevalue("servers") if request.param == "real" else None
    async with open_outbox(servers) as opened:
        yield opened


async def fail(kept: KeptOutbox, *video_ids: str) -> None:
    """Let each of these videos fail a second after the one before."""
    for video_id in video_ids:
        await kept.outbox.accept(video_id=video_id, bucket="videos", object_name="a.mp4", input_owned=True)
        kept.clock.pass_by(timedelta(seconds=1))
        error = failure("not_a_video")
        assert await kept.outbox.set_outcome(video_id, "failed", attempt=1, at=kept.clock.now, error=error)


async def test_only_what_has_ended_between_two_times_is_found_the_earliest_first(kept: KeptOutbox) -> None:
    begin = kept.clock.now
    await fail(kept, "b", "a", "late")
    await kept.outbox.accept(video_id="in work", bucket="videos", object_name="a.mp4", input_owned=True)
    found = await kept.outbox.retirements.ended(after=begin, before=kept.clock.now)
    assert [video.id for video in found] == ["b", "a"]
    assert await kept.outbox.delete_one("b")
    found = await kept.outbox.retirements.ended(after=begin, before=kept.clock.now)
    assert [video.id for video in found] == ["a"]


async def test_a_retired_video_is_unknown_and_the_pipeline_is_asked_once(kept: KeptOutbox) -> None:
    await fail(kept, "a", "b")
    before = kept.clock.now + timedelta(seconds=1)
    assert await kept.outbox.retirements.retire(["a", "b"], before=before) == 2
    assert await kept.outbox.retirements.retire(["a", "b"], before=before) == 0
    assert await kept.outbox.total() == 0
    assert await kept.outbox.retirements.ask() == 2
    assert await kept.outbox.retirements.ask() == 0
    sent = [(each.asked.video_id, each.asked.kind) for each in await kept.outbox.claims.take()]
    assert sorted(sent) == [("a", "delete"), ("b", "delete")]


async def test_a_video_that_was_tried_again_meanwhile_is_not_retired(kept: KeptOutbox) -> None:
    await fail(kept, "a")
    before = kept.clock.now + timedelta(seconds=1)
    (video,) = await kept.outbox.retirements.ended(after=kept.clock.now - timedelta(days=1), before=before)
    assert await kept.outbox.withdrawals.retry(video)
    assert await kept.outbox.retirements.retire(["a"], before=before) == 0
    assert await kept.outbox.retirements.ask() == 0


async def test_more_than_one_question_brings_are_all_asked_for(
    kept: KeptOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.clients.main_db.retirements.AT_ONCE", 2)
    names = ["a", "b", "c"]
    await fail(kept, *names)
    assert await kept.outbox.retirements.retire(names, before=kept.clock.now + timedelta(seconds=1)) == len(
        names
    )
    assert await kept.outbox.retirements.ask() == len(names)
    assert await kept.commands.count({}) == len(names)
