"""How two models differ is counted box by box, and timed side by side."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.detection.boxes import Boxes
from app.detection.comparison import Agreement, overlaps, race
from app.detection.pictures import Pixels


def boxes(*found: tuple[int, int, int, int, float, int]) -> Boxes:
    rows = np.array(found, np.float32).reshape(-1, 6)
    return Boxes(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp))


def agreement(first: Boxes, second: Boxes) -> Agreement:
    found = Agreement()
    found.add(first, second)
    return found


def test_partners_are_boxes_of_one_class_that_share_half() -> None:
    found = agreement(boxes((0, 0, 10, 10, 0.9, 1)), boxes((0, 0, 10, 9, 0.7, 1)))
    assert (found.boxes, found.lost, found.new) == (1, [], [])
    assert found.changes == [pytest.approx(-0.2)]


def test_another_class_or_place_is_lost_and_new() -> None:
    found = agreement(boxes((0, 0, 10, 10, 0.9, 1)), boxes((0, 0, 10, 10, 0.8, 2), (90, 90, 99, 99, 0.5, 1)))
    assert found.lost == [pytest.approx(0.9)]
    assert found.new == [pytest.approx(0.8), pytest.approx(0.5)]


def test_a_box_has_one_partner_and_the_more_confident_choose_first() -> None:
    found = agreement(boxes((0, 0, 10, 10, 0.9, 1), (0, 0, 10, 9, 0.5, 1)), boxes((0, 0, 10, 9, 0.8, 1)))
    assert found.changes == [pytest.approx(-0.1)]
    assert found.lost == [pytest.approx(0.5)]


def test_pictures_without_boxes_are_counted() -> None:
    found = Agreement()
    found.add(boxes(), boxes((0, 0, 5, 5, 0.3, 0)))
    found.add(boxes((0, 0, 5, 5, 0.4, 0)), boxes())
    found.add(boxes(), boxes())
    assert (found.pictures, found.boxes, len(found.lost), len(found.new)) == (3, 1, 1, 1)


def test_overlap_is_intersection_over_union_and_empty_boxes_have_none() -> None:
    one = np.array([[0, 0, 10, 10], [3, 3, 3, 3]], np.float32)
    other = np.array([[5, 0, 15, 10], [0, 0, 10, 10]], np.float32)
    assert overlaps(one, other).tolist() == [[pytest.approx(1 / 3), 1.0], [0.0, 0.0]]


def test_a_race_says_how_many_times_as_fast_the_second_is() -> None:
    asked: list[str] = []

    def look(name: str, seconds: float) -> Boxes:
        asked.append(name)
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass
        return boxes()

    def slow(_: Pixels) -> Boxes:
        return look("slow", 0.004)

    def fast(_: Pixels) -> Boxes:
        return look("fast", 0.001)

    with ThreadPoolExecutor(1) as threads:
        found = race(slow, fast, [np.zeros((1, 1, 3), np.uint8)] * 5, rounds=3, threads=threads)
    assert asked == (["slow"] * 5 + ["fast"] * 5) + (["fast"] * 5 + ["slow"] * 5) + (
        ["slow"] * 5 + ["fast"] * 5
    )
    assert 2 < found.processor < 6
    assert found.slowest <= found.wall <= found.fastest
