"""Kadr's boxes are those of Ultralytics on torch, on the same pictures."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.detection import graph
from app.settings import Settings
from tests.detection.tiny_models import blobs
from tests.support import parity
from tests.support.parity import Found, compare, of_document, overlap

DATA = Path(os.environ.get("TEST_DATA", "no-such-folder"))

needs_videos = pytest.mark.skipif(
    not DATA.is_dir(), reason="TEST_DATA names no folder with videos/ and weights/yolov8n.pt"
)

SettingsFor = Callable[[Path], Settings]


@pytest.mark.filterwarnings("default")  # torch and Ultralytics are not ours to silence
@pytest.mark.parametrize("form", ["tiny_model", "end_to_end_model", "segmentation_model"])
async def test_every_box_of_a_model_is_found_and_no_other(
    form: str, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    weights = request.getfixturevalue(form)
    monkeypatch.setattr(parity, "SIZE", 320)
    sizes = [(240, 320), (360, 640), (333, 217), (64, 320), (180, 180)]
    tasks = [parity.task_of(number, blobs(number, *size)) for number, size in enumerate(sizes)]
    expected = parity.reference(tasks, weights)
    agreement = compare(await parity.ours(tasks, settings_for(weights)), expected)
    assert agreement.boxes > 50
    assert (agreement.share, agreement.lost, agreement.extra) == (1.0, 0, 0)
    assert agreement.equal >= 0.99 * agreement.pairs
    assert max(agreement.conf_differences) < 0.0002


@pytest.mark.data
@pytest.mark.usefixtures("ultralytics_home")
@needs_videos
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "name", ["vtest_480x360_h264.mp4", "intel_car-detection.mp4", "udacity_solidWhiteRight.mp4"]
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


def test_the_graph_computes_in_f32_whatever_the_processor_prefers() -> None:
    assert graph.CONFIGURATION["INFERENCE_PRECISION_HINT"] == "f32"
