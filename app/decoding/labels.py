"""Text in a picture, in whatever script a class's name is written.

The font is one that is built into OpenCV since version 5 (WenQuanYi Micro Hei): Latin, Greek, Cyrillic,
Arabic, Hebrew, Chinese, Japanese, Korean. Each process loads it once, in some hundredths of a second.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

import cv2
import numpy as np

from app.decoding.picture import Picture

Ink: TypeAlias = tuple[int, int, int]
"""Blue, green, red."""

FONT: Final = "uni"
"""OpenCV's name for it."""

EM: Final = 10
"""Size of its letters for each pixel of a line's width: capitals are as tall as Ultralytics draws them."""

UNKNOWN: Final = "?"
"""What OpenCV draws for a letter that its font lacks."""


@dataclass(frozen=True)
class Label:
    """A text of one line, and how much room it takes.

    Attributes:
        text: what is drawn.
        line: width of the lines of the boxes that it belongs to; all in pixels.
        width: of the text.
        above: the baseline.
        below: likewise.
    """

    text: str
    line: int
    width: int
    above: int
    below: int

    def write(self, picture: Picture, left: int, baseline: int, ink: Ink) -> None:
        """Draw it into a picture, which is changed."""
        cv2.putText(picture, self.text, (left, baseline), ink, _font(), EM * self.line)


def create_label(text: str, line: int) -> Label:
    """Return a text that can be drawn: a symbol that the font lacks is named, such as an emoji."""
    text = "".join(map(_drawable, text))
    left, top, width, height = cv2.getTextSize((0, 0), text, (0, 0), _font(), EM * line)
    return Label(text, line, left + width, -top, top + height)


@cache
def _font() -> cv2.FontFace:
    return cv2.FontFace(FONT)


@cache
def _drawable(letter: str) -> str:
    """Return what stands for a letter: itself, or if the font lacks it, its name if it is a symbol."""
    if letter.isascii():
        return letter if letter.isprintable() else UNKNOWN
    if _pixels(letter).any() and not np.array_equal(_pixels(letter), _pixels(UNKNOWN)):
        return letter
    if unicodedata.category(letter)[0] in "CMZ":  # joins, varies or parts others
        return " " if letter.isspace() else ""
    return unicodedata.name(letter, UNKNOWN).lower() if unicodedata.category(letter)[0] == "S" else UNKNOWN


@cache
def _pixels(letter: str) -> Picture:
    picture = np.zeros((48, 96, 3), np.uint8)
    cv2.putText(picture, letter, (24, 36), (255, 255, 255), _font(), 24)
    return picture
