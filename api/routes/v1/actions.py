"""Cancel and retry: what a client wants done with a video that is there."""

from fastapi import APIRouter, FastAPI, Request, Response

from api.access.keys import Submits
from api.dependencies import Served
from api.lifecycle import cancellations
from api.lifecycle.cancellations import WrongState
from api.lifecycle.video_answers import ListedVideo, listed
from api.problems import documented, problem
from api.transport.json_response import JsonResponse
from app.clients.main_db.video_outbox import Video

router = APIRouter(prefix="/api/v1", tags=["videos"])


@router.post(
    "/videos/{video_id}/cancel",
    status_code=202,
    response_model=ListedVideo,
    summary="Cancel a video",
    responses=documented(401, 403, 404, 409, codes=("already_ended", "conflict")),
)
async def cancel_video(video_id: str, services: Served, caller: Submits) -> Response:
    """Stop a video, however far it is. From the answer on it is `cancelled`, and never becomes ready.

    Within 5 seconds nothing of it is decoded any more, provided that Kafka, Mongo and S3 answer; what was on
    its way is dropped. Its file stays, so that it can be tried again. May be repeated.
    409 `already_ended`: it is ready, or has failed.
    """
    return _answered(await cancellations.cancel(services, caller, video_id))


@router.post(
    "/videos/{video_id}/retry",
    status_code=202,
    response_model=ListedVideo,
    summary="Try a video again",
    responses=documented(401, 403, 404, 409, 429, codes=("not_ended", "already_ready")),
)
async def retry_video(video_id: str, services: Served, caller: Submits) -> Response:
    """Begin another attempt at a video that failed or was cancelled. It keeps its id and its options.

    409 `not_ended`: it waits, or is being worked on. 409 `already_ready`: there is a result.
    """
    return _answered(await cancellations.retry(services, caller, video_id))


def install(api: FastAPI) -> None:
    """Answer what only happens here with a problem."""
    api.add_exception_handler(WrongState, _on_wrong_state)


def _answered(video: Video) -> Response:
    return JsonResponse(listed(video), 202)


async def _on_wrong_state(_: Request, error: Exception) -> Response:
    if not isinstance(error, WrongState):
        raise error
    return problem(409, code=error.code, detail=error.reason, video_status=error.video_status)
