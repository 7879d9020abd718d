"""Geometry and suppression of boxes."""

import numpy as np
import pytest

from app.detection.boxes import (
    Boxes,
    candidates,
    canvas_size,
    finished,
    place,
    suppress,
    to_picture,
    to_source,
)


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Boxes:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Boxes(table[:, :4], table[:, 4], table[:, 5].astype(np.intp))


def test_a_canvas_is_rounded_up_to_whole_strides() -> None:
    assert canvas_size(500, 32) == 512
    assert canvas_size(640, 32) == 640


@pytest.mark.parametrize(
    ("height", "width", "canvas"),
    [(360, 480, (480, 640)), (432, 768, (384, 640)), (1080, 1920, (384, 640)), (1920, 1080, (640, 384))],
)
def test_a_picture_goes_on_the_smallest_canvas_of_whole_strides(
    height: int, width: int, canvas: tuple[int, int]
) -> None:
    assert place(height, width, size=640, stride=32).canvas == canvas


@pytest.mark.parametrize(("height", "width"), [(1, 4000), (4000, 1), (1, 1), (37, 641), (639, 640)])
def test_any_picture_fits_its_canvas(height: int, width: int) -> None:
    placement = place(height, width, size=640, stride=32)
    assert placement.width >= 1
    assert placement.height >= 1
    assert max(placement.canvas) == 640
    assert all(side % 32 == 0 for side in placement.canvas)


def test_the_odd_pixel_of_the_border_goes_to_the_right_and_the_bottom() -> None:
    placement = place(361, 640, size=640, stride=32)
    assert (placement.top, placement.bottom) == (11, 12)


def test_candidates_are_above_the_confidence_and_have_corners() -> None:
    output = np.array([[50, 10], [60, 10], [20, 4], [40, 4], [0.2, 0.3], [0.9, 0.25]], np.float32)
    found = candidates(output, 0.3)
    assert found.corners.tolist() == [[40, 40, 60, 80]]
    assert found.classes.tolist() == [1]


def test_a_box_counts_for_its_likeliest_class_alone() -> None:
    output = np.array([[50, 9], [60, 9], [20, 4], [40, 4], [0.6, 0.3], [0.9, 0.2]], np.float32)
    assert candidates(output, 0.25, (0,)).scores.tolist() == pytest.approx([0.3])
    assert candidates(output, 0.25, (1,)).scores.tolist() == pytest.approx([0.9])
    assert len(candidates(output, 0.25, (2,)).scores) == 0


def test_of_two_overlapping_boxes_of_a_class_the_stronger_stays() -> None:
    found = suppress(boxes((0, 0, 10, 10, 0.5, 0), (0, 0, 10, 9, 0.9, 0)), iou=0.45, max_det=300)
    assert found.scores.tolist() == pytest.approx([0.9])


def test_boxes_of_different_classes_do_not_suppress_each_other() -> None:
    found = suppress(boxes((0, 0, 10, 10, 0.5, 0), (0, 0, 10, 10, 0.9, 1)), iou=0.45, max_det=300)
    assert found.classes.tolist() == [1, 0]


def test_a_suppressed_box_suppresses_nothing() -> None:
    chain = boxes((0, 0, 10, 10, 0.9, 0), (3, 0, 13, 10, 0.8, 0), (6, 0, 16, 10, 0.7, 0))
    assert suppress(chain, iou=0.45, max_det=300).scores.tolist() == pytest.approx([0.9, 0.7])


def test_no_more_boxes_than_asked_for_and_the_most_confident_ones() -> None:
    apart = boxes(*((20 * i, 0, 20 * i + 10, 10, 0.1 * i, 0) for i in range(1, 9)))
    assert suppress(apart, iou=0.45, max_det=2).scores.tolist() == pytest.approx([0.8, 0.7])


def test_boxes_without_area_survive_without_a_warning() -> None:
    assert len(suppress(boxes((5, 5, 5, 5, 0.9, 0), (5, 5, 5, 5, 0.8, 0)), iou=0.45, max_det=9).scores) >= 1


def test_no_boxes_stay_no_boxes() -> None:
    assert len(suppress(boxes(), iou=0.45, max_det=300).scores) == 0


def test_an_end_to_end_output_is_filtered_and_sorted() -> None:
    output = np.array([[0, 0, 1, 1, 0.4, 2], [0, 0, 2, 2, 0.9, 1], [0, 0, 3, 3, 0.1, 0]], np.float32)
    found = finished(output, conf=0.25, max_det=300)
    assert found.classes.tolist() == [1, 2]
    assert finished(output, conf=0.25, max_det=1, classes=(2,)).classes.tolist() == [2]


def test_boxes_return_from_the_canvas_to_the_picture_and_stay_inside() -> None:
    placement = place(1080, 1920, size=640, stride=32)
    corners = np.array([[0, placement.top, 640, placement.top + 360], [-9, -9, 700, 700]], np.float32)
    assert to_picture(corners, placement).tolist() == [[0, 0, 1920, 1080], [0, 0, 1920, 1080]]


def test_boxes_are_whole_pixels_of_the_source_with_one_gain_per_axis() -> None:
    corners = np.array([[10.2, 10.2, 20.4, 20.4]], np.float32)
    assert to_source(corners, picture=(100, 200), source=(200, 200)) == [(10, 20, 20, 41)]


def test_boxes_are_clipped_to_the_source() -> None:
    corners = np.array([[-5, -5, 205, 105]], np.float32)
    assert to_source(corners, picture=(100, 200), source=(50, 100)) == [(0, 0, 100, 50)]
