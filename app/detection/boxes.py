"""The arithmetic of boxes: where a picture lies on the model's canvas, and from its raw output to boxes.

Pure numpy. The geometry, thresholds and order of operations are those of Ultralytics (`LetterBox`,
`non_max_suppression`, `scale_boxes`), so that the answer is the model's own, box by box.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.intp]

CLASS_OFFSET: Final = 7680
"""Boxes of different classes are moved this many pixels apart, so that one pass suppresses within classes."""

MOST_CANDIDATES: Final = 30_000
"""How many of the most confident candidates non-maximum suppression looks at."""

ROUNDING: Final = 0.1
"""Half a pixel of border goes to the right and the bottom, as in Ultralytics' `LetterBox`."""


class Boxes(NamedTuple):
    """Boxes of one picture, most confident first.

    Attributes:
        corners: left, top, right, bottom; shape (n, 4).
        scores: confidence, 0 to 1; shape (n,).
        classes: index of the class; shape (n,).
    """

    corners: Floats
    scores: Floats
    classes: Integers


@dataclass(frozen=True)
class Placement:
    """Where a picture lies on the model's canvas: scaled to `width` by `height`, then bordered.

    All lengths are pixels of the canvas, except `picture`.
    """

    picture: tuple[int, int]
    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the whole canvas."""
        return self.top + self.height + self.bottom, self.left + self.width + self.right


def canvas_size(imgsz: int, stride: int) -> int:
    """Return the canvas's longest side: `imgsz`, rounded up to whole strides."""
    return -(-imgsz // stride) * stride


def place(height: int, width: int, *, size: int, stride: int) -> Placement:
    """Return where a picture goes: as large as fits, on the smallest canvas of whole strides.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        size: longest side of the canvas, a multiple of `stride`.
        stride: of the model.
    """
    gain = min(size / height, size / width)
    new_width, new_height = max(round(width * gain), 1), max(round(height * gain), 1)
    across, down = (size - new_width) % stride / 2, (size - new_height) % stride / 2
    return Placement(
        picture=(height, width),
        width=new_width,
        height=new_height,
        left=round(across - ROUNDING),
        top=round(down - ROUNDING),
        right=round(across + ROUNDING),
        bottom=round(down + ROUNDING),
    )


def candidates(output: Floats, conf: float, classes: Sequence[int] | None = None) -> Boxes:
    """Return what is more confident than `conf`, in the output's order; copies, never views.

    A box belongs to its most likely class, also where others are looked for.

    Args:
        output: centre x, centre y, width, height and one score per class; shape (4 + classes, anchors).
        conf: least confidence, exclusive.
        classes: indexes of the classes looked for; None is all.
    """
    best = output[4:].max(axis=0)
    chosen = np.flatnonzero(best > conf)
    columns = output[:, chosen]
    kinds: Integers = columns[4:].argmax(axis=0)
    if classes is not None:
        among = np.isin(kinds, classes)
        chosen, columns, kinds = chosen[among], columns[:, among], kinds[among]
    half = columns[2:4] / np.float32(2)
    corners: Floats = np.concatenate((columns[:2] - half, columns[:2] + half)).T
    return Boxes(corners, best[chosen], kinds)


def finished(output: Floats, *, conf: float, max_det: int, classes: Sequence[int] | None = None) -> Boxes:
    """Return the boxes of an end-to-end model, which suppresses overlaps itself; copies, never views.

    Args:
        output: left, top, right, bottom, score and class; shape (n, 6).
        conf: least confidence, exclusive.
        max_det: most boxes.
        classes: indexes of the classes looked for; None is all.
    """
    mask = output[:, 4] > conf
    if classes is not None:
        mask &= np.isin(output[:, 5], classes)
    rows = output[mask][:max_det]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    return Boxes(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp))


def suppress(boxes: Boxes, *, iou: float, max_det: int) -> Boxes:
    """Return the boxes that no more confident box of their class overlaps by more than `iou`, best first."""
    order = np.argsort(-boxes.scores, kind="stable")[:MOST_CANDIDATES]
    kept = order[_survivors(boxes, order, iou=iou, max_det=max_det)]
    return Boxes(boxes.corners[kept], boxes.scores[kept], boxes.classes[kept])


def _survivors(boxes: Boxes, order: Integers, *, iou: float, max_det: int) -> list[int]:
    apart = boxes.classes[order].astype(np.float32) * CLASS_OFFSET
    corners = boxes.corners[order] + apart[:, None]
    left, top, right, bottom = corners.T
    area = (right - left) * (bottom - top)
    alive = np.ones(len(order), dtype=bool)
    kept: list[int] = []
    for i in range(len(order)):
        if not alive[i]:
            continue
        kept.append(i)
        if len(kept) >= max_det:
            break
        rest = slice(i + 1, None)
        across = np.minimum(right[rest], right[i]) - np.maximum(left[rest], left[i])
        down = np.minimum(bottom[rest], bottom[i]) - np.maximum(top[rest], top[i])
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        # Multiplied out instead of divided: an empty box has no area to divide by.
        alive[rest] &= shared <= iou * (area[i] + area[rest] - shared)
    return kept


def to_picture(corners: Floats, placement: Placement) -> Floats:
    """Return boxes on the canvas as boxes on the picture, clipped to it; one gain per axis."""
    height, width = placement.picture
    shift = np.array([placement.left, placement.top] * 2, np.float32)
    gain = np.array([placement.width / width, placement.height / height] * 2, np.float32)
    bounds = np.array([width, height] * 2, np.float32)
    scaled: Floats = np.clip((corners - shift) / gain, 0, bounds)
    return scaled


def to_source(
    corners: Floats, *, picture: tuple[int, int], source: tuple[int, int]
) -> list[tuple[int, int, int, int]]:
    """Return boxes on the picture as whole pixels of the source frame, clipped to it; one gain per axis.

    Args:
        corners: left, top, right, bottom in pixels of the picture; shape (n, 4).
        picture: height and width of the picture.
        source: height and width of the source frame.
    """
    gain = np.array([source[1] / picture[1], source[0] / picture[0]] * 2)
    bounds = np.array([source[1], source[0]] * 2)
    whole = np.clip(np.rint(corners * gain), 0, bounds).astype(int)
    return [(left, top, right, bottom) for left, top, right, bottom in whole.tolist()]
