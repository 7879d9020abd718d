"""What is asked for a video is written down at once, and asking again never does it twice."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from agents.frame_splitter import Intake
from agents.splits import Splits
from app.delivery import CRASHED
from app.domain.failures import failure
from app.domain.messages import FramesMissing, SplitEnded, VideoAsked
from app.domain.progress import Status
from app.errors import Malformed
from app.topics import OUTBOX_EVENTS, VIDEO_GAPS, VIDEO_SPLITS
from app.worker import Worker
from tests.support.examples import asked, facts, frames_missing
from tests.support.streams import KeptPublisher, delivered, event
from tests.support.workers import MemoryWorker


class Noted:
    """Splits that note what they are told."""

    def __init__(self) -> None:
        self.looked_at: list[str] = []
        self.stopped: list[str] = []

    def look_at(self, video_id: str) -> None:
        self.looked_at.append(video_id)

    async def stop(self, video_id: str) -> None:
        self.stopped.append(video_id)


class Runner:
    """The intake, on records in memory."""

    def __init__(self) -> None:
        self.worker, self.publisher, self.splits = MemoryWorker(), KeptPublisher(), Noted()
        self.records = self.worker.clients.records
        worker, splits = cast("Worker[Any]", self.worker), cast("Splits", self.splits)
        self.intake = Intake(worker, self.publisher, splits)

    async def take(self, *messages: VideoAsked) -> None:
        await self.intake.take(delivered(OUTBOX_EVENTS, *messages))

    async def fill(self, *messages: FramesMissing) -> None:
        await self.intake.fill(delivered(VIDEO_GAPS, *messages))

    def ends(self) -> list[tuple[str, str]]:
        return [(each.video_id, each.kind) for each in self.publisher.of(VIDEO_SPLITS)]

    async def status(self, video_id: str = "a") -> Status | None:
        record = await self.records.get(video_id)
        return None if record is None else record.status

    async def end_split(self, sampled: int = 3) -> None:
        """Let the split of video `a` end."""
        (record,) = await self.records.claim_splits(1, first="a")
        await self.records.end_split(record, facts(sampled))


@pytest.fixture
def runner() -> Runner:
    return Runner()


async def test_a_submitted_video_is_taken_up_at_once(runner: Runner) -> None:
    await runner.take(asked("a"))
    assert await runner.status() == "processing"
    assert runner.splits.looked_at == ["a"]
    assert runner.ends() == []


async def test_a_video_that_is_submitted_twice_is_accepted_once(runner: Runner) -> None:
    await runner.take(asked("a"), asked("a"))
    assert len(runner.worker.mongo.documents.documents) == 1
    assert runner.ends() == []


@pytest.mark.parametrize("changes", [{"media_type": "image"}, {"bucket": ""}, {"object": ""}])
async def test_a_request_that_names_no_video_is_refused(runner: Runner, changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        await runner.take(asked("a", **changes))
    assert await runner.status() is None


async def test_what_followed_a_split_that_ended_is_looked_for_when_it_is_asked_for_again(
    runner: Runner,
) -> None:
    await runner.take(asked("a"))
    await runner.end_split(sampled=7)
    await runner.take(asked("a"))
    (checked,) = runner.publisher.of(VIDEO_SPLITS)
    assert (checked.kind, checked.round, checked.video) == ("checked", 0, facts(7))


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_an_end_is_told_again_when_the_video_is_asked_for_again(runner: Runner, status: Status) -> None:
    await runner.take(asked("a"))
    await runner.records.advance("a", 1, status)
    await runner.take(asked("a"))
    assert runner.ends() == [("a", status)]


async def test_nothing_is_told_of_a_video_that_is_ready_or_older_than_what_runs(runner: Runner) -> None:
    await runner.take(asked("a", attempt=2))
    await runner.records.advance("a", 2, "ready")
    await runner.take(asked("a", attempt=2), asked("a", attempt=1))
    assert runner.ends() == []
    assert await runner.status() == "ready"


async def test_a_retry_begins_a_newer_attempt_from_nothing(runner: Runner) -> None:
    await runner.take(asked("a"))
    await runner.records.advance("a", 1, "ready", output_s3={"bucket": "videos", "object": "x"})
    await runner.take(asked("a", "retry", attempt=2))
    record = await runner.records.get("a")
    assert record is not None
    assert (record.attempt, record.status, record.split_frames) == (2, "processing", 0)
    assert "output_s3" not in runner.worker.mongo.documents.documents["a"]


async def test_a_cancelled_video_stops_and_says_so(runner: Runner) -> None:
    await runner.take(asked("a"), asked("a", "cancel"))
    assert await runner.status() == "cancelled"
    assert runner.splits.stopped == ["a"]
    assert runner.ends() == [("a", "cancelled")]


@pytest.mark.parametrize("status", ["predictable", "ready", "failed"])
async def test_a_cancel_wins_over_an_end_that_main_db_had_not_seen(runner: Runner, status: Status) -> None:
    await runner.take(asked("a"))
    await runner.records.advance("a", 1, status, output_s3={"bucket": "videos", "object": "x"})
    await runner.take(asked("a", "cancel"))
    assert await runner.status() == "cancelled"
    assert runner.ends() == [("a", "cancelled")]
    assert "output_s3" not in runner.worker.mongo.documents.documents["a"]


async def test_a_cancel_changes_nothing_of_an_attempt_after_it(runner: Runner) -> None:
    await runner.take(asked("a"), asked("a", attempt=2), asked("a", "cancel", attempt=1))
    assert await runner.status() == "processing"
    assert (runner.splits.stopped, runner.ends()) == ([], [])


async def test_a_cancel_changes_nothing_of_a_deleted_video(runner: Runner) -> None:
    await runner.take(asked("a"), asked("a", "delete"), asked("a", "cancel"))
    assert await runner.status() == "deleted"
    assert runner.ends() == [("a", "deleted")]


async def test_a_cancel_is_told_however_often_it_is_asked_for(runner: Runner) -> None:
    await runner.take(asked("a"), asked("a", "cancel"), asked("a", "cancel"))
    assert runner.ends() == [("a", "cancelled"), ("a", "cancelled")]


@pytest.mark.parametrize("kind", ["submitted", "retry"])
async def test_a_cancelled_video_is_taken_up_again_by_its_next_attempt_only(
    runner: Runner, kind: str
) -> None:
    await runner.take(asked("a"), asked("a", "cancel"), asked("a", kind))
    assert await runner.status() == "cancelled"
    assert runner.splits.looked_at == ["a"]
    await runner.take(asked("a", kind, attempt=2), asked("a", "cancel"), asked("a"))
    assert await runner.status() == "processing"
    assert runner.splits.looked_at == ["a", "a"]
    record = await runner.records.get("a")
    assert record is not None
    assert record.error is None


async def test_neither_gaps_nor_the_watchdog_find_a_cancelled_video(runner: Runner) -> None:
    await runner.take(asked("a"))
    await runner.end_split()
    seen = await runner.records.get("a")
    assert seen is not None
    await runner.take(asked("a", "cancel"))
    await runner.fill(frames_missing("a", 5, 10))
    assert not await runner.records.count_check(seen)
    assert await runner.records.stalled(datetime.now(UTC) + timedelta(hours=1), 10) == []
    assert await runner.records.claim_splits(5) == []
    assert await runner.status() == "cancelled"


async def test_a_deletion_takes_a_video_that_was_tried_again_at_that_moment(runner: Runner) -> None:
    await runner.take(asked("a", attempt=2), asked("a", "delete", attempt=1), asked("a", attempt=3))
    assert await runner.status() == "deleted"
    assert runner.ends() == [("a", "deleted")]
    assert "bucket" not in runner.worker.mongo.documents.documents["a"], "only the tombstone is left"


@pytest.mark.parametrize("kind", ["cancel", "delete"])
async def test_a_submit_that_comes_after_its_end_does_nothing(runner: Runner, kind: str) -> None:
    await runner.take(asked("a", kind), asked("a"))
    assert await runner.status() == {"cancel": "cancelled", "delete": "deleted"}[kind]
    assert runner.splits.looked_at == []


async def test_a_cancel_that_overtook_its_submit_is_told_with_the_bucket_for_its_reason(
    runner: Runner,
) -> None:
    await runner.take(asked("a", "cancel"), asked("a"))
    assert {(each.kind, each.bucket) for each in runner.publisher.of(VIDEO_SPLITS)} == {
        ("cancelled", "videos")
    }


async def test_a_deletion_is_told_however_often_it_is_asked_for(runner: Runner) -> None:
    await runner.take(asked("a"), asked("a", "delete"), asked("a", "delete"))
    assert await runner.status() == "deleted"
    assert runner.ends() == [("a", "deleted"), ("a", "deleted")]
    assert "bucket" not in runner.worker.mongo.documents.documents["a"], "only the tombstone is left"


async def test_a_retry_after_a_deletion_does_nothing(runner: Runner) -> None:
    await runner.take(asked("a"), asked("a", "delete"), asked("a", "retry", attempt=2))
    assert await runner.status() == "deleted"


async def test_missing_frames_are_decoded_again(runner: Runner) -> None:
    await runner.take(asked("a"))
    await runner.end_split()
    await runner.fill(frames_missing("a", 5, 10))
    (record,) = await runner.records.claim_splits(1)
    assert record.only == [5, 10]
    assert runner.splits.looked_at == ["a", "a"]


async def test_frames_are_not_decoded_again_while_the_split_runs_or_for_nobody(runner: Runner) -> None:
    await runner.take(asked("a"))
    await runner.fill(frames_missing("a", 5), frames_missing("nobody", 5))
    record = await runner.records.get("a")
    assert record is not None
    assert record.only is None


async def test_the_video_of_a_message_that_cannot_be_read_fails(runner: Runner) -> None:
    await runner.take(asked("a"))
    broken = event(OUTBOX_EVENTS, b"{", key=b"a")
    await runner.intake.refuse(broken, Malformed("VideoAsked", "it is no JSON"))
    (ended,) = runner.publisher.of(VIDEO_SPLITS)
    assert isinstance(ended, SplitEnded)
    assert (ended.kind, ended.error.code if ended.error else "") == ("failed", "rejected")


@pytest.mark.parametrize("key", [b"nobody", None, b"\xff"])
async def test_a_message_that_belongs_to_no_video_fails_nobody(runner: Runner, key: bytes | None) -> None:
    broken = event(OUTBOX_EVENTS, b"{", key=key)
    await runner.intake.refuse(broken, Malformed("VideoAsked", "it is no JSON"))
    assert runner.publisher.of(VIDEO_SPLITS) == []


async def test_a_video_that_kills_its_runner_before_it_has_a_record_fails_and_is_never_taken_up(
    runner: Runner,
) -> None:
    fatal = event(OUTBOX_EVENTS, asked("a"), key=b"a")
    for _ in range(2):  # it may be asked for again meanwhile, and is set aside again
        await runner.intake.refuse(fatal, CRASHED)
    record = await runner.records.get("a")
    assert record is not None
    assert (record.status, record.bucket, record.object) == ("failed", "videos", "input/a.mp4")
    assert runner.ends() == [("a", "failed")] * 2
    assert {each.bucket for each in runner.publisher.of(VIDEO_SPLITS)} == {"videos"}
    assert {each.error for each in runner.publisher.of(VIDEO_SPLITS)} == {failure("worker_crashed")}
    await runner.take(asked("a"))
    assert runner.splits.looked_at == []


async def test_a_video_in_work_fails_of_a_repeated_request_that_kills_its_runner(runner: Runner) -> None:
    await runner.take(asked("a"))
    await runner.intake.refuse(event(OUTBOX_EVENTS, asked("a"), key=b"a"), CRASHED)
    assert runner.ends() == [("a", "failed")]


async def test_a_video_that_is_ready_does_not_fail_of_a_request_that_kills_its_runner(runner: Runner) -> None:
    await runner.take(asked("a"))
    await runner.records.advance("a", 1, "ready")
    await runner.intake.refuse(event(OUTBOX_EVENTS, asked("a"), key=b"a"), CRASHED)
    assert await runner.status() == "ready"
    assert runner.ends() == []


async def test_a_deletion_that_kills_its_runner_is_done_while_it_is_set_aside(runner: Runner) -> None:
    await runner.take(asked("a"))
    await runner.intake.refuse(event(OUTBOX_EVENTS, asked("a", "delete"), key=b"a"), CRASHED)
    assert await runner.status() == "deleted"
    assert runner.ends() == [("a", "deleted")]
