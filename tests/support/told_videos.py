"""Videos of which somebody is told, brought to their end as the pipeline does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from standardwebhooks import Webhook

from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.s3.storage import Storage
from app.domain.objects import (
    OURS,
    detection_object,
)
from tests.support.local_receiver import WHSEC, LocalReceiver, Received

GIVEN = {"WEBHOOK_SECRET": WHSEC, "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1"}

WITHIN = 30.0
"""Seconds for a state to come about on a busy machine."""


async def wait_for(look: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever is looked for
    """Return what is looked for, as soon as it is there."""
    async with asyncio.timeout(WITHIN):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.05)


async def arrived(receiver: LocalReceiver, count: int = 1) -> list[Received]:
    """Return what a receiver got, as soon as it is so much."""
    return await receiver.wait_for(count, WITHIN)


async def accept(outbox: VideoOutbox, url: str | None, *, owner: str | None = None) -> str:
    """Accept a video that an outbox worker has sent."""
    video_id = str(uuid4())
    await outbox.accept(
        video_id=video_id,
        bucket="videos",
        object_name=f"input/{video_id}.mp4",
        input_owned=True,
        owner=owner,
        webhook=url,
    )
    await send_all(outbox)
    return video_id


async def send_all(outbox: VideoOutbox) -> None:
    """Do what the outbox worker does with everything that is new."""
    while some := await outbox.claims.take():
        for claimed in some:
            await outbox.claims.mark_sent(claimed)


async def finish(storage: Storage, video_id: str) -> None:
    """Write a result, as the pipeline does."""
    name = detection_object(video_id)
    await storage.put("videos", name, b'{"status":"ready"}', content_type="application/json", metadata=OURS)


def verify(received: Received, secret: str = WHSEC) -> dict[str, Any]:
    """Return a message whose signature is good."""
    message: dict[str, Any] = Webhook(secret).verify(received.body, received.headers)
    return message
