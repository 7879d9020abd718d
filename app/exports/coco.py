"""COCO: pictures, annotations and categories in one JSON object."""

from array import array
from collections.abc import Iterable
from typing import Any, BinaryIO

import msgspec

from app.domain.results import Document
from app.exports.selection import Selection

_encoder = msgspec.json.Encoder()


class Categories:
    """Numbers for classes: in the order in which they are asked for, else in which they come.

    Args:
        names: the first ones.
        first: the first number.
    """

    def __init__(self, names: Iterable[str], *, first: int) -> None:
        self._first = first
        self._numbers = {name: first + index for index, name in enumerate(dict.fromkeys(names))}

    def number(self, name: str) -> int:
        """Return the number of a class."""
        return self._numbers.setdefault(name, self._first + len(self._numbers))

    def items(self) -> Iterable[tuple[str, int]]:
        """Return names and numbers, in order of the numbers."""
        return self._numbers.items()


def image_name(frame: int) -> str:
    """Return what a frame's picture is called in every format that names pictures."""
    return f"{frame:08d}.jpg"


def write_coco(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write every frame that was looked at as a picture, also those without objects.

    Annotations come first, so that the document is read once; of the pictures, only the numbers are kept
    until then: 4 bytes each. `bbox` is left, top, width and height in pixels; `score` is the confidence.
    """
    categories, frames, count = Categories(selection.classes, first=1), array("I"), 0
    out.write(b'{"info":' + _encoder.encode(_info(document)) + b',"licenses":[],"annotations":[')
    for row in selection.select(document.rows()):
        if row.error:
            continue
        frames.append(row.frame)
        for each in row.objects:
            left, top, right, bottom = each.box
            annotation: dict[str, Any] = {
                "id": count + 1,
                "image_id": row.frame,
                "category_id": categories.number(each.class_),
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
                "score": each.conf,
            }
            if document.head.has_tracks:
                annotation["track_id"] = each.track
            out.write((b"," if count else b"") + _encoder.encode(annotation))
            count += 1
    out.write(b'],"images":[')
    _write_images(document, frames, out)
    named = [{"id": number, "name": name, "supercategory": ""} for name, number in categories.items()]
    out.write(b'],"categories":' + _encoder.encode(named) + b"}")


def _info(document: Document) -> dict[str, str]:
    head = document.head
    return {"description": f"Kadr, video {head.event_id}, model {head.model.name}"}


def _write_images(document: Document, frames: Iterable[int], out: BinaryIO) -> None:
    video, separator = document.head.video, b""
    for frame in frames:
        image = {"id": frame, "file_name": image_name(frame), "width": video.width, "height": video.height}
        out.write(separator + _encoder.encode(image))
        separator = b","
