"""What cannot be processed is set aside with its reason, and harms nobody else."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import uuid
from typing import Any

import numpy as np
import pytest

from app.clients.kafka.broker import SetAside, open_broker
from app.clients.s3.storage import open_storage
from app.decoding.picture import encode_jpeg
from app.domain.messages import FrameSampled, SplitEnded, VideoFacts, encode
from app.rejected import find_rejected
from app.topics import INFERENCE_TASKS, REJECTED, STREAMS, VIDEO_RESULTS, VIDEO_SPLITS
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

NOT_JSON = b"\xff\xfe this is no JSON"
OTHER_SHAPE = b'{"video_id": 7, "attempt": "one"}'
LARGE = b'"' + b"x" * (4 << 20) + b'"'


def rejected(pipeline: Pipeline) -> list[SetAside]:
    async def look() -> list[SetAside]:
        async with open_broker(pipeline.settings.kafka_bootstrap_servers) as broker:
            return await broker.rejected(REJECTED)

    return asyncio.run(look())


def shown(pipeline: Pipeline, position: str) -> SetAside:
    async def look() -> SetAside:
        async with open_broker(pipeline.settings.kafka_bootstrap_servers) as broker:
            return await find_rejected(broker, pipeline.settings, position)

    return asyncio.run(look())


@pytest.mark.parametrize("body", [NOT_JSON, OTHER_SHAPE, LARGE], ids=["not-json", "other-shape", "4-MB"])
@pytest.mark.parametrize("topic", [each.name for each in STREAMS])
def test_poison_is_set_aside_with_its_body_and_reason(pipeline: Pipeline, topic: str, body: bytes) -> None:
    key = str(uuid.uuid4()).encode()

    pipeline.publish(topic, key, body)

    def found() -> list[SetAside]:
        return [each for each in rejected(pipeline) if each.key == key]

    pipeline.wait_until(lambda: len(found()) == 1, seconds=30)
    (message,) = found()
    assert shown(pipeline, message.position).body == body
    assert message.position.startswith(f"{topic}/")
    assert message.headers["code"] == "malformed"


def test_a_picture_that_cannot_be_decoded_is_the_error_of_its_frame(pipeline: Pipeline) -> None:
    # An outside producer: two frames of a video of its own, the second of them no picture.
    video_id = str(uuid.uuid4())
    pictures = {0: encode_jpeg(np.zeros((288, 512, 3), np.uint8)), 5: b"no JPEG"}
    for frame, picture in pictures.items():
        image = base64.b64encode(picture).decode()
        task = FrameSampled(video_id, 1, frame, frame / 25, 512, 288, image)
        pipeline.publish(INFERENCE_TASKS.name, f"{video_id}/1/{frame}".encode(), encode(task))
    facts = VideoFacts(512, 288, 25.0, 0.4, 10, 2)
    ended = SplitEnded(video_id, "split", 1, bucket="videos", object="elsewhere.mp4", video=facts)
    pipeline.publish(VIDEO_SPLITS.name, video_id.encode(), encode(ended))

    document = stored(pipeline, f"detection/{video_id}.json")

    assert document["status"] == "ready"
    good, bad = document["prediction"]
    assert (good["frame"], good["objects"], "error" in good) == (0, [], False)
    assert (bad["frame"], bad["objects"], bad["error"]["code"]) == (5, [], "undecodable_picture")


@pytest.mark.parametrize("body", [NOT_JSON, LARGE], ids=["small", "4-MB"])
def test_a_message_that_was_set_aside_can_be_sent_again(pipeline: Pipeline, body: bytes) -> None:
    key = str(uuid.uuid4()).encode()
    pipeline.publish(VIDEO_RESULTS.name, key, body)

    def positions() -> list[str]:
        return [each.position for each in rejected(pipeline) if each.key == key]

    pipeline.wait_until(lambda: len(positions()) == 1, seconds=30)
    (first,) = positions()

    run_cli(pipeline, "rejected", "resend", first)

    pipeline.wait_until(lambda: len(positions()) == 1 and positions() != [first], seconds=30)
    (second,) = positions()
    assert shown(pipeline, second).body == body


def stored(pipeline: Pipeline, name: str) -> dict[str, Any]:
    """Return a JSON object of the bucket `videos` once it is there."""

    async def look() -> dict[str, Any] | None:
        async with open_storage(pipeline.settings) as storage:
            if await storage.stat("videos", name) is None:
                return None
            found: dict[str, Any] = json.loads(await storage.get("videos", name))
            return found

    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        found.extend(filter(None, [asyncio.run(look())]))
        return bool(found)

    pipeline.wait_until(is_there, seconds=60)
    return found[0]


def run_cli(pipeline: Pipeline, *words: str) -> None:
    environment = os.environ | pipeline.stack.environment()
    subprocess.run([sys.executable, "-m", "app.cli", *words], env=environment, check=True, timeout=60)
