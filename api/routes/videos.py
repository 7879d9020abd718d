"""Upload, request, delete everything: what a client wants done, in the words of the first version."""

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from api.access.keys import Administers, Submits
from api.dependencies import Served, Services
from api.intake.admission import NewVideo, admit, announce, drop
from api.intake.drafts import find_stored, new_upload
from api.intake.forms import Bounds, Form
from api.intake.incoming import Incoming
from api.intake.options import VideoOptions
from api.intake.orders import Order, Pair
from api.intake.sent import FileInForm, SentFile
from api.intake.upload import DEFAULT_BUCKET
from api.openapi.answers import Accepted, Cleaned, Requested
from api.problems import Invalid, documented
from api.transport.json_response import JsonResponse
from app.clients.main_db.key_usage import OverQuota
from app.failpoints import failpoint

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/api", tags=["videos"])

UPLOAD_PATH: Final = "/api/upload_video"

BOUNDS: Final = Bounds(field=1024, parts=20)
"""We know two parts, and a bucket's name has at most 63 bytes."""

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


def reads_by_itself(method: str, path: str, _: Headers) -> bool:
    """Return whether the body of such a request is read here as it comes."""
    return (method, path) == ("POST", UPLOAD_PATH)


@router.post(
    "/upload_video",
    response_model=Accepted,
    summary="Upload a video",
    responses=documented(401, 403, 422, 429, 507),
    openapi_extra=_FORM,
)
async def upload_video(request: Request, services: Served, caller: Submits) -> Response:
    """Store a video and have it looked at. The answer comes when both are durable."""
    content_type = request.headers.get("content-type", "")

    def open_file(body: AsyncIterator[bytes], limit: int) -> SentFile:
        form = Form(content_type, body, limit=limit, bounds=BOUNDS)
        return FileInForm(form, known={"bucket"})

    incoming = Incoming(request, services, open_file=open_file, read=_read_bucket)
    video_id = str(uuid4())
    new = new_upload(video_id, await incoming.keep(caller, video_id, is_digested=False), caller)
    try:
        await admit(services, caller, new)
    except OverQuota:
        await drop(services, new.bucket, new.object)
        raise
    failpoint("upload.accepted", video_id)
    return _accepted(services, video_id)


@router.post(
    "/request",
    response_model=Accepted,
    summary="Ask for a stored video",
    responses=documented(401, 403, 404, 422, 429),
)
async def request_video(requested: Requested, services: Served, caller: Submits) -> Response:
    """Have a video looked at that is in the object storage already. Its object is never deleted."""
    await find_stored(services, caller, requested.bucket, requested.object)
    new = NewVideo(
        str(uuid4()),
        requested.bucket,
        requested.object,
        size=0,
        input_owned=False,
        owner=caller.id,
        media_type=requested.media_type,
    )
    await admit(services, caller, new)
    return _accepted(services, new.video_id)


@router.delete(
    "/cleanup/all", response_model=Cleaned, summary="Delete everything", responses=documented(401, 403)
)
async def clean_up(services: Served, _caller: Administers) -> Response:
    """Forget every video, whoever it belongs to.

    Uploads and results are gone a little later; objects of others stay.
    """
    deleted = await services.outbox.delete_all()
    services.waker.wake()
    logger.info("everything deleted", extra={"deleted": deleted})
    return JsonResponse({"status": "ok", "deleted": deleted})


def _read_bucket(pairs: Sequence[Pair]) -> Order:
    buckets = [text for name, text in pairs if name == "bucket"]
    if len(buckets) > 1:
        raise Invalid("bucket", "is there twice")
    return Order(buckets[0] if buckets else None, VideoOptions())


def _accepted(services: Services, video_id: str) -> Response:
    announce(services, video_id)
    return JsonResponse({"status": "ok", "event_id": video_id})
