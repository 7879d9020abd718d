"""The API on servers in memory, and a client that speaks to it without a network."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI

from api.dependencies import Services
from api.main import create_api
from api.outcomes import Outcomes
from api.readiness import Readiness
from api.sweeps import Sweeps
from app.clients.storage import Storage
from app.clients.video_outbox import VideoOutbox
from app.settings import Settings
from tests.support.fakes import Clock, MemoryDocuments, MemoryS3, SilentWaker


@dataclass
class Door:
    """The API, a client of it, and what stands behind it."""

    api: FastAPI
    client: httpx.AsyncClient
    services: Services
    sweeps: Sweeps
    s3: MemoryS3
    videos: MemoryDocuments
    commands: MemoryDocuments
    waker: SilentWaker
    clock: Clock

    async def accept(self, video_id: str) -> None:
        """Accept a video that an outbox worker has sent."""
        await self.services.outbox.accept(
            video_id=video_id, bucket="videos", object_name=f"input/{video_id}.mp4", input_owned=True
        )
        for claimed in await self.services.outbox.claims.take():
            await self.services.outbox.claims.mark_sent(claimed)

    async def put(self, name: str, data: bytes, **metadata: str) -> None:
        """Write an object as the pipeline would."""
        await self.services.storage.put(
            "videos", name, data, content_type="application/json", metadata=metadata
        )

    def set_away(self, *, mongo: bool = False, s3: bool = False) -> None:
        """Take servers away, or bring them back."""
        self.videos.is_away = self.commands.is_away = mongo
        self.s3.is_away = s3


@pytest.fixture
def settings() -> Settings:
    return Settings(buckets=("videos", "archive"), max_upload_bytes=1 << 20)


@pytest.fixture
async def door(settings: Settings, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Door]:
    caplog.set_level(logging.INFO)
    clock, s3, waker = Clock(), MemoryS3("videos", "archive"), SilentWaker()
    videos, commands = MemoryDocuments(), MemoryDocuments()
    storage = Storage(s3, "videos")
    outbox = VideoOutbox(videos=videos, commands=commands, lease=settings.outbox_lease, now=clock)

    async def ping_mongo() -> None:
        await videos.count({})

    services = Services(
        settings=settings,
        storage=storage,
        outbox=outbox,
        outcomes=Outcomes(storage, outbox),
        readiness=Readiness({"mongo": ping_mongo, "s3": storage.ping}),
        waker=waker,
    )

    @asynccontextmanager
    async def open_() -> AsyncIterator[Services]:
        yield services

    api = create_api(open_)
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    sweeps = Sweeps(storage, outbox, buckets=settings.buckets)
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield Door(api, client, services, sweeps, s3, videos, commands, waker, clock)
