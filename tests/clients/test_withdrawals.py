"""What is cancelled stays so, and what is tried again begins anew: in memory and on the real server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.clients.main_db.video_outbox import Outcome, Video
from app.clients.main_db.withdrawals import HISTORY
from app.domain.failures import failure
from app.settings import Settings
from tests.support.outboxes import KeptOutbox, open_outbox

MINUTES_15 = timedelta(minutes=15)


class Kept(KeptOutbox):
    """An outbox, its collections and its clock."""

    async def accept(self, video_id: str = "a") -> Video:
        self.clock.pass_by(timedelta(seconds=1))
        return await self.outbox.accept(
            video_id=video_id, bucket="videos", object_name=f"input/{video_id}.mp4", input_owned=True
        )

    async def send_all(self) -> list[tuple[str, str, int]]:
        """Publish what is new; return id, kind and attempt of each."""
        sent: list[tuple[str, str, int]] = []
        while some := await self.outbox.claims.take():
            for claimed in some:
                assert await self.outbox.claims.mark_sent(claimed)
                sent.append((claimed.asked.video_id, claimed.asked.kind, claimed.asked.attempt))
        return sent

    async def video(self, video_id: str = "a") -> Video:
        found = await self.outbox.get(video_id)
        assert found is not None
        return found

    async def cancelled(self, video_id: str = "a") -> Video:
        video = await self.outbox.withdrawals.cancel(await self.video(video_id))
        assert video is not None
        return video


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.servers)])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Kept]:
    servers: Settings | None = request.getfixturevalue("servers") if request.param == "real" else None
    async with open_outbox(servers) as opened:
        yield Kept(**vars(opened))


async def test_a_cancelled_video_has_ended_and_the_pipeline_is_told(kept: Kept) -> None:
    await kept.accept()
    assert await kept.send_all() == [("a", "submitted", 1)]
    cancelled = await kept.cancelled()
    assert cancelled == await kept.video()
    assert (cancelled.outcome, cancelled.error, cancelled.outcome_at) == (
        "cancelled",
        failure("cancelled"),
        kept.clock.now,
    )
    assert cancelled.client_status == "failed", "the first calls have no word for it"
    assert await kept.send_all() == [("a", "cancel", 1)]


async def test_what_is_cancelled_before_it_was_published_is_never_published(kept: Kept) -> None:
    await kept.accept()
    await kept.cancelled()
    assert await kept.send_all() == [("a", "cancel", 1)]
    assert await kept.outbox.waiting() == 0
    assert not await kept.outbox.ask_again(await kept.video())


async def test_who_publishes_a_video_just_now_loses_it_to_its_cancellation(kept: Kept) -> None:
    await kept.accept()
    (claimed,) = await kept.outbox.claims.take()
    await kept.cancelled()
    assert not await kept.outbox.claims.mark_sent(claimed)
    assert not await kept.outbox.claims.refuse(claimed, failure("worker_crashed"))
    assert (await kept.video()).outcome == "cancelled"


async def test_a_cancelled_video_is_not_published_again_but_its_cancellation_is(kept: Kept) -> None:
    await kept.accept()
    await kept.send_all()
    await kept.cancelled()
    await kept.send_all()
    kept.clock.pass_by(MINUTES_15)
    (claimed,) = await kept.outbox.claims.take_overdue(MINUTES_15)
    assert (claimed.is_command, claimed.asked.kind) == (True, "cancel")
    assert await kept.outbox.claims.mark_redriven(claimed)
    (asked,) = await kept.outbox.unconfirmed_deletions(limit=10)
    assert (asked.video_id, asked.kind) == ("a", "cancel")


@pytest.mark.parametrize("outcome", ["ready", "failed"])
async def test_what_came_first_holds(kept: Kept, outcome: Outcome) -> None:
    before = await kept.accept()
    await kept.send_all()
    assert await kept.outbox.set_outcome("a", outcome, attempt=1, at=kept.clock.now)
    assert await kept.outbox.withdrawals.cancel(before) is None
    assert (await kept.video()).outcome == outcome
    assert await kept.commands.count({}) == 0


async def test_a_result_that_is_seen_later_does_not_win_over_a_cancellation(kept: Kept) -> None:
    await kept.accept()
    await kept.cancelled()
    for outcome in ("ready", "failed"):
        assert not await kept.outbox.set_outcome("a", outcome, attempt=1, at=kept.clock.now)
    assert (await kept.video()).outcome == "cancelled"


async def test_of_a_result_and_a_cancellation_at_the_same_time_one_wins(kept: Kept) -> None:
    for number in range(10):
        video = await kept.accept(f"v{number}")
        cancelled, is_ready = await asyncio.gather(
            kept.outbox.withdrawals.cancel(video),
            kept.outbox.set_outcome(video.id, "ready", attempt=1, at=kept.clock.now),
        )
        assert (cancelled is not None) != is_ready
        assert (await kept.video(video.id)).outcome == ("ready" if is_ready else "cancelled")


async def test_a_cancellation_that_was_marked_and_never_told_is_told(kept: Kept) -> None:
    """Its API has died in between."""
    await kept.accept()
    cancelled = await kept.cancelled()
    await kept.commands.delete({})
    assert [each.id for each in await kept.outbox.withdrawals.unconfirmed(limit=10)] == ["a"]
    assert await kept.outbox.withdrawals.remind([cancelled]) == 1
    assert await kept.outbox.withdrawals.remind([cancelled]) == 0
    assert await kept.send_all() == [("a", "cancel", 1)]


async def test_a_confirmed_cancellation_leaves_no_command(kept: Kept) -> None:
    await kept.accept()
    cancelled = await kept.cancelled()
    await kept.send_all()
    assert await kept.outbox.withdrawals.confirm(cancelled)
    assert not await kept.outbox.withdrawals.confirm(cancelled)
    assert await kept.commands.count({}) == 0
    assert await kept.outbox.withdrawals.unconfirmed(limit=10) == []
    assert await kept.outbox.withdrawals.remind([cancelled]) == 0
    assert (await kept.video()).outcome == "cancelled"


async def test_unconfirmed_ones_come_in_pages(kept: Kept) -> None:
    for name in "abc":
        await kept.accept(name)
        await kept.cancelled(name)
    first = await kept.outbox.withdrawals.unconfirmed(limit=2)
    rest = await kept.outbox.withdrawals.unconfirmed(limit=2, after=first[-1].id)
    assert [each.id for each in first + rest] == ["a", "b", "c"]


async def test_a_retry_is_published_as_the_next_attempt_with_nothing_of_the_last(kept: Kept) -> None:
    await kept.accept()
    await kept.send_all()
    sent_at = (await kept.video()).sent_at
    kept.clock.pass_by(MINUTES_15)
    ended_at = kept.clock.now
    await kept.outbox.set_outcome("a", "failed", attempt=1, at=ended_at, error=failure("no_frames"))
    retried = await kept.outbox.withdrawals.retry(await kept.video())
    assert retried == await kept.video()
    assert retried is not None
    assert (retried.status, retried.attempt, retried.outcome, retried.error) == ("new", 2, None, None)
    assert (retried.outcome_at, retried.sent_at) == (None, None)
    (earlier,) = retried.history
    assert (earlier.attempt, earlier.outcome, earlier.error) == (1, "failed", failure("no_frames"))
    assert (earlier.sent_at, earlier.outcome_at) == (sent_at, ended_at)
    assert await kept.send_all() == [("a", "submitted", 2)]


async def test_only_what_has_no_result_is_tried_again_and_once(kept: Kept) -> None:
    withdrawals = kept.outbox.withdrawals
    waiting = await kept.accept()
    assert await withdrawals.retry(waiting) is None
    await kept.send_all()
    await kept.outbox.set_outcome("a", "ready", attempt=1, at=kept.clock.now)
    assert await withdrawals.retry(waiting) is None
    await kept.accept("b")
    cancelled = await kept.cancelled("b")
    both = await asyncio.gather(withdrawals.retry(cancelled), withdrawals.retry(cancelled))
    assert sum(each is not None for each in both) == 1
    assert (await kept.video("b")).attempt == 2


async def test_what_is_seen_of_an_earlier_attempt_is_no_outcome(kept: Kept) -> None:
    await kept.accept()
    await kept.outbox.withdrawals.retry(await kept.cancelled())
    for outcome in ("ready", "failed", "cancelled"):
        assert not await kept.outbox.set_outcome("a", outcome, attempt=1, at=kept.clock.now)
    assert (await kept.video()).outcome is None


async def test_a_retry_that_died_before_its_command_was_gone_is_not_cancelled_again(kept: Kept) -> None:
    await kept.accept()
    cancelled = await kept.cancelled()
    command = await kept.commands.find_one({})
    assert command is not None
    await kept.send_all()
    await kept.outbox.withdrawals.retry(cancelled)
    await kept.commands.insert(command | {"status": "sent", "published_at": kept.clock.now})
    assert await kept.outbox.withdrawals.remind([cancelled]) == 0
    kept.clock.pass_by(MINUTES_15)
    assert await kept.outbox.claims.take_overdue(MINUTES_15) == []
    assert await kept.commands.count({}) == 0, "nothing waits for it any more"


async def test_a_few_earlier_attempts_are_remembered(kept: Kept) -> None:
    await kept.accept()
    for _ in range(HISTORY + 2):
        assert await kept.outbox.withdrawals.retry(await kept.cancelled())
    video = await kept.video()
    assert video.attempt == HISTORY + 3
    assert [each.attempt for each in video.history] == list(range(3, HISTORY + 3))


async def test_a_cancelled_video_that_is_deleted_is_gone_with_its_commands(kept: Kept) -> None:
    await kept.accept()
    cancelled = await kept.cancelled()
    assert await kept.outbox.delete_one("a")
    withdrawals = kept.outbox.withdrawals
    assert await withdrawals.unconfirmed(limit=10) == []
    assert await withdrawals.retry(cancelled) is None
    assert sorted(kind for _, kind, _ in await kept.send_all()) == ["cancel", "delete"]
    await kept.outbox.forget("a")
    assert await kept.commands.count({}) == await kept.videos.count({}) == 0


async def test_a_name_of_an_attempt_is_settled_once_its_document_has_come_to_it(kept: Kept) -> None:
    await kept.accept()
    assert await kept.outbox.settled(["a", "a/2", "b", "b/2"]) == {"a"}
    await kept.outbox.withdrawals.retry(await kept.cancelled())
    assert await kept.outbox.settled(["a", "a/2", "a/3"]) == {"a", "a/2"}
