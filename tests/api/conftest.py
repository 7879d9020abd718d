"""The API on servers in memory and a client of it without a network; and clients of the real servers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.access.key_ring import KeyRing
from api.dependencies import Services
from api.intake.room import Room
from api.lifecycle.looks import Looks
from api.lifecycle.outcomes import Outcomes
from api.lifecycle.sweeps import Sweeps
from api.lifecycle.watches import Watches
from api.main import create_api
from api.readiness import Readiness
from api.results.derived import Derivations
from api.results.streamed import EXPORTS_AT_ONCE
from api.transport.pace import Places
from app.clients.main_db.api_keys import ApiKeys
from app.clients.main_db.direct_uploads import DirectUploads
from app.clients.main_db.idempotency import IdempotencyKeys
from app.clients.main_db.key_usage import KeyUsage
from app.clients.main_db.sessions import Sessions
from app.clients.main_db.video_outbox import VideoOutbox, video_outbox
from app.clients.main_db.webhook_deliveries import WebhookDeliveries
from app.clients.mongo import Mongo, open_mongo
from app.clients.s3.presigned import presigner
from app.clients.s3.storage import Storage, open_storage
from app.settings import Settings
from tests.support.clock import Clock
from tests.support.local_receiver import WHSEC
from tests.support.memory_mongo import MemoryDocuments
from tests.support.memory_s3 import MemoryS3
from tests.support.still_services import MemoryRunner, SilentWaker, StillRenderer
from tests.support.told_errors import check_error


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
    keys: ApiKeys
    runner: MemoryRunner
    stopping: asyncio.Event
    renderer: StillRenderer

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
async def mongo(servers: Settings) -> AsyncIterator[Mongo]:
    """The session's MongoDB."""
    async with open_mongo(servers.mongo_uri) as opened:
        yield opened


@pytest.fixture
async def storage(servers: Settings) -> AsyncIterator[Storage]:
    """The session's S3 server."""
    async with open_storage(servers) as opened:
        yield opened


@pytest.fixture
def outbox(mongo: Mongo, servers: Settings) -> VideoOutbox:
    """The outbox in the session's MongoDB."""
    return video_outbox(mongo, servers)


@pytest.fixture
def settings() -> Settings:
    return Settings(
        buckets=("videos", "archive"),
        max_upload_bytes=1 << 20,
        allowed_hosts=("api", "127.0.0.1", "[::1]", "localhost"),
        api_published="127.0.0.1",
        webhook_secret=SecretStr(WHSEC),
    )


@pytest.fixture
async def door(settings: Settings, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Door]:
    caplog.set_level(logging.INFO)
    clock, s3, waker = Clock(), MemoryS3("videos", "archive"), SilentWaker()
    renderer = StillRenderer()
    videos, commands = MemoryDocuments(), MemoryDocuments()
    storage = Storage(s3, "videos")
    outbox = VideoOutbox(videos=videos, commands=commands, lease=settings.outbox_lease, now=clock)

    async def ping_mongo() -> None:
        await videos.count({})

    keys = ApiKeys(MemoryDocuments(), now=clock)
    outcomes, runner, stopping = Outcomes(storage, outbox), MemoryRunner(), asyncio.Event()
    looks = Looks(outbox, outcomes, runner)
    derivations = Derivations(storage, outbox)
    services = Services(
        settings=settings,
        storage=storage,
        outbox=outbox,
        outcomes=outcomes,
        readiness=Readiness({"mongo": ping_mongo, "s3": storage.ping}),
        waker=waker,
        places=Places(settings.max_uploads),
        keys=KeyRing(keys),
        usage=KeyUsage(MemoryDocuments(), outbox, now=clock),
        direct=DirectUploads(MemoryDocuments(), now=clock),
        presigner=presigner(settings),
        looks=looks,
        watches=Watches(looks, stopping),
        deliveries=WebhookDeliveries(MemoryDocuments(), now=clock),
        idempotency=IdempotencyKeys(MemoryDocuments(), now=clock),
        derivations=derivations,
        export_places=Places(EXPORTS_AT_ONCE, "exports"),
        renderer=renderer,
        room=Room(settings.data_dir, least=settings.min_free_bytes),
        sessions=Sessions(MemoryDocuments(), now=clock),
    )

    @asynccontextmanager
    async def open_() -> AsyncIterator[Services]:
        yield services

    api = create_api(open_)
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    hooks = {"response": [check_error]}
    sweeps = Sweeps(storage, outbox, buckets=settings.buckets, deliveries=services.deliveries)
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=transport, base_url="http://api", event_hooks=hooks) as client,
    ):
        yield Door(
            *(api, client, services, sweeps, s3, videos, commands, waker, clock, keys),
            *(runner, stopping, renderer),
        )
    await derivations.finish()
