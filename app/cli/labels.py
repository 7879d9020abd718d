"""Labels in YOLO's format: `images/…/NAME.jpg` beside `labels/…/NAME.txt`, a line per box.

Class, then of the box: centre x and y, width and height, as shares of the picture's.
"""

from dataclasses import dataclass
from pathlib import Path

from app.errors import KadrError


class WrongLabels(KadrError):
    """A file of labels is not what it should be."""


@dataclass(frozen=True)
class Labels:
    """What is in a picture, according to people.

    Attributes:
        boxes: left, top, right, bottom in pixels.
        classes: index of each one's class.
    """

    boxes: list[list[float]]
    classes: list[int]


def find_labels(picture: Path) -> Path | None:
    """Return the labels that belong to a picture, where Ultralytics looks for them; None without."""
    parts = picture.absolute().parts
    if "images" not in parts:
        return None
    last = len(parts) - 1 - parts[::-1].index("images")
    found = Path(*parts[:last], "labels", *parts[last + 1 :]).with_suffix(".txt")
    return found if found.is_file() else None


def read_labels(file: Path, *, width: int, height: int, classes: int) -> Labels:
    """Return a picture's labels.

    Args:
        file: the file of labels.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        classes: how many the model knows.

    Raises:
        WrongLabels: it is not in YOLO's format, or names classes that the model does not know.
    """
    boxes: list[list[float]] = []
    indices: list[int] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            index, *place = line.split()
            x, y, across, down = map(float, place)
            indices.append(int(index))
        except ValueError as error:
            raise WrongLabels(f"{file}:{number}: not `class x y width height`") from error
        if not 0 <= indices[-1] < classes:
            raise WrongLabels(f"{file}:{number}: class {index} is none of the model's {classes}")
        left, top, right, bottom = x - across / 2, y - down / 2, x + across / 2, y + down / 2
        boxes.append([left * width, top * height, right * width, bottom * height])
    return Labels(boxes, indices)
