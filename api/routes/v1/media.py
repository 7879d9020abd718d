"""A video as it was uploaded."""

import re
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access.keys import Reads
from api.dependencies import Served
from api.problems import UnknownVideo, documented
from api.transport.objects import answer_with
from app.domain.filenames import content_disposition
from app.errors import Missing

router = APIRouter(prefix="/api/v1", tags=["media"])

VIDEO: Final = re.compile(r"video/[\w.+-]{1,60}", re.ASCII)

BYTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The whole file.",
        "content": {"video/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {
        "description": "The bytes that `Range` asks for.",
        "content": {"video/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "It is still what `If-None-Match` or `If-Modified-Since` names."},
}
"""What a call answers that gives a video, for the OpenAPI document."""


@router.head("/videos/{video_id}/media", include_in_schema=False)
@router.get(
    "/videos/{video_id}/media",
    response_class=Response,
    summary="The video itself",
    responses=documented(401, 403, 404, 412, 416) | BYTES,
)
async def show_media(video_id: str, request: Request, services: Served, caller: Reads) -> Response:
    """Get the video as it was uploaded, whole or a range of its bytes (RFC 9110), to play or to save it."""
    video = await services.outbox.get(video_id, owner=caller.sees)
    if video is None:
        raise UnknownVideo(video_id)
    facts = await services.storage.stat(video.bucket, video.object)
    if facts is None:
        raise Missing("The video's file")
    is_video = VIDEO.fullmatch(facts.content_type)
    return await answer_with(
        request,
        services.storage,
        video.bucket,
        facts,
        media_type=facts.content_type if is_video else "application/octet-stream",
        disposition=content_disposition(video.filename, "inline" if is_video else "attachment"),
    )
