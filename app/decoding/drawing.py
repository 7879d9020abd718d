"""Boxes with their labels, drawn into a picture."""

import zlib
from collections.abc import Iterable
from typing import Final, TypeAlias

import cv2

from app.decoding.labels import create_label
from app.decoding.picture import Picture
from app.domain.messages import Detection

Color: TypeAlias = tuple[int, int, int]
"""Blue, green, red."""

COLORS: Final[tuple[Color, ...]] = (
    (75, 25, 230),
    (75, 180, 60),
    (25, 225, 255),
    (216, 99, 67),
    (49, 130, 245),
    (180, 30, 145),
    (244, 212, 66),
    (230, 50, 240),
    (69, 239, 191),
    (190, 190, 250),
    (144, 153, 70),
    (255, 190, 220),
    (36, 99, 154),
    (200, 250, 255),
    (0, 0, 128),
    (195, 255, 170),
)
"""Trubetskoy's list of 20 simple, distinct colors (sashamaps.net, 2017), without those near black and
white."""

WIDTH_SHARE: Final = 0.003
"""A line's width as a share of the mean of a picture's sides, as Ultralytics draws them."""

LIGHT: Final = 140
"""From this brightness on (0 to 255) a label's text is black, else white."""


def color_of(class_name: str) -> Color:
    """Return the color of a class: the same in every video, whatever other classes there are."""
    return COLORS[zlib.crc32(class_name.encode()) % len(COLORS)]


def line_width(height: int, width: int) -> int:
    """Return how wide the lines are in a picture of this size; all in pixels."""
    return max(2, round((height + width) / 2 * WIDTH_SHARE))


def draw(picture: Picture, objects: Iterable[Detection]) -> None:
    """Draw boxes into a picture, which is changed; the most confident one lies on top.

    Args:
        picture: upright, at the size of the source frame.
        objects: what was found in it, in its pixels.
    """
    for found in sorted(objects, key=lambda each: each.conf):
        _draw_one(picture, found)


def _draw_one(picture: Picture, found: Detection) -> None:
    height, width = picture.shape[:2]
    left, top, right, bottom = found.box
    line = line_width(height, width)
    color = color_of(found.class_)
    cv2.rectangle(picture, (left, top), (right, bottom), color, line, cv2.LINE_8)
    label = create_label(f"{found.class_} {found.conf:.2f}", line)
    tall = label.above + label.below + 2 * line
    start = max(0, min(left, width - label.width))
    base = top if tall <= top <= height else min(height, max(0, top) + tall)
    cv2.rectangle(picture, (start, base - tall), (start + label.width, base), color, -1)
    blue, green, red = color
    is_light = 0.114 * blue + 0.587 * green + 0.299 * red >= LIGHT  # luma of ITU-R BT.601
    ink = (0, 0, 0) if is_light else (255, 255, 255)
    label.write(picture, start, base - line - label.below, ink)
