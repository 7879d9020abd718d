"""Status and result: what a client wants to know."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.access.keys import Reads
from api.cursors import LONGEST, read_cursor, write_cursor
from api.dependencies import Served, Services, Spoken
from api.openapi.answers import Failed, Operations, Ready, Waiting
from api.problems import UnknownVideo, documented
from api.transport.json_response import JsonResponse
from app.clients.main_db.video_outbox import Video
from app.clients.s3.storage import ObjectFacts
from app.domain.documents import failed_document
from app.domain.objects import (
    detection_object,
    failed_object,
)
from app.domain.sentences import CANCELLED, Language, describe
from app.errors import Missing, Unavailable

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/api", tags=["results"])

PAGE: Final = 1000
"""Videos per answer, by the original contract; what is beyond is paged."""


class _Superseded(Exception):
    """While we looked into S3 the video was cancelled, or tried again; what was seen there counts no more."""


class ObjectResponse(StreamingResponse):
    """An object of S3, byte for byte; the connection to S3 is given back at its end."""

    def __init__(self, facts: ObjectFacts, chunks: AsyncIterator[bytes], opened: AsyncExitStack) -> None:
        super().__init__(chunks, headers={"Content-Length": str(facts.size)}, media_type="application/json")
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the object."""
        async with self._opened:
            await super().__call__(scope, receive, send)


@router.get(
    "/status/all", response_model=Operations, summary="All videos", responses=documented(401, 403, 422)
)
async def list_videos(
    services: Served,
    caller: Reads,
    language: Spoken,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    cursor: Annotated[str | None, Query(max_length=LONGEST)] = None,
) -> Response:
    """List the videos, newest first, a thousand at a time; with a key, its own ones."""
    after = read_cursor(cursor) if cursor else None
    page = await services.outbox.newest(limit=limit, after=after, owner=caller.sees)
    body: dict[str, Any] = {
        "operations": [_operation(video, language) for video in page.videos],
        "total": await services.outbox.total(owner=caller.sees),
    }
    if page.next is not None:
        body["next_cursor"] = write_cursor(page.next)
    return JsonResponse(body)


@router.get(
    "/result_video/{event_id}",
    response_model=Ready | Waiting | Failed,
    summary="What was found in a video",
    responses=documented(401, 403, 404),
)
async def show_result(event_id: str, services: Served, caller: Reads) -> Response:
    """Answer with the result as it lies in S3; before it is there, with how far the video is."""
    video = await services.outbox.get(event_id, owner=caller.sees)
    if video is not None and video.outcome != "cancelled":  # of that the pipeline may not even have heard
        try:
            return await _result(video, services)
        except Missing:
            pass  # neither is there, or not yet, or it was deleted while we looked
        except _Superseded:
            video = await services.outbox.get(event_id, owner=caller.sees)
    if video is None:
        raise UnknownVideo(event_id)
    return _without_object(video)


async def _result(video: Video, services: Services) -> Response:
    """Ask first whether it is there: that question is given up in time when S3 hangs, a read is not."""
    if await services.outcomes.find(video, detection_object(video.id)):
        return await _ready(video, services)
    if await services.outcomes.find(video, failed_object(video.id)):
        return await _failed(video, services)
    raise Missing(video.id)


def _without_object(video: Video) -> Response:
    """Answer with what Mongo knows: how far the video is, or why it ended before the pipeline wrote that."""
    if video.outcome in ("failed", "cancelled") and video.error is not None:
        return JsonResponse(failed_document(video.id, video.error))
    return JsonResponse({"status": video.status, "event_id": video.id})


async def _ready(video: Video, services: Services) -> Response:
    async with AsyncExitStack() as stack:
        facts, chunks = await stack.enter_async_context(
            services.storage.stream(video.bucket, detection_object(video.id))
        )
        first = await anext(chunks, b"")  # while it can still be said that S3 does not answer
        if not await services.outcomes.note_ready(video, facts):
            raise _Superseded
        return ObjectResponse(facts, _chained(first, chunks, video.id), stack.pop_all())


async def _failed(video: Video, services: Services) -> Response:
    name = failed_object(video.id)
    async with services.storage.stream(video.bucket, name) as (facts, chunks):
        body = b"".join([chunk async for chunk in chunks])
    if not await services.outcomes.note_failed(video, facts, body):
        raise _Superseded
    return JsonResponse(body)


async def _chained(first: bytes, chunks: AsyncIterator[bytes], video_id: str) -> AsyncIterator[bytes]:
    yield first
    try:
        async for chunk in chunks:
            yield chunk
    except Unavailable:
        # The client sees that bytes are missing.
        logger.warning("result broken off: S3 does not answer", extra={"video_id": video_id})


def _operation(video: Video, language: Language) -> dict[str, str]:
    status = video.client_status
    reason = video.error.message if video.error else None
    if video.outcome == "cancelled":
        reason = CANCELLED[language]
    return {
        "video_id": video.id,
        "status_code": status,
        "status_description": describe(status, language, reason=reason),
    }
