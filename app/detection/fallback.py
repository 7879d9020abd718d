"""Ultralytics' own predict: for a GPU, and for models that OpenVINO cannot run."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.detection.boxes import Boxes
from app.detection.checkpoint import has_cuda, load_model, safe_environment
from app.detection.pictures import Pixels
from app.detection.wanted import Wanted


class TorchModel:
    """A model on torch; used from one thread at a time.

    Args:
        weights: the file; loaded safely.
        sha256: of the file.
        imgsz: longest side of the model's input in pixels where pictures ask for no other.
        data_dir: where Ultralytics may keep its settings.

    Raises:
        Misconfigured: the file has changed, cannot be loaded, or holds no model that finds objects.
    """

    def __init__(self, weights: Path, sha256: str, imgsz: int, *, data_dir: Path) -> None:
        # Ultralytics reads these when it is first imported, which is on the next line.
        os.environ.update(safe_environment(data_dir, offline=True))
        self._model = load_model(weights, sha256)
        self._imgsz = imgsz
        self._cuda = has_cuda()
        self.backend = "ultralytics cuda f16" if self._cuda else "ultralytics cpu f32"
        names = self._model.names
        self.names = tuple(str(names.get(i, i)) for i in range(max(names, default=-1) + 1))

    def detect_batch(self, pictures: Sequence[Pixels], wanted: Wanted) -> list[Boxes]:
        """Return what is in each picture, in its pixels; blocks.

        Args:
            pictures: of one shape, so that they are one batch on the canvas that one of them would have.
            wanted: which boxes, and how large the canvas.
        """
        results = self._model.predict(
            list(pictures),
            conf=wanted.conf,
            iou=wanted.iou,
            max_det=wanted.max_det,
            classes=None if wanted.classes is None else list(wanted.classes),
            imgsz=wanted.imgsz or self._imgsz,
            rect=True,
            device=0 if self._cuda else "cpu",
            quantize=16 if self._cuda else None,
            save=False,
            verbose=False,
        )
        return [_boxes_of(result) for result in results]


def _boxes_of(result: Any) -> Boxes:  # noqa: ANN401  # a vendor's object, which goes no further
    """Translate Ultralytics' boxes, oriented ones into those around them."""
    found = result.boxes if result.boxes is not None else result.obb
    if found is None:
        return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.intp))
    boxes = Boxes(
        found.xyxy.cpu().numpy().astype(np.float32),
        found.conf.cpu().numpy().astype(np.float32),
        found.cls.cpu().numpy().astype(np.intp),
    )
    order = np.argsort(-boxes.scores, kind="stable")
    return Boxes(boxes.corners[order], boxes.scores[order], boxes.classes[order])
