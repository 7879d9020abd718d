"""What is done to a picture before a model sees it, and how it travels."""

from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from app.domain.messages import Preprocess

Picture: TypeAlias = npt.NDArray[np.uint8]
"""Height x width x 3, blue green red, 0 to 255: as OpenCV has it."""

AS_EVER: Final = Preprocess()
"""What is done unless something else was asked for. Its blur is 1/4, 1/2, 1/4 in either direction, which
OpenCV has fixed for this size (`getGaussianKernel`, with a sigma of 0)."""

JPEG: Final = (
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)
"""Quality 95 with full colour resolution: against 4:2:0, 3 boxes in 183 change instead of 5 to 9 (measured
with YOLOv8n at 640), for a quarter more bytes."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How a stored picture is turned for a viewer: axes swapped first, then mirrored."""

    swaps: bool = False
    mirrors_x: bool = False
    mirrors_y: bool = False

    @classmethod
    def from_matrix(cls, matrix: tuple[int, ...]) -> "Turn":
        """Read a display matrix (ISO/IEC 14496-12, 6.2.2: x' = a*x + c*y, y' = b*x + d*y).

        Args:
            matrix: its nine values, row by row: a, b, u, c, d, v, x, y, w. Only quarter turns and mirrors
                are obeyed: nobody films at 30 degrees, and a player would add black corners.
        """
        a, b, _, c, d = matrix[:5]
        if abs(b) > abs(a) and abs(c) > abs(d):
            return cls(swaps=True, mirrors_x=c < 0, mirrors_y=b < 0)
        return cls(mirrors_x=a < 0, mirrors_y=d < 0)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the turned picture."""
        return (height, width) if self.swaps else (width, height)

    def apply(self, picture: Picture) -> Picture:
        """Return the picture as a player shows it."""
        if self.swaps:
            picture = np.asarray(cv2.transpose(picture))
        if self.mirrors_x and self.mirrors_y:
            return np.asarray(cv2.flip(picture, -1))
        if self.mirrors_x:
            return np.asarray(cv2.flip(picture, 1))
        return np.asarray(cv2.flip(picture, 0)) if self.mirrors_y else picture


def preprocess(picture: Picture, how: Preprocess | None = AS_EVER) -> Picture:
    """Return the picture blurred, then with more contrast; do this at source size, before `shrink`.

    The other order changes 15 % of the boxes at 1080p, because a blur of 3 pixels weighs more on a
    small picture.

    Args:
        picture: of the source frame.
        how: with which values; None leaves the picture as it is.
    """
    if how is None:
        return picture
    if how.blur > 1:
        picture = np.asarray(cv2.GaussianBlur(picture, (how.blur, how.blur), 0))
    if (how.alpha, how.beta) == (1, 0):
        return picture
    if how.beta < 0:  # of a value below 0 `convertScaleAbs` takes the absolute one
        return np.asarray(cv2.addWeighted(picture, how.alpha, picture, 0, how.beta))
    return np.asarray(cv2.convertScaleAbs(picture, alpha=how.alpha, beta=how.beta))


def shrink(picture: Picture, longest: int) -> Picture:
    """Return the picture with its longest side at most `longest` pixels; it is never enlarged.

    The model would shrink it in the same way (bilinear, as Ultralytics' LetterBox does), and what is
    shrunk before it travels costs five times less to encode, send and decode at 1080p.
    """
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))


def encode_jpeg(picture: Picture) -> bytes:
    """Return the picture as a JPEG of quality 95 with full colour resolution (4:4:4)."""
    _, encoded = cv2.imencode(".jpg", picture, JPEG)
    return encoded.tobytes()
