"""How well predictions agree with what is known to be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.shapes import Shape, Truth


@dataclass(frozen=True)
class Score:
    """How many objects were found, missed and invented."""

    found: int
    missed: int
    invented: int

    @property
    def precision(self) -> float:
        """The share of the predicted objects that are there; 1 where nothing was predicted."""
        predicted = self.found + self.invented
        return self.found / predicted if predicted else 1.0

    @property
    def recall(self) -> float:
        """The share of the objects that were predicted; 1 where nothing is there."""
        there = self.found + self.missed
        return self.found / there if there else 1.0

    def __add__(self, other: Score) -> Score:
        return Score(self.found + other.found, self.missed + other.missed, self.invented + other.invented)

    def __str__(self) -> str:
        return (
            f"precision {self.precision:.4f}, recall {self.recall:.4f} "
            f"({self.found} found, {self.missed} missed, {self.invented} invented)"
        )


def score(truths: Iterable[Truth], predictions: Sequence[Mapping[str, Any]], iou: float = 0.5) -> Score:
    """Compare the frames that were predicted with what is in them.

    Within a frame and a class, predictions take turns by falling confidence; each takes the object it
    overlaps most among those not yet taken, if by `iou` at least. This is how PASCAL VOC counts.

    Args:
        truths: What is there; frames that no prediction speaks of are left out.
        predictions: As in the result document: `{"frame": 0, "objects": [{"class": "circle",
            "box": [l, t, r, b], "conf": 0.9}]}`, boxes in pixels.
        iou: The least overlap, intersection over union, that counts as found.

    Raises:
        KeyError: A predicted frame has no truth.
    """
    known = {truth.frame: truth.objects for truth in truths}
    scores = [_score_frame(known[frame["frame"]], frame["objects"], iou) for frame in predictions]
    return sum(scores, start=Score(found=0, missed=0, invented=0))


def overlap(box: Sequence[float], other: Sequence[float]) -> float:
    """Return the intersection over union of two boxes (left, top, right, bottom)."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = _area(box) + _area(other) - shared
    return shared / union if union > 0 else 0.0


def _score_frame(there: Sequence[Shape], predicted: Sequence[Mapping[str, Any]], iou: float) -> Score:
    free = list(there)
    for guess in sorted(predicted, key=lambda guess: -float(guess["conf"])):
        rivals = [shape for shape in free if shape.name == guess["class"]]
        best = max(rivals, key=lambda shape: overlap(shape.box, guess["box"]), default=None)
        if best is not None and overlap(best.box, guess["box"]) >= iou:
            free.remove(best)
    found = len(there) - len(free)
    return Score(found=found, missed=len(free), invented=len(predicted) - found)


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
