"""However long the videos are and however many, few pictures wait in Kafka, and a clip is soon done."""

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.backpressure import BATCH
from app.clients.kafka.broker import open_broker
from app.topics import INFERENCE_TASKS
from models.shapes import repeat_clip, write_clip
from tests.support import clips
from tests.support.pipeline import Pipeline

GIVES_WAY = 5
"""What the role `inference` adds to its niceness; importing the role would make its worker."""

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

TWO_HOURS = 720
"""How often a clip of 10 s is shown in two hours; nothing moves in it, so that it is small."""


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("long")
    clips.write_clip(folder / "short.mp4", frames=250, picture=clips.grey)
    repeat_clip(folder / "short.mp4", folder / "long.mp4", TWO_HOURS)
    return folder / "long.mp4"


@pytest.fixture
def long_videos(pipeline: Pipeline, long_video: Path) -> Iterator[list[str]]:
    """Ten videos of two hours, in work; deleted afterwards."""
    submitted = [pipeline.submit(long_video) for _ in range(10)]
    yield submitted
    for video_id in submitted:
        pipeline.api.delete(f"/api/v1/videos/{video_id}")


def waiting(pipeline: Pipeline) -> int:
    async def look() -> int:
        async with open_broker(pipeline.settings.kafka_bootstrap_servers) as broker:
            return await broker.lag("inference", INFERENCE_TASKS.name, pipeline.settings.task_partitions)

    return asyncio.run(look())


def seconds_to_ready(pipeline: Pipeline, clip: Path) -> float:
    began = time.monotonic()
    assert pipeline.wait_for(pipeline.submit(clip))["status"] == "ready"
    return time.monotonic() - began


def test_who_decodes_goes_before_the_model(pipeline: Pipeline) -> None:
    runner, inference = (
        os.getpriority(os.PRIO_PROCESS, pipeline.stack.pid_of(role)) for role in ("runner", "inference")
    )
    assert inference == min(runner + GIVES_WAY, 19)


@pytest.mark.long
def test_a_clip_behind_ten_videos_of_two_hours_is_ready_soon_all_the_same(
    pipeline: Pipeline, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, seed=42, frames=250, fps=25)
    alone = statistics.median(seconds_to_ready(pipeline, clip) for _ in range(3))

    long_videos = request.getfixturevalue("long_videos")
    at_once = seconds_to_ready(pipeline, clip)
    pipeline.wait_until(
        lambda: all((pipeline.record(each) or {}).get("expected_frames") for each in long_videos), seconds=60
    )
    behind = statistics.median(seconds_to_ready(pipeline, clip) for _ in range(5))

    # Beside other work 1.9 and 1.6 times; other tests have run before.
    assert at_once <= 4 * alone
    assert behind <= 3 * alone


def test_three_runners_together_let_no_more_pictures_wait_than_the_bound_and_a_batch_for_each_open_video(
    pipeline: Pipeline, request: pytest.FixtureRequest
) -> None:
    bound, open_videos = pipeline.settings.tasks_waiting, 10
    with ExitStack() as opened:
        for number in (2, 3):
            opened.enter_context(pipeline.another_worker("runner", f"runner-{number}"))
        pipeline.stack.stop_program("inference")
        opened.callback(pipeline.stack.wait_ready, 60)
        opened.callback(pipeline.stack.start_program, "inference")
        request.getfixturevalue("long_videos")
        pipeline.wait_until(lambda: waiting(pipeline) >= bound, seconds=60)
        most, until = 0, time.monotonic() + 3
        while time.monotonic() < until:
            most = max(most, waiting(pipeline))
    assert bound <= most <= bound + open_videos * BATCH
