"""An outbox for tests, in memory or on the real server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import uuid4

from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.mongo import Documents, open_mongo
from app.settings import Settings
from tests.support.clock import Clock
from tests.support.memory_mongo import MemoryDocuments

LEASE: Final = timedelta(seconds=60)


@dataclass
class KeptOutbox:
    """An outbox, its collections and its clock."""

    outbox: VideoOutbox
    videos: Documents
    commands: Documents
    clock: Clock


@asynccontextmanager
async def open_outbox(servers: Settings | None) -> AsyncIterator[KeptOutbox]:
    """Yield an empty outbox: on the real server where there is one, else in memory."""
    if servers is None:
        yield _on(MemoryDocuments(), MemoryDocuments())
        return
    async with open_mongo(servers.mongo_uri) as mongo:
        name = uuid4().hex
        kept = _on(*(mongo.collection("kadr_test", f"{name}-{part}") for part in ("videos", "commands")))
        await kept.outbox.prepare()
        yield kept


def _on(videos: Documents, commands: Documents) -> KeptOutbox:
    clock = Clock()
    outbox = VideoOutbox(videos=videos, commands=commands, lease=LEASE, now=clock)
    return KeptOutbox(outbox, videos, commands, clock)
