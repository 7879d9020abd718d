"""The FastAPI object `api`, and what it opens and runs: `uvicorn api.main:api --port 8080`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from fastapi import FastAPI
from starlette.datastructures import Headers

from api import problems
from api.access import keys
from api.access.guards import Guard
from api.access.key_ring import KeyRing
from api.access.keys import KeyCheck
from api.background import running, until_done
from api.dependencies import Services
from api.headers import SecurityHeaders
from api.intake import direct, idempotency
from api.intake.room import Room
from api.lifecycle.cancellations import Cancellations
from api.lifecycle.looks import Looks
from api.lifecycle.outcomes import Outcomes
from api.lifecycle.retention import Retention
from api.lifecycle.sweeps import Sweeps
from api.lifecycle.watches import Watches
from api.measures import Measures
from api.openapi.description import DESCRIPTION, TAGS, Described
from api.readiness import Readiness
from api.results import ready
from api.results.derived import open_derivations
from api.results.streamed import EXPORTS_AT_ONCE
from api.routes import health, metrics, page, reference, results, uploads, videos
from api.routes.v1 import (
    actions,
    detections,
    events,
    frames,
    listing,
    media,
    renderings,
    session,
    summary,
    tracks,
    webhooks,
)
from api.routes.v1 import videos as v1_videos
from api.stopping import stop_heard
from api.transport.bodies import BodyBounds
from api.transport.pace import Places
from api.webhooks.courier import Courier, ending
from app.clients.http.receivers import open_receivers
from app.clients.http.renderer import open_renderer
from app.clients.http.runner_progress import open_runner_answers
from app.clients.http.wake import open_waker
from app.clients.main_db.api_keys import api_keys
from app.clients.main_db.direct_uploads import direct_uploads
from app.clients.main_db.idempotency import idempotency_keys
from app.clients.main_db.key_usage import key_usage
from app.clients.main_db.sessions import sessions
from app.clients.main_db.video_outbox import VideoOutbox, video_outbox
from app.clients.main_db.webhook_deliveries import WebhookDeliveries, webhook_deliveries
from app.clients.mongo import open_mongo
from app.clients.s3.presigned import presigner
from app.clients.s3.storage import open_storage
from app.domain.receivers import Reach
from app.domain.webhooks import Signer
from app.logs import describe_settings, set_up_logs
from app.settings import Settings, load_settings
from app.telemetry.exposition import Exposition
from app.telemetry.metrics import UPLOADS_OPEN
from app.telemetry.tracing import start_tracing, stop_tracing

logger = logging.getLogger(__name__)

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]

EVERY_SECOND: Final = timedelta(seconds=1)
EVERY_FEW_SECONDS: Final = timedelta(seconds=5)
"""Deletions are to be complete within a minute; one listing in five seconds costs nothing. And nobody
waits for the word that a cancelled video is at rest."""

EVERY_MINUTE: Final = timedelta(minutes=1)
"""Indexes and buckets are made sure of that often, because a server may come back without them."""

EVERY_HOUR: Final = timedelta(hours=1)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Yield the clients, and run beside them what the API does without being asked."""
    async with AsyncExitStack() as stack:
        mongo = await stack.enter_async_context(open_mongo(settings.mongo_uri))
        storage = await stack.enter_async_context(open_storage(settings))
        waker = await stack.enter_async_context(open_waker(settings.outbox_url))
        runner = await stack.enter_async_context(open_runner_answers(settings.runner_url))
        stopping = stack.enter_context(stop_heard())
        renderer = await stack.enter_async_context(open_renderer(settings))
        outbox = video_outbox(mongo, settings)
        derivations = await stack.enter_async_context(open_derivations(storage, outbox))
        begun = direct_uploads(mongo)
        used_keys = idempotency_keys(mongo)
        signed_in = sessions(mongo)
        outcomes = Outcomes(storage, outbox)
        looks = Looks(outbox, outcomes, runner)
        deliveries = webhook_deliveries(mongo)
        sweeps = Sweeps(storage, outbox, buckets=settings.buckets, deliveries=deliveries)
        readiness = Readiness({"mongo": mongo.ping, "s3": storage.ping})
        room = Room(settings.data_dir, least=settings.min_free_bytes)

        async def prepare() -> None:
            await until_done(outbox.prepare, pause=EVERY_SECOND)
            await until_done(begun.prepare, pause=EVERY_SECOND)
            await until_done(deliveries.prepare, pause=EVERY_SECOND)
            await until_done(used_keys.prepare, pause=EVERY_SECOND)
            await until_done(signed_in.prepare, pause=EVERY_SECOND)
            await until_done(lambda: storage.ensure_buckets(settings.buckets), pause=EVERY_SECOND)

        async def expire() -> None:
            await direct.expire(direct=begun, outbox=outbox, storage=storage)

        courier = await stack.enter_async_context(_open_courier(settings, outbox, deliveries))
        jobs = [
            (EVERY_MINUTE, prepare),
            (EVERY_SECOND, readiness.keep_fresh),
            (EVERY_SECOND, room.refresh),
            (EVERY_SECOND, outcomes.look_at_some),
            (EVERY_FEW_SECONDS, Cancellations(outcomes, outbox).look_at_some),
            (EVERY_FEW_SECONDS, sweeps.forget_deleted),
            (EVERY_MINUTE, expire),
            (EVERY_HOUR, sweeps.remove_orphans),
            (EVERY_HOUR, used_keys.forget_expired),
            (EVERY_HOUR, signed_in.forget_expired),
        ]
        if settings.retention_days:
            keep = timedelta(days=settings.retention_days)
            retention = Retention(outbox.retirements, deliveries, waker, keep=keep, now=deliveries.now)
            jobs.append((EVERY_MINUTE, retention.retire_some))
        if settings.webhook_secrets:
            jobs.append((EVERY_SECOND, courier.go_round))
        places = Places(settings.max_uploads)
        UPLOADS_OPEN.set_function(lambda: places.under_way)
        async with running(*jobs):
            yield Services(
                settings,
                storage,
                outbox,
                outcomes,
                readiness,
                waker,
                places,
                KeyRing(api_keys(mongo)),
                key_usage(mongo, outbox),
                begun,
                presigner(settings),
                looks,
                Watches(looks, stopping),
                deliveries,
                used_keys,
                derivations,
                Places(EXPORTS_AT_ONCE, "exports"),
                renderer,
                room,
                signed_in,
            )


