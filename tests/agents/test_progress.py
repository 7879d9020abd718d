"""What the runner tells of a video: where it is, since when, and how many are before it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.progress import LOOK_EVERY, Queue, progress_of, stage_of
from app.domain.records import Record

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def record(**more: Any) -> Record:  # noqa: ANN401 - any field
    known: dict[str, Any] = {"attempt": 1, "status": "processing", "created_at": BEGUN, "updated_at": BEGUN}
    return Record("a", **(known | more))


@pytest.mark.parametrize(
    ("known", "stage"),
    [
        ({}, "queued"),
        ({"split_owner": "me"}, "fetching"),
        ({"split_owner": "me", "decoding_at": BEGUN}, "decoding"),
        ({"decoding_at": BEGUN}, "decoding"),  # parked, while others have their turn
        ({"decoding_at": BEGUN, "split_ended": True}, "detecting"),
        ({"status": "predictable", "split_ended": True}, "writing"),
        ({"status": "ready", "split_ended": True}, "ready"),
        ({"status": "failed"}, "failed"),
        ({"status": "cancelled"}, "cancelled"),
    ],
)
def test_the_stage_is_read_from_the_record(known: dict[str, Any], stage: str) -> None:
    assert stage_of(record(**known)) == stage


def test_times_are_told_as_rfc_3339_and_durations_in_seconds() -> None:
    known = record(decoding_at=BEGUN + timedelta(seconds=2), split_owner="me", expected_frames=60)
    told = progress_of(known, position=0, now=BEGUN + timedelta(seconds=5))
    assert told["times"] == {
        "accepted": "2026-01-01T00:00:00Z",
        "decoding": "2026-01-01T00:00:02Z",
        "decoded": None,
        "detected": None,
        "ready": None,
    }
    assert (told["elapsed"], told["seconds_decoding"]) == (5.0, 3.0)
    assert (told["frames_total"], told["frames_expected"]) == (None, 60)


class Waiting:
    """Counts how often the queue was read."""

    def __init__(self, *accepted: datetime) -> None:
        self.accepted = list(accepted)
        self.reads = 0

    async def unopened(self) -> list[datetime]:
        self.reads += 1
        return self.accepted


async def test_the_position_is_how_many_wait_before_it_read_once_a_second_for_all_who_ask() -> None:
    now = 0.0
    waiting = Waiting(*(BEGUN + timedelta(seconds=n) for n in range(3)))
    queue = Queue(lambda: waiting, clock=lambda: now)
    positions = [await queue.position(record(created_at=each)) for each in waiting.accepted]
    assert positions == [0, 1, 2]
    assert waiting.reads == 1
    del waiting.accepted[0]
    now += LOOK_EVERY + 0.1
    assert await queue.position(record(created_at=BEGUN + timedelta(seconds=2))) == 1
    assert waiting.reads == 2


async def test_a_video_that_somebody_has_opened_waits_for_nobody() -> None:
    waiting = Waiting(BEGUN)
    assert await Queue(lambda: waiting).position(record(split_owner="me")) == 0
    assert waiting.reads == 0
