"""Which videos are open, and which makes room."""

from datetime import UTC, datetime

import pytest

from agents.places import LONG, PARK_AFTER, OpenSplit, free_places, who_makes_room
from app.domain.records import Record
from app.publishing import ConfirmedPrefix

NOW = datetime.now(UTC)
PLACES = 2


def split(name: str, share: int, *, expected: int | None = None, started: float = 0.0) -> OpenSplit:
    record = Record(name, 1, "processing", NOW, NOW)
    return OpenSplit(record, ConfirmedPrefix(share), expected=expected, started=started)


def who_waits(frames: int, *, expected: int | None = None) -> Record:
    return Record("next", 1, "processing", NOW, NOW, split_frames=frames, expected_frames=expected)


def parked(splits: list[OpenSplit], waiting: int, *, expected: int | None = None) -> str | None:
    found = who_makes_room(splits, PLACES, who_waits(waiting, expected=expected))
    return found.record.video_id if found else None


@pytest.mark.parametrize(
    ("open_now", "waiting", "free"),
    [
        (0, 0, 2),
        (1, 0, 1),
        (1, 500, 1),
        (2, 0, 1),
        (2, 1, 0),
        (3, 0, 0),
        (4, 0, 0),
    ],
)
def test_there_is_one_place_more_for_a_video_that_has_had_nothing(
    open_now: int, waiting: int, free: int
) -> None:
    assert free_places([split("a", 1)] * open_now, PLACES, who_waits(waiting)) == free


def test_there_is_none_for_a_video_that_was_a_guest_before() -> None:
    assert free_places([split("a", 1)] * PLACES, PLACES, who_waits(0, expected=LONG)) == 0


def test_a_guest_that_is_long_leaves_for_a_video_that_nobody_has_opened_yet() -> None:
    two = [split("a", 9, expected=LONG), split("b", 8, expected=LONG)]
    guest = split("guest", 0, expected=LONG, started=1.0)
    assert parked([*two, guest], waiting=0) == "guest"
    assert parked([*two, guest], waiting=1) is None
    assert parked([*two, guest], waiting=0, expected=LONG) is None


@pytest.mark.parametrize("expected", [LONG - 1, None])
def test_another_guest_stays(expected: int | None) -> None:
    two = [split("a", 9, expected=LONG), split("b", 8, expected=LONG)]
    assert parked([*two, split("guest", 9, expected=expected, started=1.0)], waiting=0) is None


def test_a_long_video_comes_after_all_that_may_be_short() -> None:
    clip, unknown, long = split("c", 500, expected=LONG - 1), split("u", 3), split("l", 0, expected=LONG)
    assert sorted((long, clip, unknown), key=lambda each: each.rank) == [unknown, clip, long]


def test_without_a_guest_nobody_is_sent_away_for_being_long() -> None:
    assert parked([split("a", 9, expected=LONG), split("b", 8, expected=LONG)], waiting=0) is None


@pytest.mark.parametrize("waiting", [0, 1, 100])
def test_who_has_had_most_makes_room_for_who_has_had_less_than_half(waiting: int) -> None:
    enough = PARK_AFTER + 2 * waiting
    assert parked([split("a", enough), split("b", enough - 1)], waiting) == "a"
    assert parked([split("a", enough - 1), split("b", enough - 1)], waiting) is None
