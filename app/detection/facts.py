"""What is known of a model, and what the processes that find it out say of it."""

from typing import Final

import msgspec

from app.domain.precision import Precision

DETECT: Final = "detect"
"""The task, in Ultralytics' words, of a model whose answer is boxes and nothing else."""


class GraphFacts(msgspec.Struct, omit_defaults=True):
    """What is known of an exported model.

    Attributes:
        task: what the model does, in Ultralytics' words; `detect` for a detector.
        names: of the classes, by index.
        stride: its input's sides are multiples of it.
        end2end: whether it suppresses overlapping boxes itself.
        graph: path of the OpenVINO graph in its folder; empty when there is none.
        no_graph: why there is none.
        precision: of the export, f32 or int8; one at f32 may also be run in bf16.
        made: when it was made, UTC, ISO 8601; empty if before this was noted.
        calibrated_on: how many pictures its calibration looked at; none at f32.
    """

    task: str
    names: list[str]
    stride: int = 32
    end2end: bool = False
    graph: str = ""
    no_graph: str = ""
    precision: Precision = "f32"
    made: str = ""
    calibrated_on: int = 0


class Score(msgspec.Struct, frozen=True):
    """How well boxes agree with labels: mean average precision, 0 to 1, over the classes that have labels.

    Attributes:
        map50: where an IoU of 0.5 is a hit.
        map50_95: mean over IoUs from 0.5 to 0.95 in steps of 0.05, as for COCO.
    """

    map50: float
    map50_95: float


class Labelled(msgspec.Struct, frozen=True):
    """What was found in one picture, most confident first, and what its labels say; boxes as corners."""

    boxes: list[list[float]]
    scores: list[float]
    classes: list[int]
    true_boxes: list[list[float]]
    true_classes: list[int]


class Calibration(msgspec.Struct, frozen=True):
    """What a quantizer is told.

    Attributes:
        graph: path of the f32 graph.
        pictures: paths of the JPEGs to look at.
        imgsz: longest side of the canvas in pixels.
        stride: of the model.
    """

    graph: str
    pictures: list[str]
    imgsz: int
    stride: int


class Outcome(msgspec.Struct, omit_defaults=True):
    """How a job ended: one line for the operator when it failed, and what it found out."""

    error: str = ""
    facts: GraphFacts | None = None
    scores: list[Score] = []
