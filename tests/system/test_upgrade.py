"""Workers of two releases share the work, and no frame is missed.

The other release is one to come, whose messages and documents have fields that today's workers do not know.
With `KADR_OLD_REVISION` (a revision of this repository) the workers that are replaced are really those.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord

from app.clients.kafka.broker import open_broker
from app.settings import Settings
from app.topics import REJECTED, VIDEO_RESULTS, VIDEO_SPLITS
from models.shapes import write_clip
from tests.support.newer_worker import FIELD
from tests.support.pipeline import Pipeline
from tests.support.topic_log import TopicLog

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]

WRITING = ("runner", "results")
"""Roles that write what each other and they themselves read, and whose start costs little."""

READING = (*WRITING, "inference")
"""Roles that read what others have written."""

MOST_VIDEOS = 12

FRAMES = 400
EVERY_FIFTH = list(range(0, FRAMES, 5))


class LaterLog(TopicLog):
    """Reads what the runner and results say of whole videos.

    Attributes:
        topics: where somebody has written what today's workers do not know.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, [VIDEO_SPLITS, VIDEO_RESULTS])
        self.topics: set[str] = set()

    def note(self, record: ConsumerRecord) -> None:
        """Look for the field."""
        if FIELD.encode() in (record.value or b""):
            self.topics.add(record.topic)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("upgrade") / "clip.mp4"
    write_clip(path, seed=35, frames=FRAMES, fps=25, size=(320, 240))
    return path


def frames_of(pipeline: Pipeline, video_id: str) -> list[int]:
    found = pipeline.wait_for(video_id)
    assert found["status"] == "ready", found
    return [frame["frame"] for frame in found["prediction"]]


def begin(pipeline: Pipeline, clip: Path) -> str:
    """Submit a clip and return when some of its frames have arrived."""
    video_id = pipeline.submit(clip)
    pipeline.wait_until(lambda: (pipeline.record(video_id) or {}).get("received_frames", 0) > 0, seconds=60)
    return video_id


def rejected(pipeline: Pipeline) -> list[str]:
    async def look() -> list[str]:
        async with open_broker(pipeline.settings.kafka_bootstrap_servers) as broker:
            return [each.position for each in await broker.rejected(REJECTED)]

    return asyncio.run(look())


@contextmanager
def stopped(pipeline: Pipeline) -> Iterator[None]:
    """Stop the workers of today in an orderly way; start them again when the block ends."""
    for role in READING:
        pipeline.stack.stop_program(role)
    try:
        yield
    finally:
        for role in READING:
            pipeline.stack.start_program(role)
        pipeline.stack.wait_ready(120, only=READING)


def test_workers_of_two_releases_share_the_work_and_no_frame_is_missed(
    pipeline: Pipeline, clip: Path
) -> None:
    before = rejected(pipeline)
    video_ids = [begin(pipeline, clip)]
    with LaterLog(pipeline.settings) as later:
        with pipeline.second_workers(WRITING, name="newer", module="tests.support.newer_worker"):
            for name, collection in (("main_db", "outbox"), ("runner_db", "runner_predictions")):
                pipeline.mongo[name][collection].update_many({}, {"$set": {FIELD: {"a": 1}}})
            # Who gets which video is the broker's choice.
            while later.topics != {VIDEO_SPLITS.name, VIDEO_RESULTS.name} and len(video_ids) < MOST_VIDEOS:
                video_ids.append(pipeline.submit(clip))
                frames_of(pipeline, video_ids[-1])
            video_ids += [begin(pipeline, clip) for _ in range(2)]
        # The newer ones have gone while there was work: the upgrade is taken back.
        assert [frames_of(pipeline, each) for each in video_ids] == [EVERY_FIFTH] * len(video_ids)
    assert rejected(pipeline) == before
    assert later.topics == {VIDEO_SPLITS.name, VIDEO_RESULTS.name}


@pytest.mark.skipif("KADR_OLD_REVISION" not in os.environ, reason="KADR_OLD_REVISION names no revision")
def test_workers_of_an_earlier_revision_are_replaced_while_they_work(
    pipeline: Pipeline, clip: Path, tmp_path: Path
) -> None:
    before, tree = rejected(pipeline), tmp_path / "earlier"
    git = ("git", "-C", str(ROOT))
    subprocess.run([*git, "worktree", "add", "--detach", tree, os.environ["KADR_OLD_REVISION"]], check=True)
    try:
        earlier = pipeline.second_workers(READING, name="earlier", variables={"PYTHONPATH": str(tree)})
        with earlier:
            with stopped(pipeline):
                video_ids = [begin(pipeline, clip)]
            video_ids.append(begin(pipeline, clip))
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", tree], check=True)

    assert [frames_of(pipeline, each) for each in video_ids] == [EVERY_FIFTH] * len(video_ids)
    assert rejected(pipeline) == before
