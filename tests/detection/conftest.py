"""Models of each form that the detector tells apart, and frames to look at."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from app.detection.checkpoint import safe_environment
from app.domain.messages import FrameSampled, Options
from app.settings import Settings
from tests.detection.tiny_models import TaskOf, blobs, save_model


@pytest.fixture(scope="session")
def ultralytics_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ultralytics in this process: offline, its settings in a folder of the tests."""
    folder = tmp_path_factory.mktemp("ultralytics")
    os.environ.update(safe_environment(folder, offline=True))
    return folder


@pytest.fixture(scope="session")
def tiny_model(ultralytics_home: Path) -> Path:
    """A detector whose raw boxes overlap, so that suppression has work."""
    return save_model(ultralytics_home / "detect" / "tiny.pt", "Detect")


@pytest.fixture(scope="session")
def two_headed_model(ultralytics_home: Path) -> Path:
    """A detector with a second head, which suppresses overlapping boxes itself when it is asked to."""
    return save_model(ultralytics_home / "two" / "two.pt", "v10Detect")


@pytest.fixture(scope="session")
def segmentation_model(ultralytics_home: Path) -> Path:
    """A model for another task, whose answer contains boxes."""
    return save_model(ultralytics_home / "segment" / "shapes.pt", "Segment")


@pytest.fixture(scope="session")
def classification_model(ultralytics_home: Path) -> Path:
    """A model whose answer contains no boxes."""
    return save_model(ultralytics_home / "classify" / "label.pt", "Classify")


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[[Path], Settings]:
    """Return settings that use these weights and a data folder of this test."""
    return lambda weights: Settings(model=str(weights), data_dir=tmp_path / "data", imgsz=320)


@pytest.fixture(scope="session")
def task_of() -> TaskOf:
    """Return a task for a frame of random blobs."""

    def build(frame: int = 0, *, height: int = 240, width: int = 320, **options: Any) -> FrameSampled:  # noqa: ANN401  # passed on
        jpeg = cv2.imencode(".jpg", blobs(frame, height, width))[1].tobytes()
        image = base64.b64encode(jpeg).decode("ascii")
        source = {"width": width * 2, "height": height * 2}
        asked = Options(**{"conf": 0.5, **options})
        return FrameSampled("video", 1, frame, frame / 10, image=image, options=asked, **source)

    return build
