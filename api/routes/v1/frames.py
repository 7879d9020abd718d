"""One frame of a video, with its boxes or without."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response

from api.access.keys import Reads
from api.codes import A_REASON
from api.dependencies import Served
from api.problems import Conflicting, UnknownVideo, documented
from app.domain.objects import (
    detection_object,
)
from app.domain.renderings import FrameAsked
from app.errors import Missing, Undecodable

router = APIRouter(prefix="/api/v1", tags=["media"])

JPEG: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The frame.",
        "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
    }
}

MOST: Final = 99_999_999
"""The largest number that a frame may have (`app.domain.messages`)."""


@router.get(
    "/videos/{video_id}/frames/{number}.jpg",
    response_class=Response,
    summary="One frame",
    responses=documented(401, 403, 404, 409, 422, codes=("not_ready", A_REASON)) | JPEG,
)
async def show_frame(
    video_id: str,
    number: Annotated[int, Path(ge=0, le=MOST, description="Its number in the video, counted from 0.")],
    services: Served,
    caller: Reads,
    *,
    boxes: Annotated[bool, Query(description="Whether what was found is drawn into it.")] = False,
) -> Response:
    """Get a frame as a JPEG, upright and at the size that the video has.

    With `boxes=1` it shows what was found in the last frame up to it that was looked at.
    """
    video = await services.outbox.get(video_id, owner=caller.sees)
    if video is None:
        raise UnknownVideo(video_id)
    if boxes and not await services.storage.stat(video.bucket, detection_object(video.id)):
        raise Conflicting("not_ready", "There is no result yet whose boxes could be drawn.")
    try:
        picture = await services.renderer.frame(
            FrameAsked(video.id, video.bucket, video.object, number, boxes)
        )
    except Undecodable as error:
        if error.code == "no_such_frame":
            raise Missing(f"The frame {number} of this video") from error
        raise Conflicting(error.code, error.reason) from error
    return Response(picture, HTTPStatus.OK, {"Content-Disposition": "inline"}, media_type="image/jpeg")
