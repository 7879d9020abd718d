"""What cannot be processed is set aside with its reason, and harms nobody else."""

import asyncio
import base64
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from app.clients.broker import SetAside, open_broker
from app.domain.messages import FrameSampled, encode
from app.topics import INFERENCE_TASKS, REJECTED, STREAMS
from models.shapes import write_clip
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

NOT_JSON = b"\xff\xfe this is no JSON"
OTHER_SHAPE = b'{"video_id": 7, "attempt": "one"}'
LARGE = b'"' + b"x" * (4 << 20) + b'"'


def publish(pipeline: Pipeline, topic: str, key: bytes, value: bytes) -> None:
    async def send() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=pipeline.settings.kafka_bootstrap_servers, max_request_size=5 << 20
        )
        async with producer:
            await producer.send_and_wait(topic, value=value, key=key)

    asyncio.run(send())


def rejected(pipeline: Pipeline) -> list[SetAside]:
    async def look() -> list[SetAside]:
        async with open_broker(pipeline.settings.kafka_bootstrap_servers) as broker:
            return await broker.rejected(REJECTED)

    return asyncio.run(look())


@pytest.mark.parametrize("body", [NOT_JSON, OTHER_SHAPE, LARGE], ids=["not-json", "other-shape", "4-MB"])
@pytest.mark.parametrize("topic", [each.name for each in STREAMS])
def test_poison_is_set_aside_with_its_body_and_reason(pipeline: Pipeline, topic: str, body: bytes) -> None:
    key = str(uuid.uuid4()).encode()

    publish(pipeline, topic, key, body)

    def found() -> list[SetAside]:
        return [each for each in rejected(pipeline) if each.key == key]

    pipeline.wait_until(lambda: len(found()) == 1, seconds=30)
    (message,) = found()
    assert message.body == body
    assert message.position.startswith(f"{topic}/")
    assert message.headers["code"] == "malformed"


def test_a_picture_that_cannot_be_decoded_is_the_error_of_its_frame(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mp4", seed=11, frames=11, fps=25, size=(512, 288))
    pipeline.stack.stop_program("inference")
    try:
        video_id = pipeline.submit(tmp_path / "clip.mp4")
        # Ahead of the real tasks there is one for frame 5 that holds no picture: whichever comes last
        # writes the row, so the real one is not sent at all but only this one counts after a deletion.
        pipeline.wait_until(lambda: (pipeline.record(video_id) or {}).get("split_ended") is True, seconds=60)
        broken = FrameSampled(video_id, 1, 5, 0.2, 512, 288, base64.b64encode(b"no JPEG").decode())
        publish(pipeline, INFERENCE_TASKS.name, f"{video_id}/1/5".encode(), encode(broken))
    finally:
        pipeline.stack.start_program("inference")

    result = pipeline.wait_for(video_id)

    assert result["status"] == "ready"
    assert [frame["frame"] for frame in result["prediction"]] == [0, 5, 10]
