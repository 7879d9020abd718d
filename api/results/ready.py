"""Calls that need a finished video: what is answered while it is not, or never will be."""

from typing import Final

import msgspec
from fastapi import FastAPI, Request, Response

from api.access.keys import Caller
from api.dependencies import Services
from api.problems import UnknownVideo, problem
from app.clients.main_db.video_outbox import Video
from app.clients.s3.storage import ObjectFacts
from app.domain.failures import failure
from app.domain.messages import Failure
from app.domain.objects import (
    detection_object,
    failed_object,
)
from app.errors import Missing, Rejected, RetryLater
from app.exports.process import ExportFailed

READY_RETRY_AFTER = "5"
"""Seconds; a video takes seconds to hours, and the question costs next to nothing."""

CODES: Final = ("not_ready", "video_failed", "export_failed")
"""What is answered here, for the OpenAPI document."""


class NotReady(RetryLater):
    """The video has no result yet."""


class VideoFailed(Rejected):
    """The video will never have a result.

    Args:
        reason: why.
    """

    def __init__(self, reason: Failure) -> None:
        super().__init__(reason.code, reason.message)


class _FailedDocument(msgspec.Struct):
    error: Failure


async def require_ready(services: Services, caller: Caller, video_id: str) -> tuple[Video, ObjectFacts]:
    """Return a video that is ready, and what is known of its result.

    Raises:
        UnknownVideo: there is none, or it is another's.
        NotReady: it has no result yet.
        VideoFailed: it never will.
        Unavailable: a server does not answer.
    """
    video = await services.outbox.get(video_id, owner=caller.sees)
    if video is None:
        raise UnknownVideo(video_id)
    if video.outcome == "cancelled":  # whatever lies in S3
        raise VideoFailed(video.error or failure("cancelled"))
    facts = await services.outcomes.find(video, detection_object(video.id))
    if facts is not None and await services.outcomes.note_ready(video, facts):
        return video, facts
    if (reason := await _reason(services, video)) is not None:
        raise VideoFailed(reason)
    raise NotReady(video.client_status)


def install(api: FastAPI) -> None:
    """Answer what comes of it with a problem."""
    api.add_exception_handler(NotReady, _on_not_ready)
    api.add_exception_handler(VideoFailed, _on_failed)
    api.add_exception_handler(ExportFailed, _on_export_failed)


async def _reason(services: Services, video: Video) -> Failure | None:
    facts = await services.outcomes.find(video, failed_object(video.id))
    if facts is None:
        return video.error if video.outcome == "failed" else None
    try:
        body = await services.storage.get(video.bucket, facts.name)
        await services.outcomes.note_failed(video, facts, body)
        return msgspec.json.decode(body, type=_FailedDocument).error
    except (Missing, msgspec.DecodeError):
        return video.error or Failure("failed", "The video has failed.")


async def _on_not_ready(_: Request, error: Exception) -> Response:
    headers = {"Retry-After": READY_RETRY_AFTER}
    detail = f"The video has no result yet; its status is {error}."
    return problem(409, code="not_ready", detail=detail, headers=headers)


async def _on_failed(_: Request, error: Exception) -> Response:
    reason = error if isinstance(error, Rejected) else Rejected("failed", str(error))
    detail = f"The video has failed: {reason.reason}"
    return problem(409, code="video_failed", detail=detail, reason=reason.code)


async def _on_export_failed(_: Request, __: Exception) -> Response:
    detail = "The result could not be read, or not be written like this; it has been logged."
    return problem(500, code="export_failed", detail=detail)
