"""Upload, request, delete: what a client wants done."""

import logging
from contextlib import suppress
from typing import Final
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Request, Response

from api.answers import Accepted, Cleaned, Requested
from api.dependencies import Served, Services
from api.problems import UnknownVideo, documented
from api.upload import FRAMING, Form, check_bucket, receive_video
from app.clients.storage import TooLarge
from app.errors import Conflict, Missing
from app.failpoints import failpoint

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/api", tags=["videos"])

DEFAULT_BUCKET: Final = "videos"

UPLOAD_PATH: Final = "/api/upload_video"

MAX_REQUEST: Final = 64 << 10
"""Bytes of a request in JSON: an object's name has at most 1,024."""

_FORM: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The video."},
                        "bucket": {"type": "string", "default": DEFAULT_BUCKET},
                    },
                }
            }
        },
    }
}


@router.post(
    "/upload_video",
    response_model=Accepted,
    summary="Upload a video",
    responses=documented(408, 413, 422),
    openapi_extra=_FORM,
)
async def upload_video(request: Request, services: Served) -> Response:
    """Store a video and have it looked at. The answer comes when both are durable."""
    settings = services.settings
    size = request.headers.get("content-length", "")
    if size.isdecimal() and int(size) > settings.max_upload_bytes + FRAMING:
        raise TooLarge(settings.max_upload_bytes)
    video_id = str(uuid4())
    form = Form(request.headers.get("content-type", ""), request.stream())
    buckets = settings.buckets
    await services.readiness.require()  # before a body is read that could not be kept
    uploaded = await receive_video(
        form,
        video_id=video_id,
        storage=services.storage,
        buckets=buckets,
        default=DEFAULT_BUCKET if DEFAULT_BUCKET in buckets else buckets[0],
        limit=settings.max_upload_bytes,
    )
    failpoint("upload.stored", video_id)
    # When Mongo does not answer, the document may be there all the same: so the object stays. If it is not,
    # a sweep removes the object a day later.
    with suppress(Conflict):  # the id is new: the driver has repeated an insert that Mongo had done
        await services.outbox.accept(
            video_id=video_id,
            bucket=uploaded.bucket,
            object_name=uploaded.object,
            input_owned=True,
            filename=uploaded.filename,
        )
    failpoint("upload.accepted", video_id)
    return _accepted(services, video_id)


@router.post(
    "/request",
    response_model=Accepted,
    summary="Ask for a stored video",
    responses=documented(404, 413, 422),
    max_body_size=MAX_REQUEST,
)
async def request_video(requested: Requested, services: Served) -> Response:
    """Have a video looked at that is in the object storage already. Its object is never deleted."""
    check_bucket(requested.bucket, services.settings.buckets)
    if await services.storage.stat(requested.bucket, requested.object) is None:
        raise Missing(f"{requested.bucket}/{requested.object}")
    video_id = str(uuid4())
    with suppress(Conflict):  # as above
        await services.outbox.accept(
            video_id=video_id,
            bucket=requested.bucket,
            object_name=requested.object,
            input_owned=False,
            media_type=requested.media_type,
        )
    return _accepted(services, video_id)


@router.delete("/cleanup/all", response_model=Cleaned, summary="Delete everything", responses=documented())
async def clean_up(services: Served) -> Response:
    """Forget every video. Uploads and results are gone a little later; objects of others stay."""
    deleted = await services.outbox.delete_all()
    services.waker.wake()
    logger.info("everything deleted", extra={"deleted": deleted})
    return _json({"status": "ok", "deleted": deleted})


@router.delete(
    "/v1/videos/{video_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a video",
    responses=documented(404),
)
async def delete_video(video_id: str, services: Served) -> Response:
    """Forget a video, however far it is. Its upload and its result are gone a little later.

    An object that was in the object storage before Kadr was asked for it stays.
    """
    if not await services.outbox.delete_one(video_id):
        raise UnknownVideo(video_id)
    services.waker.wake()
    logger.info("video deleted", extra={"video_id": video_id})
    return Response(status_code=204)


def _accepted(services: Services, video_id: str) -> Response:
    services.waker.wake()
    logger.info("video state changed", extra={"video_id": video_id, "state": "new"})
    return _json({"status": "ok", "event_id": video_id})


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
