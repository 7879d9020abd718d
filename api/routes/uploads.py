"""Direct uploads: begin, ask for URLs, complete, abort."""

from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response

from api.access.keys import Submits
from api.dependencies import Served
from api.intake import direct
from api.intake.incoming import media_type
from api.intake.orders import read_request
from api.intake.upload_answers import BegunUpload, CompletedUpload, Parts, WantedParts, WantedUpload
from api.openapi.answers import Accepted
from api.problems import Invalid, documented, problem
from api.routes.v1.submitting import schema_of
from api.transport.json_response import JsonResponse
from app.errors import Rejected

router = APIRouter(prefix="/api", tags=["direct uploads"])

WANTED: Final = schema_of(WantedUpload)


@router.post(
    "/uploads",
    status_code=201,
    response_model_exclude_none=True,
    summary="Begin a direct upload",
    responses=documented(401, 403, 413, 422, 429, 507),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": WANTED}}}},
)
async def begin_upload(request: Request, services: Served, caller: Submits) -> BegunUpload:
    """Get URLs with which a file goes straight to the object storage, whatever its size.

    Options, tags and a webhook are those of `POST /api/v1/videos`. Nothing happens with the video until the
    upload is completed.
    """
    if media_type(request.headers) != "application/json":
        raise Invalid("body", "has to be JSON, and Content-Type to say so")
    return await direct.begin(services, caller, read_request(await request.body(), WantedUpload))


@router.post(
    "/uploads/{upload_id}/parts",
    summary="Get URLs of more parts",
    responses=documented(401, 403, 404, 413, 422),
)
async def sign_parts(upload_id: str, wanted: WantedParts, services: Served, caller: Submits) -> Parts:
    """Get URLs of parts, also of those whose URLs have expired; the upload's time begins anew."""
    return await direct.more_parts(services, caller, upload_id, wanted)


@router.post(
    "/uploads/{upload_id}/complete",
    response_model=Accepted,
    summary="Complete a direct upload",
    responses=documented(401, 403, 404, 409, 413, 422, 429, codes=("not_uploaded", "conflict")),
)
async def complete_upload(
    upload_id: str, services: Served, caller: Submits, completed: CompletedUpload | None = None
) -> Response:
    """Have the video looked at, once everything has arrived. May be repeated."""
    sent = completed.parts if completed else None
    video_id = await direct.complete(services, caller, upload_id, sent)
    body = {"status": "ok", "event_id": video_id}
    return JsonResponse(body)


@router.delete(
    "/uploads/{upload_id}",
    status_code=204,
    response_class=Response,
    summary="Abort a direct upload",
    responses=documented(401, 403, 404, 409, codes=("conflict",)),
)
async def abort_upload(upload_id: str, services: Served, caller: Submits) -> Response:
    """Give up an upload that was not completed; what has arrived of it is gone."""
    await direct.abort(services, caller, upload_id)
    return Response(status_code=204)


def install(api: FastAPI) -> None:
    """Answer what only happens here with a problem."""
    api.add_exception_handler(direct.NotUploaded, _on_not_uploaded)


async def _on_not_uploaded(_: Request, error: Exception) -> Response:
    detail = error.reason if isinstance(error, Rejected) else str(error)
    return problem(409, code="not_uploaded", detail=detail)
