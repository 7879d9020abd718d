"""A model's input may have any size that a client may ask for, on every form of model."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from msgspec import UNSET

from app.detection.boxes import Boxes
from app.detection.detector import open_detector
from app.detection.export import Export
from app.detection.facts import GraphFacts
from app.detection.frames import ParallelDetector
from app.detection.graph import GraphModel
from app.detection.pictures import Pixels
from app.detection.wanted import Wanted
from app.domain.messages import Failure
from app.errors import Rejected
from app.settings import Settings
from tests.detection.tiny_models import TaskOf, blobs
from tests.support.examples import MODEL

SettingsFor = Callable[[Path], Settings]

SHAPES = [(240, 320), (64, 640), (2, 640)]
"""Height and width: usual, flat, and hardly more than a line."""


@pytest.mark.filterwarnings("ignore")  # torch and Ultralytics are not ours to silence
async def test_a_raw_graph_takes_the_smallest_size_and_the_largest(
    tiny_model: Path, settings_for: SettingsFor, task_of: TaskOf
) -> None:
    tasks = [
        task_of(number, height=height, width=width, conf=0.01, imgsz=size)
        for number, (height, width) in enumerate(SHAPES)
        for size in (32, 1280)
    ]
    async with open_detector(settings_for(tiny_model)) as detector:
        results = await detector.detect(tasks)
    assert [result.frame for result in results] == [task.frame for task in tasks]
    assert all(result.objects for result in results[:2])


@pytest.mark.filterwarnings("ignore")
def test_an_end_to_end_graph_says_which_sizes_are_too_small_for_it(
    two_headed_model: Path, tmp_path: Path
) -> None:
    """It keeps the best 300 anchors, of which a small canvas has fewer."""
    from ultralytics import YOLO  # noqa: PLC0415  # reads its environment

    weights = tmp_path / "whole.pt"
    weights.write_bytes(two_headed_model.read_bytes())
    folder = Path(YOLO(str(weights)).export(format="openvino", dynamic=True, imgsz=320, nms=False))
    facts = GraphFacts("detect", ["circle", "square", "triangle"], end2end=True, graph="whole.xml")
    model = GraphModel(Export(folder, facts), 320)
    picture = blobs(1, 240, 320)
    for size in (192, 640, 1280):
        assert len(model.detect_one(picture, Wanted(0.01, imgsz=size)).scores) > 0
    for tried in range(2):
        with pytest.raises(Rejected) as caught:
            model.detect_one(picture, Wanted(0.01, imgsz=32))
        assert (caught.value.code, tried) == ("unsupported_size", tried)
        assert caught.value.reason.endswith("Its input would be 32x32 pixels.")


async def test_frames_of_an_unsupported_size_are_errors_and_their_neighbours_are_not(task_of: TaskOf) -> None:
    class Choosy:
        backend = ""
        names: tuple[str, ...] = ("circle",)

        def detect_one(self, _picture: Pixels, wanted: Wanted) -> Boxes:
            if wanted.imgsz == 32:
                raise Rejected("unsupported_size", "It is too small.")
            return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.intp))

    with ThreadPoolExecutor(1) as threads:
        small, usual = await ParallelDetector(Choosy(), MODEL, threads, 640).detect(
            [task_of(0, imgsz=32), task_of(1)]
        )
    assert small.error == Failure("unsupported_size", "It is too small.")
    assert usual.error is UNSET
