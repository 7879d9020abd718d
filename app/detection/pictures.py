"""Pictures as they travel: base64 of a JPEG, and the same pixels on the model's canvas.

OpenCV releases the GIL in what is called here, so threads decode beside the model.
"""

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import pybase64

from app.detection.boxes import Placement
from app.errors import Undecodable

Pixels = npt.NDArray[np.uint8]

CODE: Final = "undecodable_picture"
"""The stable word for a picture that cannot be looked at."""

MOST_PIXELS: Final = 64 << 20
"""No picture on the way is near this size; a larger one would only take the memory of the others."""

BORDER: Final = (114, 114, 114)
"""The grey that Ultralytics trains its models with."""

MARKER: Final = 0xFF
"""Starts every marker of a JPEG; the next byte says which."""

START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers whose segment holds the picture's size (ITU-T T.81, table B.1)."""


def read_picture(image: str) -> Pixels:
    """Return the pixels (height, width, 3; BGR) of a base64-coded JPEG.

    Raises:
        Undecodable: it is not base64, not a JPEG, breaks off, or is too large.
    """
    try:
        data = pybase64.b64decode(image, validate=True)
    except ValueError as error:
        raise Undecodable(CODE, f"The picture is not base64: {error}.") from error
    return decode_picture(data)


def decode_picture(data: bytes) -> Pixels:
    """Return the pixels (height, width, 3; BGR) of a JPEG.

    Raises:
        Undecodable: it is not a JPEG, breaks off, or is too large.
    """
    height, width = jpeg_size(data)
    if height * width > MOST_PIXELS:
        raise Undecodable(CODE, f"The picture is too large: {width} by {height} pixels.")
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise Undecodable(CODE, f"The picture cannot be decoded: {error.err}.") from error
    if pixels is None:
        raise Undecodable(CODE, "The picture is a damaged JPEG.")
    decoded: Pixels = pixels
    return decoded


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return height and width as a JPEG's header states them, without decoding it.

    Raises:
        Undecodable: it is no JPEG, or breaks off.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        raise Undecodable(CODE, "The picture is not a JPEG.")
    # A JPEG that breaks off decodes to grey below the break: silently fewer objects.
    if data.rfind(b"\xff\xd9") < 0:
        raise Undecodable(CODE, "The picture is a JPEG that breaks off.")
    at = 2
    while at + 9 <= len(data) and data[at] == MARKER:
        marker = data[at + 1]
        if marker in START_OF_FRAME:
            return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
        # A marker may be preceded by any number of bytes of 0xFF.
        at += 1 if marker == MARKER else 2 + int.from_bytes(data[at + 2 : at + 4])
    raise Undecodable(CODE, "The picture is a JPEG without a size.")


def letterbox(pixels: Pixels, placement: Placement) -> Pixels:
    """Return the canvas with the picture on it, contiguous; pixel for pixel what Ultralytics computes."""
    canvas: Any = pixels
    if pixels.shape[:2] != (placement.height, placement.width):
        canvas = cv2.resize(canvas, (placement.width, placement.height), interpolation=cv2.INTER_LINEAR)
    if canvas.shape[:2] != placement.canvas:
        sides = (placement.top, placement.bottom, placement.left, placement.right)
        canvas = cv2.copyMakeBorder(canvas, *sides, cv2.BORDER_CONSTANT, value=BORDER)
    return np.ascontiguousarray(canvas)
