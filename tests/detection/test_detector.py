"""The detector answers as the model itself does, whatever is asked and in whatever order."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from app.detection.detector import Detector, open_detector
from app.detection.frames import ParallelDetector
from app.domain.messages import Failure, FrameResult
from app.settings import Settings
from tests.detection.tiny_models import TaskOf

SettingsFor = Callable[[Path], Settings]

NEXT_PROCESS = """
import asyncio, sys, msgspec, pathlib
from app.detection.detector import open_detector
from app.domain.messages import FrameSampled
from app.settings import Settings

async def main():
    task = msgspec.json.decode(pathlib.Path("task.json").read_bytes(), type=FrameSampled)
    async with open_detector(Settings()) as detector:
        assert (await detector.detect([task]))[0].objects
    assert not {"torch", "ultralytics"} & sys.modules.keys()

asyncio.run(main())
"""


@pytest_asyncio.fixture
async def detector(tiny_model: Path, settings_for: SettingsFor) -> AsyncIterator[Detector]:
    async with open_detector(settings_for(tiny_model)) as opened:
        yield opened


async def test_it_says_which_model_looks_and_what_runs_it(detector: Detector) -> None:
    facts = detector.facts
    assert (facts.name, facts.backend, facts.demo) == ("tiny", "openvino f32", False)
    assert len(facts.sha256) == 64
    assert detector.names == ("circle", "square", "triangle")


async def test_results_come_in_the_order_of_the_tasks(detector: Detector, task_of: TaskOf) -> None:
    numbers = [20, 5, 15, 0, 10, 25, 35, 30]
    results = await detector.detect([task_of(number) for number in numbers])
    assert [result.frame for result in results] == numbers
    assert [result.time for result in results] == [number / 10 for number in numbers]


async def test_objects_are_as_the_contract_says(detector: Detector, task_of: TaskOf) -> None:
    task = task_of(1)
    (result,) = await detector.detect([task])
    assert result.objects
    scores = [found.conf for found in result.objects]
    assert scores == sorted(scores, reverse=True)
    assert all(score == round(score, 4) and score >= 0.5 for score in scores)
    for found in result.objects:
        left, top, right, bottom = found.box
        assert 0 <= left <= right <= task.width
        assert 0 <= top <= bottom <= task.height
        assert found.class_ in detector.names
    assert json.loads(msgspec.json.encode(result))["objects"][0]["class"] in detector.names


async def test_each_frame_is_looked_at_with_its_own_options(detector: Detector, task_of: TaskOf) -> None:
    tasks = [task_of(1, max_det=3), task_of(1, conf=0.9), task_of(1, iou=1.0), task_of(1)]
    few, sure, doubled, plain = await detector.detect(tasks)
    assert few.objects == plain.objects[:3]
    assert sure.objects == [found for found in plain.objects if found.conf > 0.9]
    assert len(doubled.objects) > len(plain.objects)


async def test_only_the_classes_asked_for_are_found(detector: Detector, task_of: TaskOf) -> None:
    tasks = [
        task_of(1, conf=0.25),
        task_of(1, conf=0.25, classes=("square",)),
        task_of(1, conf=0.25, classes=(1,)),
    ]
    every, named, numbered = await detector.detect(tasks)
    assert named.objects == numbered.objects == [each for each in every.objects if each.class_ == "square"]
    assert named.objects


async def test_a_class_that_the_model_lacks_is_the_error_of_that_video_only(
    detector: Detector, task_of: TaskOf
) -> None:
    plain, failed = await detector.detect([task_of(1), task_of(1, classes=("circle", "unicorn"))])
    assert plain.objects
    assert (failed.frame, failed.objects) == (1, [])
    assert failed.error is not msgspec.UNSET
    assert failed.error.code == "unknown_class"
    assert "circle, square, triangle" in failed.error.message


async def test_each_video_has_its_own_size_of_the_models_input(
    detector: Detector, task_of: TaskOf, settings_for: SettingsFor, tiny_model: Path
) -> None:
    """As if the operator had set it, also beside others in one batch, and the smallest there is."""
    sizes = [32, 64, 256, 320, 1280]
    mixed = await detector.detect([task_of(1, imgsz=size) for size in sizes])
    assert len({len(result.objects) for result in mixed}) > 2
    for size, result in zip(sizes, mixed, strict=True):
        settings = settings_for(tiny_model).model_copy(update={"imgsz": size})
        async with open_detector(settings) as other:
            assert await other.detect([task_of(1)]) == [result]


async def test_a_bad_picture_is_the_error_of_its_frame_only(detector: Detector, task_of: TaskOf) -> None:
    bad = msgspec.structs.replace(task_of(5), image="bm8gcGljdHVyZQ==")
    good, failed, also_good = await detector.detect([task_of(0), bad, task_of(10)])
    assert failed == FrameResult(5, 0.5, error=Failure("undecodable_picture", "The picture is not a JPEG."))
    assert good.error is msgspec.UNSET
    assert also_good.objects


async def test_calls_under_way_at_once_do_not_mix(detector: Detector, task_of: TaskOf) -> None:
    shapes = [(240, 320), (320, 240), (100, 320), (320, 100)]
    calls = [[task_of(8 * n + i, height=h, width=w) for i in range(8)] for n, (h, w) in enumerate(shapes)]
    at_once = await asyncio.gather(*(detector.detect(tasks) for tasks in calls))
    one_by_one = [[(await detector.detect([task]))[0] for task in tasks] for tasks in calls]
    assert at_once == one_by_one


async def test_more_shapes_than_graphs_are_kept_are_all_answered(detector: Detector, task_of: TaskOf) -> None:
    tasks = [task_of(i, height=32 * i, width=320) for i in range(1, 11)]
    assert await detector.detect(tasks) == await detector.detect(tasks)


async def test_nothing_asked_is_nothing_answered(detector: Detector) -> None:
    assert await detector.detect([]) == []


async def test_the_event_loop_turns_while_the_model_runs(detector: Detector, task_of: TaskOf) -> None:
    work = asyncio.ensure_future(detector.detect([task_of(i) for i in range(64)]))
    longest, turns = 0.0, 0
    while not work.done():
        before = time.monotonic()
        await asyncio.sleep(0)
        longest, turns = max(longest, time.monotonic() - before), turns + 1
    assert turns > 10
    assert longest < 0.25
    assert len(await work) == 64


async def test_a_model_without_a_gpu_runs_on_openvino(detector: Detector) -> None:
    assert isinstance(detector, ParallelDetector)


@pytest.mark.usefixtures("detector")  # has exported the model; this is the next process
def test_with_a_graph_made_before_the_process_never_loads_torch(
    tiny_model: Path, task_of: TaskOf, tmp_path: Path
) -> None:
    (tmp_path / "task.json").write_bytes(msgspec.json.encode(task_of(1)))
    own = {"MODEL": str(tiny_model), "DATA_DIR": str(tmp_path), "IMGSZ": "320"}
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", NEXT_PROCESS]
    subprocess.run(
        command, cwd=tmp_path, env=os.environ | own | {"PYTHONPATH": str(root)}, check=True, timeout=60
    )


async def test_the_demo_model_says_that_it_is_one_and_how_to_set_another(
    tiny_model: Path,
    settings_for: SettingsFor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("app.detection.weights.DEMO_MODEL", str(tiny_model))
    async with open_detector(settings_for(tiny_model)) as opened:
        assert opened.facts.demo
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record for record in warnings if "MODEL=yolo11n.pt" in record.message] == warnings
    assert len(warnings) == 1
