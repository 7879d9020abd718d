"""Submit a video, and delete one."""

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from api.access.keys import Caller, Deletes, Submits
from api.dependencies import Served, Services
from api.intake.drafts import SentVideo, StoredVideo, Submission
from api.intake.forms import Bounds, Form
from api.intake.idempotency import REPLAYED, GivenKey, read_key
from api.intake.incoming import Incoming, is_form, is_video, media_type
from api.intake.options import MOST_CLASSES, MOST_TAGS
from api.intake.orders import Order, Pair, VideoRequest, read_pairs, read_request
from api.intake.sent import Announced, FileAsBody, FileInForm, SentFile
from api.intake.submissions import submit
from api.intake.webhook_url import check_receiver
from api.lifecycle.video_answers import ListedVideo, listed
from api.problems import Invalid, UnknownVideo, documented
from api.routes.v1.submitting import BODY, PARAMETERS
from api.transport.json_response import JsonResponse
from app.domain.filenames import read_content_disposition

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/api/v1", tags=["videos"])

PATH: Final = "/api/v1/videos"

BOUNDS: Final = Bounds(field=4096, parts=MOST_CLASSES + MOST_TAGS + 20)
"""An address has at most 2,048 characters; each class and each tag is a part, and there are some others."""

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "description": "The video is stored and recorded; both are durable.",
        "headers": {
            "Location": {"description": "Where to ask for it.", "schema": {"type": "string"}},
            REPLAYED: {
                "description": "`true` where an earlier request with this key had submitted it.",
                "schema": {"type": "string"},
            },
        },
    },
    **documented(
        *(401, 403, 404, 409, 415, 422, 429, 507),
        codes=("idempotency_in_progress", "idempotency_key_reused", "video_deleted"),
    ),
}


def reads_by_itself(method: str, path: str, headers: Headers) -> bool:
    """Return whether the body of such a request is read here as it comes."""
    return (method, path) == ("POST", PATH) and (is_form(headers) or is_video(headers))


@router.post(
    "/videos",
    status_code=202,
    response_model=ListedVideo,
    summary="Submit a video",
    responses=_ANSWERS,
    openapi_extra={"requestBody": BODY, "parameters": PARAMETERS},
)
async def submit_video(
    request: Request, services: Served, caller: Submits, _key: GivenKey = None
) -> Response:
    """Have a video looked at: one that is sent, in a form or as the body, or one that is stored already.

    Options stand in the query, in the form before or after the file, or in the JSON. With an
    `Idempotency-Key` the call may be repeated until an answer comes.
    """
    key = read_key(request.headers)
    wanted = await _submission(request, services, caller, is_digested=key is not None)
    submitted = await submit(services, caller, wanted, key=key)
    headers = {"Location": f"{PATH}/{submitted.video.id}"}
    if submitted.is_replayed:
        headers[REPLAYED] = "true"
    return JsonResponse(listed(submitted.video), 202, headers)


@router.delete(
    "/videos/{video_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a video",
    responses=documented(401, 403, 404),
)
async def delete_video(video_id: str, services: Served, caller: Deletes) -> Response:
    """Forget a video, however far it is. Its upload and its result are gone a little later.

    An object that was in the object storage before Kadr was asked for it stays.
    """
    if not await services.outbox.delete_one(video_id, owner=caller.sees):
        raise UnknownVideo(video_id)
    services.waker.wake()
    logger.info("video deleted", extra={"video_id": video_id})
    return Response(status_code=204)


async def _submission(
    request: Request, services: Services, caller: Caller, *, is_digested: bool
) -> Submission:
    headers, query = request.headers, request.query_params.multi_items()
    if media_type(headers) == "application/json":
        if query:
            raise Invalid(query[0][0][:64], "belongs into the JSON")
        stored = read_request(await request.body(), VideoRequest)
        check_receiver(stored.webhook, services.settings)
        return StoredVideo(services, caller, stored)
    if not is_form(headers) and not is_video(headers):
        raise HTTPException(
            415, "Send a video, a form with a part called file, or JSON with an object's name."
        )

    def open_file(body: AsyncIterator[bytes], limit: int) -> SentFile:
        if is_form(headers):
            return FileInForm(Form(headers["content-type"], body, limit=limit, bounds=BOUNDS))
        filename = read_content_disposition(headers.get("content-disposition", ""))
        return FileAsBody(Announced(filename, media_type(headers)), body)

    def read(pairs: Sequence[Pair]) -> Order:
        order = read_pairs([*query, *pairs])
        check_receiver(order.options.webhook, services.settings)
        return order

    incoming = Incoming(request, services, open_file=open_file, read=read)
    return SentVideo(services, caller, incoming, is_digested=is_digested)
