"""Videos that are made of a video when somebody asks for them."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.access.keys import Reads
from api.codes import A_REASON
from api.dependencies import Served, Services
from api.problems import Conflicting, UnknownVideo, documented
from api.routes.v1.media import BYTES
from api.transport.json_response import JsonResponse
from api.transport.objects import answer_with
from app.clients.main_db.video_outbox import Video
from app.domain.filenames import content_disposition
from app.domain.objects import (
    detection_object,
)
from app.domain.renderings import (
    MEDIA_TYPE,
    RenderingAsked,
    RenderingKind,
    RenderingState,
    read_state,
    rendering_object,
    state_object,
)
from app.errors import Missing

router = APIRouter(prefix="/api/v1", tags=["media"])

MAKING_RETRY_AFTER: Final = "2"
"""Seconds; a short clip is made in that."""


class BeingMade(BaseModel):
    """The video is not there yet; ask again after the seconds that `Retry-After` says."""

    status: Literal["queued", "making"]
    frames_done: int = Field(examples=[120], description="Frames that are made.")
    frames_total: int | None = Field(examples=[1500], description="How many there are, if that is known.")


MADE: Final[dict[int | str, dict[str, Any]]] = BYTES | {
    202: {"model": BeingMade, "description": "It is being made: ask again."}
}


@router.head("/videos/{video_id}/annotated.mp4", include_in_schema=False)
@router.get(
    "/videos/{video_id}/annotated.mp4",
    response_class=Response,
    summary="The video with its boxes",
    responses=documented(401, 403, 404, 409, 412, 416, codes=("not_ready", A_REASON)) | MADE,
)
async def show_annotated(video_id: str, request: Request, services: Served, caller: Reads) -> Response:
    """Get the video with what was found drawn into it, as H.264 without sound.

    Each frame that was looked at shows its boxes until the next one; the times of the frames are those of
    the video. Made when it is first asked for: 202 with `Retry-After` until it is there, then as `media`.
    """
    return await _show(video_id, "annotated", request, services, caller)


@router.head("/videos/{video_id}/preview.mp4", include_in_schema=False)
@router.get(
    "/videos/{video_id}/preview.mp4",
    response_class=Response,
    summary="A small video that every browser plays",
    responses=documented(401, 403, 404, 409, 412, 416, codes=(A_REASON,)) | MADE,
)
async def show_preview(video_id: str, request: Request, services: Served, caller: Reads) -> Response:
    """Get the video as H.264 without sound, at most 1280 pixels long.

    Made when it is first asked for: 202 with `Retry-After` until it is there, then as `media`.
    """
    return await _show(video_id, "preview", request, services, caller)


async def _show(
    video_id: str, kind: RenderingKind, request: Request, services: Services, caller: Reads
) -> Response:
    video = await services.outbox.get(video_id, owner=caller.sees)
    if video is None:
        raise UnknownVideo(video_id)
    facts = await services.storage.stat(video.bucket, rendering_object(video.id, kind))
    if facts is not None:
        return await answer_with(
            request,
            services.storage,
            video.bucket,
            facts,
            media_type=MEDIA_TYPE,
            disposition=content_disposition(_filename(video, kind), "inline"),
        )
    state = await _noted(video, kind, services) or await _ask(video, kind, services)
    if state.error is not None:
        raise Conflicting(state.error.code, state.error.message)
    return _being_made(state, request.url.path)


async def _noted(video: Video, kind: RenderingKind, services: Services) -> RenderingState | None:
    """Return what S3 says of a rendering that is not there, as long as it holds."""
    try:
        body = await services.storage.get(video.bucket, state_object(video.id, kind))
    except Missing:
        return None
    state = read_state(body)
    return state if state and state.holds(datetime.now(UTC)) else None


async def _ask(video: Video, kind: RenderingKind, services: Services) -> RenderingState:
    if kind == "annotated" and not await services.storage.stat(video.bucket, detection_object(video.id)):
        raise Conflicting("not_ready", "There is no result yet whose boxes could be drawn.")
    asked = RenderingAsked(video.id, kind, video.bucket, video.object)
    return await services.renderer.rendering(asked)


def _being_made(state: RenderingState, path: str) -> Response:
    body = {
        "status": state.state,
        "frames_done": state.frames_done,
        "frames_total": state.frames_total,
    }
    headers = {"Retry-After": MAKING_RETRY_AFTER, "Location": path}
    return JsonResponse(body, HTTPStatus.ACCEPTED, headers)


def _filename(video: Video, kind: RenderingKind) -> str:
    name = (video.filename or video.id).rpartition(".")
    return f"{name[0] or name[2]}.{kind}.mp4"
