"""Pictures as they travel, and what is refused."""

import base64

import cv2
import numpy as np
import pytest

from app.detection.boxes import place
from app.detection.pictures import CODE, Pixels, jpeg_size, letterbox, read_picture
from app.detection.process import keep_heap, tune_process
from app.errors import Undecodable


def picture(height: int = 48, width: int = 64) -> Pixels:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def encoded(ending: str = ".jpg") -> bytes:
    return cv2.imencode(ending, picture())[1].tobytes()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def test_a_jpeg_is_read_as_its_pixels() -> None:
    assert read_picture(text(encoded())).shape == (48, 64, 3)


def test_a_grey_jpeg_has_three_channels() -> None:
    data = cv2.imencode(".jpg", picture()[:, :, 0])[1].tobytes()
    assert read_picture(text(data)).shape == (48, 64, 3)


@pytest.mark.parametrize(
    "image",
    [
        "",
        "A",
        "Grüße",
        text(b""),
        text(b"\xff\xd8\xff"),
        text(b"\xff\xd8\xff\xd9"),
        text(encoded(".png")),
        text(encoded()[:-200]),
        text(encoded()[:20] + b"\xff\xd9"),
        text(b"\xff\xd8" + b"\xff" * 4000 + b"\xd9"),
        text(b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x10\xff\xd9"),
    ],
    ids=range(11),
)
def test_what_is_no_whole_jpeg_is_refused(image: str) -> None:
    with pytest.raises(Undecodable) as refused:
        read_picture(image)
    assert refused.value.code == CODE
    assert refused.value.reason.endswith(".")


def test_a_picture_that_says_it_is_huge_is_refused_before_it_is_decoded() -> None:
    data = bytearray(encoded())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    assert jpeg_size(bytes(data)) == (65535, 65535)
    with pytest.raises(Undecodable, match="too large"):
        read_picture(text(bytes(data)))


def test_the_canvas_is_grey_where_the_picture_is_not() -> None:
    placement = place(48, 64, size=64, stride=32)
    canvas = letterbox(picture(), placement)
    assert canvas.shape == (64, 64, 3)
    assert (canvas[:8] == 114).all()
    assert (canvas[8:56] == picture()).all()


def test_a_picture_that_fills_its_canvas_is_not_copied() -> None:
    pixels = picture(64, 64)
    assert letterbox(pixels, place(64, 64, size=64, stride=32)) is pixels


def test_the_heap_is_kept_and_opencv_stays_in_its_thread() -> None:
    tune_process()
    assert cv2.getNumThreads() == 1
    assert keep_heap()
