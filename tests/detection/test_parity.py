"""Kadr's boxes are those of Ultralytics on torch, on the same pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from app.detection import graph
from app.detection.boxes import candidates, suppress
from app.detection.export import Export
from app.detection.facts import GraphFacts
from app.detection.pictures import read_picture
from app.detection.wanted import Wanted
from app.domain.messages import FrameSampled, Options
from app.settings import Settings
from benchmarks import parity
from benchmarks.parity import Found, compare, of_document, overlap
from tests.detection.tiny_models import blobs
from tests.support.clips import data_folder

DATA = data_folder() or Path("no-such-folder")

needs_videos = pytest.mark.skipif(not DATA.is_dir(), reason="no folder of real videos; set KADR_TEST_DATA")

SettingsFor = Callable[[Path], Settings]

SIZES = [(240, 320), (360, 640), (333, 217), (64, 320), (180, 180)]
"""Height and width: fitting, shrunk, bordered, flat, enlarged."""


@pytest.mark.filterwarnings("ignore")  # torch and Ultralytics are not ours to silence
@pytest.mark.parametrize(
    "form",
    [
        "tiny_model",
        *(pytest.param(form, marks=pytest.mark.long) for form in ("two_headed_model", "segmentation_model")),
    ],
)
async def test_a_models_boxes_are_found_and_no_others(
    form: str, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    weights = request.getfixturevalue(form)
    monkeypatch.setattr(parity, "SIZE", 320)
    tasks = [parity.task_of(number, blobs(number, *size)) for number, size in enumerate(SIZES)]
    expected = parity.reference(tasks, weights)
    agreement = compare(await parity.ours(tasks, settings_for(weights)), expected)
    assert agreement.boxes > 500
    # Not all: where two scores differ by less than the arithmetic of two libraries, either order is right.
    assert agreement.share >= 0.99
    assert agreement.lost + agreement.extra <= 0.02 * agreement.pairs
    assert agreement.equal >= 0.99 * agreement.pairs
    assert float(np.median(agreement.conf_differences)) < 0.0001


CHOICES = [
    Options(imgsz=320, classes=(0, 2), conf=0.3, iou=0.6, max_det=20),
    Options(imgsz=256, conf=0.1, iou=0.2),
    Options(imgsz=960, classes=(1,), max_det=3),
    Options(imgsz=64, conf=0.05),
]
"""Sizes that shrink and enlarge, classes by their ids, and limits that bite."""


def predicted(model: Any, task: FrameSampled) -> list[Found]:  # noqa: ANN401  # Ultralytics' own
    """What Ultralytics' own predict finds when it is asked for the same."""
    picture, asked = read_picture(task.image), task.options
    found = model.predict(
        picture,
        conf=asked.conf,
        iou=asked.iou,
        max_det=asked.max_det,
        classes=None if asked.classes is None else list(asked.classes),
        imgsz=asked.imgsz,
        rect=True,
        device="cpu",
        save=False,
        verbose=False,
    )[0].boxes
    gain = np.array([task.width / picture.shape[1], task.height / picture.shape[0]] * 2)
    corners = np.rint(found.xyxy.numpy() * gain).astype(int).tolist()
    return [
        Found(model.names[int(index)], (box[0], box[1], box[2], box[3]), conf)
        for index, box, conf in zip(found.cls.tolist(), corners, found.conf.tolist(), strict=True)
    ]


async def assert_agrees(tasks: list[FrameSampled], weights: Path, settings: Settings, *, boxes: int) -> None:
    from ultralytics import YOLO  # noqa: PLC0415  # reads its environment

    numbered = [replace(task, frame=number) for number, task in enumerate(tasks)]
    model = YOLO(str(weights))
    expected = {task.frame: predicted(model, task) for task in numbered}
    answer = await parity.ours(numbered, settings)
    agreement = compare(answer, expected)
    assert agreement.pairs > boxes
    assert agreement.lost + agreement.extra <= 0.02 * agreement.pairs
    assert agreement.equal >= 0.98 * agreement.pairs
    assert all(len(answer[frame]) <= numbered[frame].options.max_det for frame in answer)


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["tiny_model", pytest.param("two_headed_model", marks=pytest.mark.long)])
async def test_what_is_asked_for_is_what_ultralytics_gives_when_it_is_asked_for_it(
    form: str, settings_for: SettingsFor, request: pytest.FixtureRequest
) -> None:
    weights = request.getfixturevalue(form)
    plain = [parity.task_of(0, blobs(number, *size)) for number, size in enumerate(SIZES)]
    tasks = [replace(task, options=options) for options in CHOICES for task in plain]
    await assert_agrees(tasks, weights, settings_for(weights), boxes=200)


@pytest.mark.data
@pytest.mark.usefixtures("ultralytics_home")
@needs_videos
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.long
async def test_on_real_pictures_what_is_asked_for_is_what_ultralytics_gives(tmp_path: Path) -> None:
    weights = tmp_path / "yolov8n.pt"
    weights.write_bytes((DATA / "weights" / weights.name).read_bytes())
    pictures = sorted((DATA / "coco128" / "images").rglob("*.jpg"))[:12]
    plain = [parity.task_of(0, np.asarray(cv2.imread(str(path)), np.uint8)) for path in pictures]
    choices = [
        Options(imgsz=320, classes=(0, 2, 7, 16), conf=0.2, iou=0.5, max_det=5),
        Options(imgsz=320, conf=0.3),
        Options(imgsz=480, classes=(0,), conf=0.1),
    ]
    tasks = [replace(task, options=options) for options in choices for task in plain]
    await assert_agrees(tasks, weights, Settings(model=str(weights), data_dir=tmp_path), boxes=40)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("ultralytics_home")