@asynccontextmanager
async def _open_courier(
    settings: Settings, outbox: VideoOutbox, deliveries: WebhookDeliveries
) -> AsyncIterator[Courier]:
    async with open_receivers(Reach(settings.webhook_allowed_hosts)) as receivers:
        signer = Signer(settings.webhook_secrets)
        courier = Courier(outbox=outbox, deliveries=deliveries, receivers=receivers, signer=signer)
        async with ending(courier):
            yield courier


def create_api(open_: OpenServices) -> FastAPI:
    """Return the API.

    Args:
        open_: opens what the requests use, for as long as the API runs.
    """

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        async with open_() as services:
            api.state.services = services
            yield

    api = Described(
        title="Kadr",
        version=health.VERSION,
        summary="Objects in stored videos",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # `reference` takes their place
        redoc_url=None,
    )
    problems.install(api)
    keys.install(api)
    ready.install(api)
    uploads.install(api)
    actions.install(api)
    webhooks.install(api)
    idempotency.install(api)
    for routes in (
        *(videos, uploads, results),
        *(v1_videos, listing, events, actions, webhooks),
        *(detections, summary, tracks),
        *(media, frames, renderings),
        *(session, health, metrics, reference, page),
    ):
        api.include_router(routes.router)
    # The last one is the first that a request meets.
    api.add_middleware(BodyBounds, except_for=_reads_by_itself)
    api.add_middleware(KeyCheck)
    api.add_middleware(Guard, is_keyless=keys.is_keyless)
    api.add_middleware(SecurityHeaders)
    api.add_middleware(Measures)
    api.state.exposition = Exposition("api")
    return api


def _reads_by_itself(method: str, path: str, headers: Headers) -> bool:
    return any(each.reads_by_itself(method, path, headers) for each in (videos, v1_videos))


@asynccontextmanager
async def _open_from_environment() -> AsyncIterator[Services]:
    settings = load_settings()
    set_up_logs("api", settings)
    describe_settings("api", settings)
    keys.describe_rule(settings)
    start_tracing("api", settings.otel_exporter_otlp_endpoint)
    try:
        async with open_services(settings) as services:
            yield services
    finally:
        await asyncio.to_thread(stop_tracing)


api = create_api(_open_from_environment)
