"""Ultralytics' own predict gets whole batches, and is set up once."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import UNSET

from app.detection.boxes import Boxes
from app.detection.fallback import TorchModel
from app.detection.frames import BatchDetector
from app.detection.wanted import Wanted
from app.errors import Rejected
from tests.detection.tiny_models import TaskOf, blobs
from tests.support.examples import MODEL


def load(weights: Path, folder: Path) -> TorchModel:
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return TorchModel(weights, digest, 320, data_dir=folder)


def scores(found: list[Boxes | Rejected]) -> list[list[float]]:
    """Return the confidences of each picture's boxes, in thousandths: batches round otherwise."""
    return [[] if isinstance(each, Rejected) else np.round(each.scores, 3).tolist() for each in found]


@pytest.mark.filterwarnings("ignore")  # torch and Ultralytics are not ours to silence
def test_pictures_of_one_shape_go_through_the_model_together(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_model, tmp_path)
    pictures = [blobs(seed, 240, 320) for seed in range(5)]
    alone = [scores(model.detect_batch([picture], Wanted(0.25)))[0] for picture in pictures]
    predictor = model._model.predictor
    forward = predictor.model.forward
    shapes: list[tuple[int, ...]] = []

    def watched(batch: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401  # a vendor's
        shapes.append(tuple(batch.shape))
        return forward(batch, *more, **named)

    monkeypatch.setattr(predictor.model, "forward", watched)
    together = model.detect_batch(pictures, Wanted(0.25, max_det=200))
    assert shapes == [(5, 3, 256, 320)]
    # Other options alone do not make it load the weights again.
    assert model._model.predictor is predictor
    assert scores(together) == [found[:200] for found in alone]


@pytest.mark.filterwarnings("ignore")
def test_where_the_memory_is_too_small_half_of_the_pictures_is_asked_at_a_time(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch  # noqa: PLC0415  # heavy, and some tests do without

    model = load(tiny_model, tmp_path)
    pictures = [blobs(seed, 240, 320) for seed in range(5)]
    expected = scores(model.detect_batch(pictures, Wanted(0.25)))
    predictor = model._model.predictor
    forward = predictor.model.forward
    most, sizes = 2, []

    def crowded(batch: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401  # a vendor's
        sizes.append(len(batch))
        if len(batch) > most:
            raise torch.OutOfMemoryError
        return forward(batch, *more, **named)

    monkeypatch.setattr(predictor.model, "forward", crowded)
    assert scores(model.detect_batch(pictures, Wanted(0.25))) == expected
    assert sizes == [5, 2, 3, 1, 2]
    assert "too small for a batch" in caplog.text
    most = 0
    (refused,) = model.detect_batch(pictures[:1], Wanted(0.25))
    assert isinstance(refused, Rejected)
    assert refused.code == "model_memory"
    assert refused.reason.endswith("They have 320x240 pixels, and imgsz is 320.")


@pytest.mark.filterwarnings("ignore")
async def test_frames_that_share_a_batch_are_asked_each_for_its_own(
    tiny_model: Path, tmp_path: Path, task_of: TaskOf
) -> None:
    model = load(tiny_model, tmp_path)
    tasks = [
        task_of(1, conf=0.25),
        task_of(1, conf=0.25, classes=("square",)),
        task_of(1, conf=0.25, classes=("unicorn",)),
        task_of(1, conf=0.25, imgsz=64),
        task_of(2, conf=0.25, classes=(1,)),
        task_of(1, conf=0.25, max_det=2),
    ]
    with ThreadPoolExecutor(2) as decoding, ThreadPoolExecutor(1) as asking:
        detector = BatchDetector(model, MODEL, 320, decoding=decoding, asking=asking)
        together = await detector.detect(tasks)
        assert together == [(await detector.detect([task]))[0] for task in tasks]
    every, squares, unknown, small, _, few = together
    assert squares.objects == [each for each in every.objects if each.class_ == "square"]
    assert unknown.error is not UNSET
    assert unknown.error.code == "unknown_class"
    assert len(small.objects) != len(every.objects)
    assert few.objects == every.objects[:2]


@pytest.mark.usefixtures("ultralytics_home")
def test_what_is_asked_for_on_a_gpu_is_what_the_predictor_keeps() -> None:
    """A value that Ultralytics rewrites would differ from ours, and load the weights anew for every batch."""
    from ultralytics.cfg import get_cfg  # noqa: PLC0415  # reads its environment

    kept = get_cfg(overrides={"device": 0, "quantize": 16})
    assert (kept.device, kept.quantize) == (0, 16)
