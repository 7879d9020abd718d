"""The drawn clips are what they claim to be, and the score counts what it claims to count."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from models.score import overlap, score
from models.shapes import NAMES, Picture, Shape, Truth, draw_clip, draw_picture, write_clip, write_picture

CIRCLE = Shape(name="circle", box=[10.0, 10.0, 50.0, 50.0])
SQUARE = Shape(name="square", box=[100.0, 20.0, 160.0, 80.0])


def guess(shape: Shape, *, conf: float = 0.9, right: float = 0, name: str | None = None) -> dict[str, Any]:
    left, top, edge, bottom = shape.box
    return {"class": name or shape.name, "box": [left + right, top, edge + right, bottom], "conf": conf}


def predicted(*objects: dict[str, Any], frame: int = 0) -> list[dict[str, Any]]:
    return [{"frame": frame, "objects": list(objects)}]


def decode(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def test_same_seed_gives_the_same_clip_and_truth(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "first.mp4", seed=7, frames=30)
    second = write_clip(tmp_path / "second.mp4", seed=7, frames=30)

    assert first == second
    assert (tmp_path / "first.mp4").read_bytes() == (tmp_path / "second.mp4").read_bytes()


def test_another_seed_gives_another_clip(tmp_path: Path) -> None:
    assert write_clip(tmp_path / "a.mp4", seed=7, frames=5) != write_clip(
        tmp_path / "b.mp4", seed=8, frames=5
    )


def test_a_clip_has_one_truth_per_frame_and_the_size_and_rate_that_were_asked_for(tmp_path: Path) -> None:
    truths = write_clip(tmp_path / "clip.mp4", seed=1, frames=23, fps=10, size=(320, 180), objects=2)

    with av.open(str(tmp_path / "clip.mp4")) as container:
        video = container.streams.video[0]
        assert (video.width, video.height, video.average_rate, video.format.name) == (320, 180, 10, "yuv420p")
    assert [truth.frame for truth in truths] == list(range(23))
    assert len(decode(tmp_path / "clip.mp4")) == 23
    assert {len(truth.objects) for truth in truths} == {2}


def test_a_clip_can_be_empty_of_objects(tmp_path: Path) -> None:
    truths = write_clip(tmp_path / "empty.mp4", seed=1, frames=6, objects=0)

    assert [truth.objects for truth in truths] == [[]] * 6


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [(512, 288), (640, 360), (1280, 720)])
def test_truth_boxes_lie_inside_the_frame_are_large_enough_and_hide_nothing(
    seed: int, size: tuple[int, int]
) -> None:
    for _, truth in draw_clip(seed=seed, frames=120, size=size):
        assert truth.objects
        for shape in truth.objects:
            left, top, right, bottom = shape.box
            assert shape.name in NAMES
            assert 0 <= left < right <= size[0]
            assert 0 <= top < bottom <= size[1]
            assert min(right - left, bottom - top) >= 24
        boxes = [shape.box for shape in truth.objects]
        assert all(overlap(a, b) < 0.2 for i, a in enumerate(boxes) for b in boxes[:i])


def test_shapes_move_smoothly() -> None:
    truths = [truth for _, truth in draw_clip(seed=5, frames=100, size=(512, 288))]

    for before, after in pairwise(truths):
        assert [shape.name for shape in before.objects] == [shape.name for shape in after.objects]
        for was, now in zip(before.objects, after.objects, strict=True):
            assert max(abs(a - b) for a, b in zip(was.box, now.box, strict=True)) < 12


def test_a_truth_box_is_where_the_paint_is() -> None:
    for seed in range(10):
        (bare, _), (picture, truth) = (
            next(draw_clip(seed=seed, frames=1, size=(512, 288), objects=count)) for count in (0, 1)
        )
        rows, columns = np.nonzero(np.abs(picture.astype(int) - bare).max(axis=2) > 40)
        painted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(np.array(painted) - truth.objects[0].box).max() <= 2


def test_a_written_picture_is_the_one_that_was_drawn(tmp_path: Path) -> None:
    truth = write_picture(tmp_path / "still.png", seed=3, size=(300, 200))

    picture, same = draw_picture(np.random.default_rng(3), size=(300, 200))
    assert np.array_equal(np.asarray(cv2.imread(str(tmp_path / "still.png"))), picture)
    assert truth == same


def test_a_perfect_prediction_scores_one() -> None:
    result = score([Truth(0, [CIRCLE, SQUARE])], predicted(guess(SQUARE), guess(CIRCLE)))

    assert (result.precision, result.recall) == (1.0, 1.0)


def test_a_missed_object_lowers_recall_alone() -> None:
    result = score([Truth(0, [CIRCLE, SQUARE])], predicted(guess(CIRCLE)))

    assert (result.precision, result.recall, result.missed) == (1.0, 0.5, 1)


def test_an_invented_object_lowers_precision_alone() -> None:
    result = score([Truth(0, [CIRCLE])], predicted(guess(CIRCLE), guess(SQUARE)))

    assert (result.precision, result.recall, result.invented) == (0.5, 1.0, 1)


def test_the_right_box_of_the_wrong_class_is_both_missed_and_invented() -> None:
    result = score([Truth(0, [CIRCLE])], predicted(guess(CIRCLE, name="square")))

    assert (result.found, result.missed, result.invented) == (0, 1, 1)


def test_one_object_is_found_once_however_often_it_is_predicted() -> None:
    result = score([Truth(0, [CIRCLE])], predicted(guess(CIRCLE, conf=0.5), guess(CIRCLE, conf=0.9)))

    assert (result.found, result.missed, result.invented) == (1, 0, 1)


def test_overlap_below_the_limit_is_not_found() -> None:
    # 40 pixels wide: moved by 20, a third of the union is shared; by 10, three fifths.
    truths = [Truth(0, [CIRCLE])]

    assert score(truths, predicted(guess(CIRCLE, right=20))).found == 0
    assert score(truths, predicted(guess(CIRCLE, right=10))).found == 1
    assert score(truths, predicted(guess(CIRCLE, right=20)), iou=0.3).found == 1


def test_only_predicted_frames_count_and_frames_do_not_mix() -> None:
    truths = [Truth(0, [CIRCLE]), Truth(1, [SQUARE]), Truth(5, [SQUARE])]

    result = score(truths, predicted(guess(CIRCLE)) + predicted(guess(CIRCLE), frame=5))

    assert (result.found, result.missed, result.invented) == (1, 1, 1)


def test_a_predicted_frame_without_truth_is_an_error() -> None:
    with pytest.raises(KeyError):
        score([Truth(0, [CIRCLE])], predicted(guess(CIRCLE), frame=3))


def test_nothing_there_and_nothing_predicted_is_perfect() -> None:
    result = score([Truth(0, [])], predicted())

    assert (result.precision, result.recall) == (1.0, 1.0)
