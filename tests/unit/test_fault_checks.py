"""The checks of the fault harness see what they are there to see."""

from typing import Any

import pytest

from tests.faults.comparison import compare
from tests.faults.invariants import compare_objects
from tests.faults.observer import Gaps, is_forward


def frame(number: int, *objects: dict[str, Any]) -> dict[str, Any]:
    return {"frame": number, "time": number / 25, "objects": list(objects)}


def circle(conf: float = 0.9, left: int = 10) -> dict[str, Any]:
    return {"class": "circle", "box": [left, 20, 30, 40], "conf": conf}


EXPECTED = [frame(0, circle()), frame(5, circle(0.8)), frame(10)]


def test_the_same_result_has_no_difference() -> None:
    assert compare(EXPECTED, EXPECTED).sentences == []


def test_a_pixel_and_a_thousandth_are_no_difference() -> None:
    found = [frame(0, circle(0.901, left=11)), *EXPECTED[1:]]

    assert compare(found, EXPECTED).sentences == []


@pytest.mark.parametrize("moved", [circle(left=12), circle(0.89), circle() | {"class": "square"}])
def test_another_object_is_a_difference(moved: dict[str, Any]) -> None:
    assert len(compare([frame(0, moved), *EXPECTED[1:]], EXPECTED).sentences) == 2


def test_an_object_at_the_threshold_may_come_or_go() -> None:
    found = [*EXPECTED[:2], frame(10, circle(0.2505))]

    assert compare(found, EXPECTED).sentences == []
    assert compare(EXPECTED, found).sentences == []


def test_lost_and_doubled_frames_are_counted() -> None:
    difference = compare([EXPECTED[0], EXPECTED[0], EXPECTED[2]], EXPECTED)

    assert (difference.lost, difference.doubled) == (1, 1)
    assert len(difference.sentences) == 2


def test_frames_out_of_order_are_a_difference() -> None:
    assert compare([EXPECTED[1], EXPECTED[0], EXPECTED[2]], EXPECTED).sentences


def test_a_frames_error_is_a_difference_unless_it_is_wanted() -> None:
    found = [EXPECTED[0], {"frame": 5, "time": 0.2, "objects": [], "error": {"code": "x"}}, EXPECTED[2]]

    assert compare(found, EXPECTED).sentences
    assert compare(found, EXPECTED, may_fail=lambda number: number == 5).sentences == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1, "processing"), (1, "predictable")),
        ((1, "processing"), (1, "ready")),
        ((1, "ready"), (1, "deleted")),
        ((1, "failed"), (2, "processing")),
        ((1, "ready"), (1, "ready")),
    ],
)
def test_records_may_move_forward(before: tuple[int, str], after: tuple[int, str]) -> None:
    assert is_forward(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1, "predictable"), (1, "processing")),
        ((1, "ready"), (1, "failed")),
        ((1, "failed"), (1, "ready")),
        ((1, "deleted"), (1, "ready")),
        ((2, "processing"), (1, "ready")),
    ],
)
def test_a_move_back_is_seen(before: tuple[int, str], after: tuple[int, str]) -> None:
    assert not is_forward(before, after)


def test_a_gap_is_the_longest_time_without_a_move_while_there_is_work() -> None:
    gaps = Gaps()
    for now, progress, is_work_open in (
        (0.0, 0, False),
        (100.0, 0, True),
        (103.0, 5, True),
        (104.0, 6, True),
        (109.0, 6, True),
        (110.0, 7, False),
        (200.0, 7, True),
    ):
        gaps.note(now, progress, is_work_open=is_work_open)

    assert gaps.longest == 5.0


def document(video_id: str, *, is_owned: bool = True) -> dict[str, Any]:
    return {"_id": video_id, "input_owned": is_owned, "payload": {"object": f"input/{video_id}.mp4"}}


def test_an_object_without_a_document_and_a_document_without_its_objects_are_seen() -> None:
    found = {"input/a.mp4", "detection/a.json", "input/b.mp4", "failed/c.json"}

    left, missing = compare_objects(found, [document("a"), document("b")])

    assert left == ["failed/c.json"]
    assert missing == ["the end of b"]


def test_an_input_of_somebody_else_is_not_asked_for() -> None:
    assert compare_objects({"detection/a.json"}, [document("a", is_owned=False)]) == ([], [])
