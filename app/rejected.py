"""What could not be processed: set aside with its reason, looked at, and sent again.

A body over 1 MB lies in S3 under `rejected/`, so that the topic, which is kept for ever, stays small.
"""

from dataclasses import replace
from typing import Final

from app.clients.kafka.broker import Broker, SetAside
from app.clients.s3.storage import open_storage
from app.errors import Missing
from app.settings import Settings
from app.topics import REJECTED

LARGE: Final = 1 << 20
"""Bytes of a body that is not kept in the topic."""

PREFIX: Final = "rejected/"

BUCKET_HEADER: Final = "body-bucket"
"""Says in which bucket a large body lies."""


async def set_aside(broker: Broker, settings: Settings, message: SetAside) -> None:
    """Keep a message and return when it is safe.

    Raises:
        Unavailable: Kafka, or for a large body S3, does not answer.
    """
    if len(message.body) > LARGE:
        bucket = settings.buckets[0]
        async with open_storage(settings) as storage:
            name = PREFIX + message.position
            await storage.put(bucket, name, message.body, content_type="application/octet-stream")
        message = replace(message, body=b"", headers=message.headers | {BUCKET_HEADER: bucket})
    await broker.set_aside(REJECTED, message=message)


async def list_rejected(broker: Broker) -> list[SetAside]:
    """Return what is set aside, oldest first, without the bodies that lie in S3."""
    # Until a first worker has started there is no such topic, and nothing in it.
    return await broker.rejected(REJECTED) if await broker.partition_counts([REJECTED]) else []


async def find_rejected(broker: Broker, settings: Settings, position: str) -> SetAside:
    """Return one message with its body.

    Raises:
        Missing: nothing with this position is set aside, or its body is gone.
        Unavailable: Kafka, or for a large body S3, does not answer.
    """
    message = next((each for each in await list_rejected(broker) if each.position == position), None)
    if message is None:
        raise Missing(f"a rejected message {position}")
    bucket = message.headers.get(BUCKET_HEADER)
    if bucket is None:
        return message
    async with open_storage(settings) as storage:
        return replace(message, body=await storage.get(bucket, PREFIX + position))


async def resend_rejected(broker: Broker, settings: Settings, position: str) -> None:
    """Publish a message again, then let it be set aside no longer.

    Raises:
        Missing: nothing with this position is set aside, or its body is gone.
        Unavailable: Kafka, or for a large body S3, does not answer.
    """
    message = await find_rejected(broker, settings, position)
    await broker.resend(REJECTED, message)
    if bucket := message.headers.get(BUCKET_HEADER):
        async with open_storage(settings) as storage:
            await storage.delete(bucket, PREFIX + position)
