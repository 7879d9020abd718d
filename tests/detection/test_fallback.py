"""Ultralytics' own predict gets whole batches, and is set up once."""

from pathlib import Path
from typing import Any

import pytest

from app.detection.fallback import TorchModel
from app.domain.messages import Options
from tests.detection.tiny_models import blobs


@pytest.mark.filterwarnings("ignore")  # torch and Ultralytics are not ours to silence
def test_pictures_of_one_shape_go_through_the_model_together(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TorchModel(tiny_model, 320, data_dir=tmp_path)
    pictures = [blobs(seed, 240, 320) for seed in range(5)]
    alone = [model.detect_batch([picture], Options())[0] for picture in pictures]
    predictor = model._model.predictor
    forward = predictor.model.forward
    shapes: list[tuple[int, ...]] = []

    def watched(batch: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401  # a vendor's
        shapes.append(tuple(batch.shape))
        return forward(batch, *more, **named)

    monkeypatch.setattr(predictor.model, "forward", watched)
    together = model.detect_batch(pictures, Options(max_det=200))
    assert shapes == [(5, 3, 256, 320)]
    # Other options alone do not make it load the weights again.
    assert model._model.predictor is predictor
    assert [len(boxes.scores) for boxes in together] == [min(len(boxes.scores), 200) for boxes in alone]


@pytest.mark.usefixtures("ultralytics_home")
def test_what_is_asked_for_on_a_gpu_is_what_the_predictor_keeps() -> None:
    """A value that Ultralytics rewrites would differ from ours, and load the weights anew for every batch."""
    from ultralytics.cfg import get_cfg  # noqa: PLC0415  # reads its environment

    kept = get_cfg(overrides={"device": 0, "quantize": 16})
    assert (kept.device, kept.quantize) == (0, 16)
