"""While Kafka is away uploads are accepted; other outages are in `tests/faults`."""

from pathlib import Path

import httpx
import pytest

from models.shapes import write_clip
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

FRAMES = 100
EVERY_FIFTH = list(range(0, FRAMES, 5))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("outages") / "clip.mp4"
    write_clip(path, seed=21, frames=FRAMES, fps=25, size=(640, 360))
    return path


def numbers_of(pipeline: Pipeline, video_id: str) -> list[int]:
    """Return the frames of a result; while a server comes back the API may say that it is away."""
    found: dict[str, list[int]] = {}

    def is_ready() -> bool:
        try:
            answer = pipeline.api.get(f"/api/result_video/{video_id}")
        except httpx.HTTPError:
            return False
        if answer.status_code != httpx.codes.OK or answer.json()["status"] != "ready":
            return False
        found["numbers"] = [frame["frame"] for frame in answer.json()["prediction"]]
        return True

    pipeline.wait_until(is_ready, seconds=150, otherwise=lambda: str(pipeline.record(video_id)))
    return found["numbers"]


def test_uploads_are_accepted_while_kafka_is_away_and_become_ready_afterwards(
    pipeline: Pipeline, clip: Path
) -> None:
    pipeline.stack.stop_program("kafka")
    try:
        video_ids = [pipeline.submit(clip) for _ in range(2)]
        assert {pipeline.result(video_id)["status"] for video_id in video_ids} == {"new"}
    finally:
        pipeline.stack.start_program("kafka")

    assert [numbers_of(pipeline, video_id) for video_id in video_ids] == [EVERY_FIFTH] * 2
