"""The FastAPI object `api`, and what it opens and runs: `uvicorn api.main:api --port 8080`."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.background import running, until_done
from api.dependencies import Services
from api.outcomes import Outcomes
from api.problems import problem
from api.readiness import Readiness
from api.routes import health, results, videos
from api.sweeps import Sweeps
from app.clients.mongo import open_mongo
from app.clients.storage import open_storage
from app.clients.video_outbox import video_outbox
from app.clients.wake import open_waker
from app.logs import describe_settings, set_up_logs
from app.settings import Settings, load_settings

logger = logging.getLogger(__name__)

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]

EVERY_SECOND: Final = timedelta(seconds=1)
EVERY_FEW_SECONDS: Final = timedelta(seconds=5)
"""Deletions are to be complete within a minute; one listing in five seconds costs nothing."""

EVERY_MINUTE: Final = timedelta(minutes=1)
"""Indexes and buckets are made sure of that often, because a server may come back without them."""

EVERY_HOUR: Final = timedelta(hours=1)

DESCRIPTION: Final = """
Finds objects in stored videos: upload a video, get back which objects are in it, where and in which frame.
Every error is a problem detail (RFC 9457) of media type `application/problem+json`.
"""

TAGS: Final = [
    {"name": "videos", "description": "What is to be done: upload, request, delete."},
    {"name": "results", "description": "What came of it."},
    {"name": "health", "description": "Whether the service lives and whether it can work."},
]


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Yield the clients, and run beside them what the API does without being asked."""
    async with AsyncExitStack() as stack:
        mongo = await stack.enter_async_context(open_mongo(settings.mongo_uri))
        storage = await stack.enter_async_context(open_storage(settings))
        waker = await stack.enter_async_context(open_waker(settings.outbox_url))
        outbox = video_outbox(mongo, settings)
        outcomes = Outcomes(storage, outbox)
        sweeps = Sweeps(storage, outbox, buckets=settings.buckets)
        readiness = Readiness({"mongo": mongo.ping, "s3": storage.ping})

        async def prepare() -> None:
            await until_done(outbox.prepare, pause=EVERY_SECOND)
            await until_done(lambda: storage.ensure_buckets(settings.buckets), pause=EVERY_SECOND)

        jobs = (
            (EVERY_MINUTE, prepare),
            (EVERY_SECOND, readiness.refresh),
            (EVERY_SECOND, outcomes.look_at_some),
            (EVERY_FEW_SECONDS, sweeps.forget_deleted),
            (EVERY_HOUR, sweeps.remove_orphans),
        )
        async with running(*jobs):
            yield Services(settings, storage, outbox, outcomes, readiness, waker)


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

    api = FastAPI(
        title="Kadr",
        version=health.VERSION,
        summary="Objects in stored videos",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    problems.install(api)
    for routes in (videos, results, health):
        api.include_router(routes.router)
    api.add_middleware(_BodyLimit)
    api.add_middleware(_SecurityHeaders)
    return api


class _BodyLimit:
    """Refuses a large body where none is due.

    Starlette would refuse it as well, in plain text; this answer is a problem like every other.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._next = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", []))
        size = headers.get(b"content-length", b"")
        if size.isdigit() and int(size) > videos.MAX_REQUEST and scope["path"] != videos.UPLOAD_PATH:
            refusal = problem(413, code="too_large", detail=f"More than {videos.MAX_REQUEST} bytes.")
            await refusal(scope, receive, send)
            return
        await self._next(scope, receive, send)


class _SecurityHeaders:
    """Adds to every answer what keeps a browser from guessing."""

    HEADERS: Final = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]

    def __init__(self, app: ASGIApp) -> None:
        self._next = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self.HEADERS]
            await send(message)

        await self._next(scope, receive, send_more)


@asynccontextmanager
async def _open_from_environment() -> AsyncIterator[Services]:
    settings = load_settings()
    set_up_logs("api", settings)
    describe_settings("api", settings)
    async with open_services(settings) as services:
        yield services


api = create_api(_open_from_environment)
