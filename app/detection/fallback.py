"""Ultralytics' own predict: for a GPU, and for models that OpenVINO cannot run."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.detection.boxes import Boxes
from app.detection.checkpoint import (
    forbid_rounding,
    free_memory,
    has_cuda,
    is_out_of_memory,
    load_model,
    safe_environment,
)
from app.detection.pictures import Pixels
from app.detection.wanted import Wanted
from app.domain.failures import failure
from app.domain.precision import Precision, on_gpu
from app.errors import Rejected

logger = logging.getLogger(__name__)


class TorchModel:
    """A model on torch; used from one thread at a time.

    Args:
        weights: the file; loaded safely.
        sha256: of the file.
        imgsz: longest side of the model's input in pixels where pictures ask for no other.
        data_dir: where Ultralytics may keep its settings.
        precision: as an operator asks for it; a processor computes in f32 whatever it is.

    Raises:
        Misconfigured: the file has changed, cannot be loaded, or holds no model that finds objects.
    """

    def __init__(
        self, weights: Path, sha256: str, imgsz: int, *, data_dir: Path, precision: Precision = "f32"
    ) -> None:
        # Ultralytics reads these when it is first imported, which is on the next line.
        os.environ.update(safe_environment(data_dir, offline=True))
        self._model = load_model(weights, sha256)
        self._imgsz = imgsz
        self._cuda = has_cuda()
        floats = on_gpu(precision) if self._cuda else "f32"
        self._half = floats == "f16"
        if self._cuda and not self._half:
            forbid_rounding()
        self.backend = f"ultralytics {'cuda' if self._cuda else 'cpu'} {floats}"
        names = self._model.names
        self.names = tuple(str(names.get(i, i)) for i in range(max(names, default=-1) + 1))

    def detect_batch(self, pictures: Sequence[Pixels], wanted: Wanted) -> list[Boxes | Rejected]:
        """Return what is in each picture, in its pixels, or `model_memory`; blocks.

        Where a GPU has not the memory for all of them at once, half is asked at a time.

        Args:
            pictures: of one shape, so that they are one batch on the canvas that one of them would have.
            wanted: which boxes, and how large the canvas.
        """
        answer = self._predict(pictures, wanted)
        if answer is not None:
            return answer
        if len(pictures) == 1:
            height, width = pictures[0].shape[:2]
            size = wanted.imgsz or self._imgsz
            reason = failure("model_memory", f"They have {width}x{height} pixels, and imgsz is {size}.")
            return [Rejected(reason.code, reason.message)]
        logger.warning("the GPU's memory is too small for a batch", extra={"pictures": len(pictures)})
        half = len(pictures) // 2
        return self.detect_batch(pictures[:half], wanted) + self.detect_batch(pictures[half:], wanted)

    def _predict(self, pictures: Sequence[Pixels], wanted: Wanted) -> list[Boxes | Rejected] | None:
        """Return what Ultralytics finds, None if a GPU has not the memory for it."""
        try:
            return self._ask(pictures, wanted)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # Only here the error, and with it what it held of the GPU, is gone.
        free_memory()
        return None

    def _ask(self, pictures: Sequence[Pixels], wanted: Wanted) -> list[Boxes | Rejected]:
        results = self._model.predict(
            list(pictures),
            conf=wanted.conf,
            iou=wanted.iou,
            max_det=wanted.max_det,
            classes=None if wanted.classes is None else list(wanted.classes),
            imgsz=wanted.imgsz or self._imgsz,
            rect=True,
            device=0 if self._cuda else "cpu",
            quantize=16 if self._half else None,
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
