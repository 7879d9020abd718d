"""Which videos are open, and which makes room."""

from datetime import UTC, datetime

import msgspec
import pytest

from agents.places import LONG, PARK_AFTER, OpenSplit, free_places, who_makes_room
from app.domain.records import Record, frames_left
from app.publishing import ConfirmedPrefix

NOW = datetime.now(UTC)
PLACES = 2


def split(
    name: str, share: int, *, expected: int | None = None, started: float = 0.0, claimed_at: int = 0
) -> OpenSplit:
    record = Record(name, 1, "processing", NOW, NOW, split_frames=claimed_at)
    return OpenSplit(record, ConfirmedPrefix(share), expected=expected, started=started)


def who_waits(frames: int, *, expected: int | None = None) -> Record:
    left = frames_left(frames, expected)
    lengths = {"split_frames": frames, "expected_frames": expected, "split_left": left}
    return msgspec.convert(
        {
            "_id": "next",
            "attempt": 1,
            "status": "processing",
            "created_at": NOW,
            "updated_at": NOW,
            **lengths,
        },
        Record,
    )


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


def test_who_has_the_fewest_frames_left_is_let_through_first() -> None:
    unknown, clip = split("unknown", 3), split("clip", 500, expected=LONG - 1)
    begun, nearly_done = split("begun", 0, expected=9000), split("nearly done", 8000, expected=9000)
    in_order = sorted((begun, nearly_done, clip, unknown), key=lambda each: each.left)
    assert in_order == [unknown, clip, nearly_done, begun]


def test_a_file_that_lies_about_its_length_does_not_stay_first() -> None:
    liar, honest = split("liar", 5000, expected=10), split("honest", 100, expected=2000)
    assert liar.left > honest.left


@pytest.mark.parametrize(("share", "expected"), [(50, 50), (58, 50), (36_000, 36_000), (36_360, 36_000)])
def test_a_few_frames_more_than_the_file_says_do_not_wait_behind_others(share: int, expected: int) -> None:
    assert split("last frames", share, expected=expected).left == 0


def test_frames_that_are_decoded_again_are_few() -> None:
    record = Record("again", 1, "processing", NOW, NOW, split_frames=9000, only=[7, 8, 9])
    assert OpenSplit(record, ConfirmedPrefix(1), expected=9000).left == 2


def test_without_a_guest_nobody_is_sent_away_for_being_long() -> None:
    assert parked([split("a", 9, expected=LONG), split("b", 8, expected=LONG)], waiting=0) is None


def test_long_videos_do_not_make_room_for_others_that_are_as_long() -> None:
    hours = [split("a", 3000, expected=36_000), split("b", 200, expected=36_000)]
    assert parked(hours, waiting=8, expected=36_000) is None
    assert parked(hours, waiting=8, expected=18_000) is None


def test_who_has_most_left_makes_room_for_who_has_less_than_half_of_that() -> None:
    hours = [split("a", 3000, expected=36_000), split("b", 200, expected=36_000)]
    assert parked(hours, waiting=8, expected=17_000) == "b"
    assert parked(hours, waiting=0) == "b"
    nearly_done = [split("a", 35_990, expected=36_000), split("b", 35_980, expected=36_000)]
    assert parked(nearly_done, waiting=0) is None


def test_who_was_parked_gets_twice_as_far_before_it_is_parked_again() -> None:
    again = [split("a", 1999, expected=36_000, claimed_at=1000), split("b", 63, expected=36_000)]
    assert parked(again, waiting=0) is None
    assert parked([split("a", 2000, expected=36_000, claimed_at=1000), again[1]], waiting=0) == "a"


@pytest.mark.parametrize("waiting", [0, 1, 100])
def test_of_files_that_say_nothing_who_has_had_most_makes_room_for_who_has_had_less_than_half(
    waiting: int,
) -> None:
    enough = PARK_AFTER + 2 * waiting
    assert parked([split("a", enough), split("b", enough - 1)], waiting) == "a"
    assert parked([split("a", enough - 1), split("b", enough - 1)], waiting) is None
