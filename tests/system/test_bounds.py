"""What is finished leaves nothing behind: no pictures in Kafka, and no cost at the next start."""

import asyncio
import shutil
import time
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from app.clients.kafka.broker import Partition, open_broker
from app.domain.messages import FrameResult, FramesDetected, ModelFacts, SplitEnded, VideoFacts, encode
from app.topics import INFERENCE_RESULTS, INFERENCE_TASKS, VIDEO_SPLITS
from models.shapes import write_clip
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SEGMENT = 16 << 20
"""As `segment.bytes` of the topic of pictures: removal frees whole segments only."""

FINISHED = 1000


def test_pictures_that_were_looked_at_are_removed_from_kafka(pipeline: Pipeline, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", seed=31, frames=900, fps=25, size=(640, 360))
    pipeline.wait_for(pipeline.submit(tmp_path / "clip.mp4"))

    async def untrimmed() -> int:
        every = [
            Partition(INFERENCE_TASKS.name, number) for number in range(pipeline.settings.task_partitions)
        ]
        async with open_broker(pipeline.settings.kafka_bootstrap_servers) as broker:
            starts, ends = await asyncio.gather(broker.log_starts(every), broker.log_ends(every))
        return sum(ends[each] - starts[each] for each in every)

    pipeline.wait_until(lambda: asyncio.run(untrimmed()) == 0, seconds=60)
    folders = list((pipeline.stack.folder.root / "kafka").rglob(f"{INFERENCE_TASKS.name}-*"))
    assert len(folders) == pipeline.settings.task_partitions
    for folder in folders:
        assert sum(file.stat().st_size for file in folder.glob("*.log")) <= 2 * SEGMENT


@pytest.mark.long
def test_recovery_after_a_thousand_finished_videos_costs_what_an_empty_table_costs(
    pipeline: Pipeline,
) -> None:
    empty = seconds_to_recover(pipeline)
    last = asyncio.run(finish_videos(pipeline))
    pipeline.wait_until(lambda: is_finished(pipeline, last), seconds=120)
    pipeline.wait_until(
        lambda: all(agent["lag"] == 0 for agent in pipeline.page("results", "/agents")["agents"]), seconds=120
    )

    full = seconds_to_recover(pipeline)

    assert is_finished(pipeline, last), "its tombstone came back from the changelog"
    assert full <= empty + 10


def seconds_to_recover(pipeline: Pipeline) -> float:
    """Start the results worker without its disk and return how long it took until it was ready."""
    pipeline.stack.stop_program("results")
    shutil.rmtree(pipeline.stack.folder.root / "faust" / "results")
    began = time.monotonic()
    pipeline.stack.start_program("results")
    pipeline.stack.wait_ready(120, only=["results"])
    return time.monotonic() - began


async def finish_videos(pipeline: Pipeline) -> str:
    """Publish the only frame and the end of many videos; return the id of the last one."""
    model, facts = ModelFacts("none", "0", "none"), VideoFacts(8, 8, 25.0, 0.04, 1, 1)
    producer = AIOKafkaProducer(bootstrap_servers=pipeline.settings.kafka_bootstrap_servers)
    video_id = ""
    async with producer:
        sent = []
        for _ in range(FINISHED):
            video_id = str(uuid.uuid4())
            found = FramesDetected(video_id, 1, model, [FrameResult(0, 0.0)])
            ended = SplitEnded(video_id, "split", 1, bucket="videos", object="elsewhere.mp4", video=facts)
            for topic, message in ((INFERENCE_RESULTS, found), (VIDEO_SPLITS, ended)):
                sent.append(await producer.send(topic.name, value=encode(message), key=video_id.encode()))
        await asyncio.gather(*sent)
    return video_id


def is_finished(pipeline: Pipeline, video_id: str) -> bool:
    found = pipeline.page("results", f"/videos/{video_id}")
    return bool(found.get("head", {}).get("state") == "stored" and not found["rows"])
