"""Errors as RFC 9457 problem details: one shape for every error of every call."""

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from api.codes import described
from api.headers import UNLESS_SAID
from app.clients.http.renderer import RunnerBusy
from app.clients.s3.storage import TooLarge
from app.errors import Conflict, Missing, NoRoom, Rejected, RetryLater, Unavailable

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = "2"
"""Seconds; about as long as a server needs to be started again."""

BUSY_RETRY_AFTER: Final = "5"
"""Seconds; a place for an upload is free when another upload has ended."""

NO_ROOM_RETRY_AFTER: Final = "60"
"""Seconds; somebody has to make room."""

CLIENT_GONE: Final = 499
"""Nobody reads this answer; nginx's number, for the access log."""

ALWAYS: Final = (400, 408, 413, 421, 431, 500, 503)
"""What any call may answer: to a head or a body that is too large, too slow or none, to a foreign `Host`,
when a service is away, and by mistake."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

ID_SHOWN: Final = 64
"""Characters of an id that an answer repeats."""


class UnknownVideo(Missing):
    """There is no such video, or it was deleted."""

    def __init__(self, video_id: str) -> None:
        super().__init__(f"The video {video_id[:ID_SHOWN]}")


class Invalid(Rejected):
    """A part of the request that cannot be accepted.

    Args:
        field: its name, as the client sent it.
        message: what is wrong with it.
    """

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__("invalid", message)


class Stalled(Rejected):
    """The client has stopped sending what it began to send."""

    def __init__(self) -> None:
        super().__init__("timeout", "The rest of the request did not come in time.")


class Busy(RetryLater):
    """There is as much to do as can be done at a time.

    Args:
        reason: a sentence without its full stop.
    """


class Conflicting(Rejected):
    """What the thing is, or has become, does not allow what is asked for (409)."""


class FieldProblem(BaseModel):
    """What is wrong with one part of a request."""

    field: str = Field(examples=["bucket"])
    message: str = Field(examples=["is not one of: videos"])


class Problem(BaseModel):
    """An error, as RFC 9457 has it, and a stable `code` for programs."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["The video 0d9f… does not exist"])
    code: str = Field(examples=["not_found"])
    errors: list[FieldProblem] | None = Field(None, description="What is wrong with which part, on 422.")
    video_status: str | None = Field(
        None, description="Where the video is, if that is why it cannot be done.", examples=["ready"]
    )
    reason: str | None = Field(None, description="The code of why a video has failed, where that is why.")


def problem(
    status: int,
    *,
    code: str,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    reason: str | None = None,
    headers: dict[str, str] | None = None,
    video_status: str | None = None,
) -> Response:
    """Return an error as a response."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = errors
    if video_status:
        body["video_status"] = video_status
    if reason:
        body["reason"] = reason
    return Response(msgspec.json.encode(body), status, headers, media_type=MEDIA_TYPE)


def documented(*statuses: int, codes: Iterable[str] = ()) -> dict[int | str, dict[str, Any]]:
    """Return the errors of a call for the OpenAPI document; those of `ALWAYS` are among them.

    Args:
        statuses: of HTTP.
        codes: those of `PARTICULAR` that the call may answer, beside the usual ones of each status.
    """
    return {
        status: {
            "model": Problem,
            "description": described(status, codes),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*statuses, *ALWAYS})
    }


def install(api: FastAPI) -> None:
    """Answer every error of this API with a problem."""
    api.add_exception_handler(Rejected, _on_rejected)
    api.add_exception_handler(Unavailable, _on_unavailable)
    api.add_exception_handler(Busy, _on_busy)
    api.add_exception_handler(RunnerBusy, _on_busy)
    api.add_exception_handler(Conflict, _on_conflict)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_exception_handler(HTTPException, _on_http_error)
    api.add_exception_handler(ClientDisconnect, _on_gone)
    api.add_exception_handler(Exception, _on_mistake)


async def _on_rejected(_: Request, error: Exception) -> Response:
    match error:
        case Missing():
            return problem(404, code=error.code, detail=error.reason)
        case TooLarge():
            return problem(413, code=error.code, detail=f"The file has {error.reason}.")
        case Conflicting():
            return problem(409, code=error.code, detail=error.reason)
        case Stalled():
            return problem(408, code=error.code, detail=error.reason)
        case Invalid():
            errors = [{"field": error.field, "message": error.reason}]
            return problem(422, code=error.code, detail=f"{error.field} {error.reason}", errors=errors)
        case _:
            return problem(422, code="invalid", detail=str(error))


async def _on_unavailable(request: Request, error: Exception) -> Response:
    if isinstance(error, NoRoom) and _takes_videos(request):
        headers = {"Retry-After": NO_ROOM_RETRY_AFTER}
        detail = "There is no room for more videos at the moment; please try again later."
        return problem(507, code="insufficient_storage", detail=detail, headers=headers)
    service = error.service if isinstance(error, Unavailable) else "A service"
    detail = f"{service} does not answer at the moment; please try again."
    return problem(503, code="unavailable", detail=detail, headers={"Retry-After": RETRY_AFTER})


def _takes_videos(request: Request) -> bool:
    """Return whether the call is documented to refuse what there is no room for; others are tried again."""
    return HTTPStatus.INSUFFICIENT_STORAGE in getattr(request.scope.get("route"), "responses", ())


async def _on_busy(_: Request, error: Exception) -> Response:
    headers = {"Retry-After": BUSY_RETRY_AFTER}
    return problem(503, code="busy", detail=f"{error}; please try again.", headers=headers)


async def _on_conflict(_: Request, __: Exception) -> Response:
    return problem(409, code="conflict", detail="Somebody else has changed this meanwhile.")


async def _on_invalid(_: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [
        {
            "field": ".".join(str(part) for part in item["loc"][1:] if isinstance(part, str)) or "body",
            "message": item["msg"],
        }
        for item in found
    ]
    detail = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
    return problem(422, code="invalid", detail=detail or "The request cannot be read.", errors=errors)


async def _on_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _on_mistake(request, error)
    if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI's, of a body whose bytes are no text
        return problem(422, code="invalid", detail="The request cannot be read.")
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request))
    return problem(error.status_code, code=code, detail=str(error.detail), headers=headers)


def _allowed(request: Request) -> list[str]:
    """Return the methods of a path; Starlette names those of the first route only."""
    scopes = [{**request.scope, "method": method} for method in METHODS]
    routes = request.app.routes
    return [
        scope["method"] for scope in scopes if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]


async def _on_gone(request: Request, _: Exception) -> Response:
    logger.info("client went away", extra={"path": request.url.path, **request.path_params})
    return Response(status_code=CLIENT_GONE)


async def _on_mistake(_: Request, __: Exception) -> Response:
    # This answer alone is made outside of our middleware, which would add the headers.
    detail = "Something went wrong here; it has been logged."
    return problem(500, code="internal", detail=detail, headers=dict(UNLESS_SAID))
