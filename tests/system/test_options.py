"""Options of one video through the whole of Kadr, on real servers."""

import asyncio
from pathlib import Path

import pytest

from app.domain.messages import Options
from app.domain.options import listed
from benchmarks.endurance import submit
from models.score import score
from models.shapes import NAMES, Truth, write_clip
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SIZE = (640, 360)


def submit_with(pipeline: Pipeline, path: Path, options: Options) -> str:
    return asyncio.run(submit(pipeline.settings, path, options))


def test_a_video_is_looked_at_as_it_was_asked_for(pipeline: Pipeline, tmp_path: Path) -> None:
    """Every frame of a second from its middle, two classes of three, nothing done to the pictures."""
    truths = write_clip(tmp_path / "clip.mp4", seed=90_021, frames=80, fps=25, size=SIZE, objects=4)
    wanted = {NAMES[0], NAMES[2]}
    options = Options(
        vid_stride=1, start=1.0, end=2.0, classes=(NAMES[0], 2), preprocess=False, conf=0.4, max_det=50
    )

    result = pipeline.wait_for(submit_with(pipeline, tmp_path / "clip.mp4", options))

    assert result["status"] == "ready", result
    assert [frame["frame"] for frame in result["prediction"]] == list(range(25, 50))
    assert [frame["time"] for frame in result["prediction"]] == pytest.approx([n / 25 for n in range(25, 50)])
    found = [each for frame in result["prediction"] for each in frame["objects"]]
    assert {each["class"] for each in found} <= wanted
    assert min(each["conf"] for each in found) >= 0.4
    there = [
        Truth(each.frame, [shape for shape in each.objects if shape.name in wanted])
        for each in truths
        if 25 <= each.frame < 50
    ]
    scored = score(there, result["prediction"], iou=0.5)
    assert scored.precision >= 0.9
    assert scored.recall >= 0.9
    assert result["options"] == listed(options, pipeline.settings.imgsz)
    assert (result["video"]["sampled"], result["video"]["first_frame"]) == (25, 25)


def test_videos_with_other_options_do_not_mix(pipeline: Pipeline, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", seed=90_022, frames=60, fps=25, size=SIZE, objects=4)
    asked = [Options(vid_stride=3), *(Options(vid_stride=3, classes=(name,), imgsz=480) for name in NAMES)]

    ids = [submit_with(pipeline, tmp_path / "clip.mp4", options) for options in asked]
    results = [pipeline.wait_for(video_id) for video_id in ids]

    assert [len(result["prediction"]) for result in results] == [20] * 4
    kinds = [{each["class"] for frame in r["prediction"] for each in frame["objects"]} for r in results]
    assert kinds[1:] == [{name} & kinds[0] for name in NAMES]
    assert [result["options"] for result in results] == [
        listed(options, pipeline.settings.imgsz) for options in asked
    ]


def test_a_class_that_the_model_lacks_lets_the_video_fail_and_says_which_there_are(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mp4", seed=90_023, frames=60, fps=25, size=SIZE)

    video_id = submit_with(pipeline, tmp_path / "clip.mp4", Options(classes=("circle", "unicorn")))
    result = pipeline.wait_for(video_id)

    assert result["status"] == "failed"
    assert result["error"]["code"] == "unknown_class"
    assert 'none called "unicorn", but circle, square, triangle' in result["error"]["message"]
    pipeline.wait_until(lambda: (pipeline.record(video_id) or {}).get("status") == "failed")


def test_a_window_behind_the_video_lets_it_fail_and_says_where_it_ends(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mp4", seed=90_024, frames=50, fps=25, size=SIZE)

    result = pipeline.wait_for(submit_with(pipeline, tmp_path / "clip.mp4", Options(start=60)))

    assert result["status"] == "failed"
    assert result["error"]["code"] == "empty_window"
    assert "ends at 2.000 seconds" in result["error"]["message"]
