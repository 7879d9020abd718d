"""Labels as Ultralytics trains on: a text for each picture, and `data.yaml`, in a zip."""

import json
import zipfile
from typing import BinaryIO

from app.domain.results import Document, Row
from app.exports.coco import Categories, image_name
from app.exports.selection import Selection


def write_yolo(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write `labels/{frame}.txt` for each frame that was looked at; one without objects is empty.

    A line is `class x y width height`: the class's number from 0, then centre and size as parts of the
    picture's width and height. Source: https://docs.ultralytics.com/datasets/detect/. A zip ends with a
    list of what is in it, which has to be kept until then: some 500 bytes for each frame.
    """
    categories = Categories(selection.classes, first=0)
    video = document.head.video
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for row in selection.select(document.rows()):
            if not row.error:
                name = image_name(row.frame).replace(".jpg", ".txt")
                archive.writestr(_entry(f"labels/{name}"), label(row, video.width, video.height, categories))
        archive.writestr(_entry("data.yaml"), describe(categories))


def label(row: Row, width: int, height: int, categories: Categories) -> str:
    """Return the text that stands beside a picture of this size."""
    lines = []
    for each in row.objects:
        left, top, right, bottom = each.box
        x, y = (left + right) / 2 / width, (top + bottom) / 2 / height
        w, h = (right - left) / width, (bottom - top) / height
        lines.append(f"{categories.number(each.class_)} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n")
    return "".join(lines)


def describe(categories: Categories) -> str:
    """Return `data.yaml`; a name is written as JSON, which is YAML for whatever is in it."""
    names = "".join(f"  {number}: {json.dumps(name)}\n" for name, number in categories.items())
    return "path: .\ntrain: images\nval: images\n" + (f"names:\n{names}" if names else "names: {}\n")


def _entry(name: str) -> zipfile.ZipInfo:
    """The same result gives the same bytes, whenever it is asked for."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
