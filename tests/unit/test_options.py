"""What a client may choose, what is out of bounds, and what nobody has chosen."""

import math
from typing import Any

import msgspec
import pytest

from app.domain.messages import Options, Preprocess, VideoAsked, decode, encode
from app.domain.options import input_size, listed
from app.domain.sampling import WHOLE, Window
from app.errors import Malformed

ALL = Options(
    conf=0.4,
    iou=0.6,
    vid_stride=1,
    max_det=7,
    classes=("cat", 3),
    imgsz=320,
    preprocess=Preprocess(blur=5, alpha=1, beta=-20),
    start=1.5,
    end=9,
)


def asked(options: object) -> VideoAsked:
    return decode(msgspec.json.encode({"video_id": "a", "options": options}), VideoAsked)


def test_what_is_not_chosen_is_as_it_always_was() -> None:
    options = asked({}).options
    assert options == Options()
    assert listed(options) == {
        "conf": 0.25,
        "iou": 0.45,
        "vid_stride": 5,
        "max_det": 300,
        "classes": None,
        "imgsz": 640,
        "preprocess": {"blur": 3, "alpha": 1.3, "beta": 5.0},
        "start": None,
        "end": None,
    }
    assert (options.preparation, options.window) == (Preprocess(), WHOLE)


def test_what_is_chosen_is_read_as_it_was_written() -> None:
    assert decode(encode(VideoAsked("a", options=ALL)), VideoAsked).options == ALL
    assert msgspec.convert(msgspec.to_builtins(ALL), Options) == ALL
    assert asked(listed(ALL)).options == ALL, "all that is listed may be sent again"


def test_what_is_not_chosen_takes_no_bytes() -> None:
    assert encode(Options()) == b"{}"
    assert encode(decode(encode(VideoAsked("a")), VideoAsked).options) == b"{}"


@pytest.mark.parametrize(
    "options",
    [
        {"conf": -0.1},
        {"conf": 1.1},
        {"iou": 2},
        {"vid_stride": 0},
        {"max_det": 0},
        {"max_det": 3001},
        {"classes": []},
        {"classes": [""]},
        {"classes": ["x" * 101]},
        {"classes": [-1]},
        {"classes": [1.5]},
        {"classes": [True]},
        {"classes": "cat"},
        {"classes": list(range(1001))},
        {"imgsz": 0},
        {"imgsz": 333},
        {"imgsz": 1312},
        {"preprocess": {"blur": 2}},
        {"preprocess": {"blur": -1}},
        {"preprocess": {"blur": 33}},
        {"preprocess": {"alpha": -1}},
        {"preprocess": {"alpha": 11}},
        {"preprocess": {"beta": 256}},
        {"preprocess": "off"},
        {"preprocess": None},
        {"start": -1},
        {"end": 0},
        {"start": 5, "end": 5},
        {"start": 6, "end": 5},
        {"start": "0:05"},
    ],
)
def test_what_is_out_of_bounds_is_malformed(options: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        asked(options)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["conf", "iou", "start", "end"])
def test_what_is_no_number_is_not_read_from_a_database_either(name: str, value: float) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({name: value}, Options)


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_nor_is_it_within_the_preprocessing(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"preprocess": {name: math.nan}}, Options)


def test_preprocessing_is_off_or_on_by_a_word() -> None:
    assert asked({"preprocess": False}).options.preparation is None
    assert listed(asked({"preprocess": False}).options)["preprocess"] is False
    assert asked({"preprocess": True}).options == Options()


def test_equal_choices_are_one_key() -> None:
    assert len({ALL, asked(listed(ALL)).options, Options()}) == 2


@pytest.mark.parametrize(
    ("chosen", "operators", "used"), [(640, 640, 640), (640, 2048, 2048), (320, 2048, 320)]
)
def test_the_operators_size_counts_where_nobody_has_chosen(chosen: int, operators: int, used: int) -> None:
    options = Options(imgsz=chosen)
    assert input_size(options, operators) == listed(options, operators)["imgsz"] == used


def test_a_window_holds_its_start_and_not_its_end() -> None:
    window = Options(start=1, end=2).window
    assert [window.holds(time) for time in (0.999999, 1.0, 1.999999, 2.0)] == [False, True, True, False]
    assert Options(end=2).window == Window(0, 2)
    assert Options(start=2).window.holds(1e9)
