"""What is done to a picture before a model sees it."""

import cv2
import numpy as np
import pytest

from app.decoding.picture import Turn, encode_jpeg, preprocess, shrink
from app.domain.messages import Preprocess


def random_picture(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def test_a_picture_is_blurred_and_then_gains_contrast() -> None:
    picture = random_picture(31, 17)
    blurred = cv2.GaussianBlur(picture, (3, 3), 0).astype(float)
    # In whole numbers, or one off where OpenCV's single precision falls on the other side of a half.
    assert np.abs(preprocess(picture) - np.clip(np.rint(blurred * 1.3 + 5), 0, 255)).max() <= 1


def test_brightness_is_saturated_and_never_wraps() -> None:
    assert preprocess(np.full((4, 4, 3), 250, np.uint8)).min() == 255


def test_by_default_it_is_what_it_always_was() -> None:
    """In the words of v0.1: a kernel of 3, a contrast of 1.3, a brightness of 5."""
    picture = random_picture(64, 48)
    blurred = cv2.GaussianBlur(picture, (3, 3), 0)
    expected = cv2.convertScaleAbs(blurred, alpha=1.3, beta=5)
    assert np.array_equal(preprocess(picture), expected)
    assert np.array_equal(preprocess(picture, Preprocess()), expected)


def test_what_is_off_leaves_the_picture_untouched() -> None:
    picture = random_picture(31, 17)
    assert preprocess(picture, None) is picture
    assert preprocess(picture, Preprocess(blur=1, alpha=1, beta=0)) is picture


@pytest.mark.parametrize(
    ("blur", "alpha", "beta"), [(1, 1.3, 5), (5, 1, 0), (7, 0.5, -40), (1, 2, -100), (31, 1, 9)]
)
def test_a_picture_is_prepared_as_it_is_asked_for(blur: int, alpha: float, beta: float) -> None:
    picture = random_picture(31, 37)
    blurred = cv2.GaussianBlur(picture, (blur, blur), 0).astype(float)
    found = preprocess(picture, Preprocess(blur=blur, alpha=alpha, beta=beta))
    assert np.abs(found - np.clip(np.rint(blurred * alpha + beta), 0, 255)).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 300), (300, 1)])
def test_the_smallest_pictures_pass(size: tuple[int, int]) -> None:
    image = encode_jpeg(shrink(preprocess(random_picture(*size)), 64))
    decoded = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert max(decoded.shape[:2]) == min(64, max(size))


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [((1920, 1080), 640, (640, 360)), ((1080, 1920), 640, (360, 640)), ((641, 100), 640, (640, 100))],
)
def test_a_large_picture_is_shrunk_to_the_longest_side(
    size: tuple[int, int], longest: int, expected: tuple[int, int]
) -> None:
    assert shrink(random_picture(*size), longest).shape[1::-1] == expected


@pytest.mark.parametrize("size", [(640, 480), (320, 240), (1, 1)])
def test_a_picture_is_never_enlarged(size: tuple[int, int]) -> None:
    picture = random_picture(*size)
    assert shrink(picture, 640) is picture


def test_the_jpeg_keeps_the_full_colour_resolution() -> None:
    image = encode_jpeg(random_picture(32, 32))
    frame_header = image.index(b"\xff\xc0")
    # ITU-T T.81, B.2.2: three components, each with its sampling factors; 0x11 is 1x1.
    assert [image[frame_header + 11 + 3 * component] for component in range(3)] == [0x11] * 3


@pytest.mark.parametrize(
    ("matrix", "rotation"),
    [
        ((0, 1, 0, -1, 0), cv2.ROTATE_90_CLOCKWISE),
        ((-1, 0, 0, 0, -1), cv2.ROTATE_180),
        ((0, -1, 0, 1, 0), cv2.ROTATE_90_COUNTERCLOCKWISE),
    ],
)
def test_a_display_matrix_turns_the_picture(matrix: tuple[int, ...], rotation: int) -> None:
    picture = random_picture(7, 4)
    turn = Turn.from_matrix(tuple(value << 16 for value in matrix))
    expected = cv2.rotate(picture, rotation)
    assert np.array_equal(turn.apply(picture), expected)
    assert turn.size(7, 4) == expected.shape[1::-1]


def test_a_display_matrix_may_mirror_the_picture() -> None:
    picture = random_picture(7, 4)
    assert np.array_equal(Turn.from_matrix((-1, 0, 0, 0, 1)).apply(picture), picture[:, ::-1])
    assert np.array_equal(Turn.from_matrix((1, 0, 0, 0, -1)).apply(picture), picture[::-1])
    assert np.array_equal(Turn.from_matrix((0, 1, 0, 1, 0)).apply(picture), picture.transpose(1, 0, 2))


def test_a_matrix_that_turns_nothing_leaves_the_picture_alone() -> None:
    picture = random_picture(7, 4)
    assert Turn.from_matrix((1, 0, 0, 0, 1)).apply(picture) is picture