@pytest.mark.parametrize("seed", range(20))
def test_suppression_is_ultralytics_own_even_among_equal_scores(seed: int) -> None:
    import torch  # noqa: PLC0415  # heavy, and most tests do without
    from ultralytics.utils.nms import non_max_suppression  # noqa: PLC0415  # reads its environment

    random = np.random.default_rng(seed)
    output = np.concatenate(
        [random.uniform(0, 320, (2, 600)), random.uniform(5, 150, (2, 600)), random.random((3, 600)).round(2)]
    ).astype(np.float32)
    for classes, max_det in ((None, 300), ((0, 2), 300), ((1,), 12), ((), 300)):
        given = torch.from_numpy(output)[None].clone()
        chosen = None if classes is None else list(classes)
        (expected,) = non_max_suppression(given, 0.25, 0.45, classes=chosen, max_det=max_det, nc=3)
        found = suppress(candidates(output, 0.25, classes), iou=0.45, max_det=max_det)
        ours = np.column_stack([found.corners, found.scores, found.classes])
        assert len(ours) == len(expected) <= max_det
        if classes is None or len(classes) > 1:  # which of equal ones are among the last is anybody's
            assert set(map(tuple, ours.tolist())) == set(map(tuple, expected.tolist()))


@pytest.mark.filterwarnings("ignore")
def test_an_end_to_end_graph_answers_as_the_models_own_end_to_end_head(
    two_headed_model: Path, tmp_path: Path
) -> None:
    from ultralytics import YOLO  # noqa: PLC0415  # reads its environment

    weights = tmp_path / "whole.pt"
    weights.write_bytes(two_headed_model.read_bytes())
    folder = Path(YOLO(str(weights)).export(format="openvino", dynamic=True, imgsz=320, nms=False))
    facts = GraphFacts("detect", ["circle", "square", "triangle"], end2end=True, graph="whole.xml")
    model = graph.GraphModel(Export(folder, facts), 320)
    reference = YOLO(str(weights))
    for seed, size in enumerate(SIZES):
        picture = blobs(seed, *size)
        expected = reference.predict(picture, imgsz=320, conf=0.25, nms=False, device="cpu")[0].boxes
        found = model.detect_one(picture, Wanted(0.25))
        assert len(found.scores) == len(expected) > 10
        assert np.allclose(found.scores, expected.conf.numpy(), atol=0.001)
        assert np.mean(np.abs(found.corners - expected.xyxy.numpy()).max(axis=1) < 0.5) > 0.97


@pytest.mark.data
@pytest.mark.usefixtures("ultralytics_home")
@needs_videos
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("vtest_480x360_h264.mp4", marks=pytest.mark.long),
        pytest.param("intel_car-detection.mp4", marks=pytest.mark.long),
        "udacity_solidWhiteRight.mp4",
    ],
)
async def test_on_real_videos_nearly_all_confident_boxes_have_their_partner(
    name: str, tmp_path: Path
) -> None:
    weights = tmp_path / "yolov8n.pt"
    weights.write_bytes((DATA / "weights" / weights.name).read_bytes())
    tasks = list(parity.sample(DATA / "videos" / name, vid_stride=25))
    answer = await parity.ours(tasks, Settings(model=str(weights), data_dir=tmp_path))
    assert compare(answer, parity.reference(tasks, weights)).share >= 0.98


def test_a_missing_frame_loses_its_boxes() -> None:
    expected = {0: [Found("cat", (0, 0, 9, 9), 0.9)], 5: [Found("cat", (0, 0, 9, 9), 0.3)]}
    agreement = compare({0: expected[0]}, expected)
    assert (agreement.matched, agreement.boxes, agreement.lost) == (1, 1, 1)


def test_a_box_of_another_class_is_lost_and_extra() -> None:
    agreement = compare({0: [Found("dog", (0, 0, 9, 9), 0.9)]}, {0: [Found("cat", (0, 0, 9, 9), 0.9)]})
    assert (agreement.share, agreement.lost, agreement.extra) == (0.0, 1, 1)


def test_a_box_has_one_partner_only() -> None:
    twice = [Found("cat", (0, 0, 9, 9), 0.9)] * 2
    assert compare({0: twice[:1]}, {0: twice}).lost == 1


def test_a_finished_result_is_compared_as_it_is() -> None:
    document = {
        "prediction": [{"frame": 5, "objects": [{"class": "cat", "box": [1, 2, 30, 40], "conf": 0.8}]}]
    }
    assert of_document(document) == {5: [Found("cat", (1, 2, 30, 40), 0.8)]}


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((3, 3, 3, 3), (3, 3, 3, 3)) == 1.0
    assert overlap((3, 3, 3, 3), (4, 4, 4, 4)) == 0.0
