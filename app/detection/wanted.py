"""What a task's options mean to one model: which of its classes, and how large its input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.failures import failure
from app.domain.options import Options, input_size
from app.errors import Rejected

NAMED_AT_MOST: Final = 20
"""Classes in the sentence that says which there are."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a model about one picture. Equal ones may be asked together.

    Attributes:
        conf: least confidence, exclusive.
        iou: overlap above which the weaker of two boxes of one class is dropped.
        max_det: most boxes.
        classes: indexes of the classes looked for; None is all.
        imgsz: longest side of the canvas in pixels; None is the model's own.
    """

    conf: float
    iou: float = 0.45
    max_det: int = 300
    classes: tuple[int, ...] | None = None
    imgsz: int | None = None


def wanted_of(options: Options, names: Sequence[str], imgsz: int) -> Wanted:
    """Return what a video's options ask of a model.

    Args:
        options: of the video.
        names: of the model's classes, by index.
        imgsz: the operator's.

    Raises:
        Rejected: `unknown_class`, the model has not all the classes that are asked for.
    """
    classes = None if options.classes is None else _indexes(options.classes, names)
    return Wanted(options.conf, options.iou, options.max_det, classes, input_size(options, imgsz))


def _indexes(classes: Sequence[str | int], names: Sequence[str]) -> tuple[int, ...]:
    """Return the indexes of classes, in order and once each; a name may belong to several."""
    found: set[int] = set()
    for each in classes:
        if isinstance(each, str):
            indexes = {index for index, name in enumerate(names) if name == each}
        else:
            indexes = {each} & set(range(len(names)))
        if not indexes:
            reason = failure("unknown_class", _detail(each, names))
            raise Rejected(reason.code, reason.message)
        found |= indexes
    return tuple(sorted(found))


def _detail(unknown: str | int, names: Sequence[str]) -> str:
    if isinstance(unknown, int):
        return f"It has {len(names)} classes, and so none with the id {unknown}."
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f'It has none called "{unknown}", but {", ".join(names[:NAMED_AT_MOST])}{more}.'
