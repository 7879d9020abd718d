"""Status and result: what a client wants to know."""

import base64
import binascii
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.answers import Failed, Operations, Ready, Waiting
from api.dependencies import Served, Services, Spoken
from api.problems import Invalid, UnknownVideo, documented
from app.clients.storage import ObjectFacts
from app.clients.video_outbox import Cursor, Video
from app.domain.documents import detection_object, failed_document, failed_object
from app.domain.sentences import Language, describe
from app.errors import Missing, Unavailable

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/api", tags=["results"])

PAGE: Final = 1000
"""Videos per answer, by the original contract; what is beyond is paged."""


class ObjectResponse(StreamingResponse):
    """An object of S3, byte for byte; the connection to S3 is given back at its end."""

    def __init__(self, facts: ObjectFacts, chunks: AsyncIterator[bytes], opened: AsyncExitStack) -> None:
        super().__init__(chunks, headers={"Content-Length": str(facts.size)}, media_type="application/json")
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the object."""
        async with self._opened:
            await super().__call__(scope, receive, send)


@router.get("/status/all", response_model=Operations, summary="All videos", responses=documented(422))
async def list_videos(
    services: Served,
    language: Spoken,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """List the videos, newest first, a thousand at a time."""
    after = _read_cursor(cursor) if cursor else None
    page = await services.outbox.newest(limit=limit, after=after)
    body: dict[str, Any] = {
        "operations": [_operation(video, language) for video in page.videos],
        "total": await services.outbox.total(),
    }
    if page.next is not None:
        body["next_cursor"] = _write_cursor(page.next)
    return Response(msgspec.json.encode(body), media_type="application/json")


@router.get(
    "/result_video/{event_id}",
    response_model=Ready | Waiting | Failed,
    summary="What was found in a video",
    responses=documented(404),
)
async def show_result(event_id: str, services: Served) -> Response:
    """Answer with the result as it lies in S3; before it is there, with how far the video is."""
    video = await services.outbox.get(event_id)
    if video is None:
        raise UnknownVideo(event_id)
    try:
        return await _result(video, services)
    except Missing:
        # Neither is there, or not yet, or it was deleted while we looked.
        if video.outcome == "failed" and video.error is not None:  # before it came to the pipeline
            return Response(failed_document(video.id, video.error), media_type="application/json")
        body = {"status": video.status, "event_id": video.id}
        return Response(msgspec.json.encode(body), media_type="application/json")


async def _result(video: Video, services: Services) -> Response:
    """Ask first whether it is there: that question is given up in time when S3 hangs, a read is not."""
    storage = services.storage
    if await storage.stat(video.bucket, detection_object(video.id)):
        return await _ready(video, services)
    if await storage.stat(video.bucket, failed_object(video.id)):
        return await _failed(video, services)
    raise Missing(video.id)


async def _ready(video: Video, services: Services) -> Response:
    async with AsyncExitStack() as stack:
        facts, chunks = await stack.enter_async_context(
            services.storage.stream(video.bucket, detection_object(video.id))
        )
        first = await anext(chunks, b"")  # while it can still be said that S3 does not answer
        await services.outcomes.note_ready(video, facts)
        return ObjectResponse(facts, _chained(first, chunks), stack.pop_all())


async def _failed(video: Video, services: Services) -> Response:
    name = failed_object(video.id)
    async with services.storage.stream(video.bucket, name) as (facts, chunks):
        body = b"".join([chunk async for chunk in chunks])
    await services.outcomes.note_failed(video, facts, body)
    return Response(body, media_type="application/json")


async def _chained(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    try:
        async for chunk in chunks:
            yield chunk
    except Unavailable:
        logger.warning("result broken off: S3 does not answer")  # the client sees that bytes are missing


def _operation(video: Video, language: Language) -> dict[str, str]:
    status = video.client_status
    reason = video.error.message if video.error else None
    return {
        "video_id": video.id,
        "status_code": status,
        "status_description": describe(status, language, reason=reason),
    }


def _write_cursor(cursor: Cursor) -> str:
    at, video_id = cursor
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{video_id}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> Cursor:
    try:
        at, _, video_id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition("|")
        when = datetime.fromisoformat(at)
    except (ValueError, binascii.Error) as error:
        raise Invalid("cursor", "is none that an answer has given") from error
    if when.tzinfo is None or not video_id:
        raise Invalid("cursor", "is none that an answer has given")
    return when, video_id
