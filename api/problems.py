"""Errors as RFC 9457 problem details: one shape for every error of every call."""

import logging
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.clients.storage import TooLarge
from app.errors import Conflict, Missing, Rejected, Unavailable

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = "2"
"""Seconds; about as long as a server needs to be started again."""

CLIENT_GONE: Final = 499
"""Nobody reads this answer; nginx's number, for the access log."""

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


def problem(
    status: int,
    *,
    code: str,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
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
    return Response(msgspec.json.encode(body), status, headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the errors of a call for the OpenAPI document; 500 and 503 are always among them."""
    return {
        status: {
            "model": Problem,
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in (*statuses, 500, 503)
    }


def install(api: FastAPI) -> None:
    """Answer every error of this API with a problem."""
    api.add_exception_handler(Rejected, _on_rejected)
    api.add_exception_handler(Unavailable, _on_unavailable)
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
        case Stalled():
            return problem(408, code=error.code, detail=error.reason)
        case Invalid():
            errors = [{"field": error.field, "message": error.reason}]
            return problem(422, code=error.code, detail=f"{error.field} {error.reason}", errors=errors)
        case _:
            return problem(422, code="invalid", detail=str(error))


async def _on_unavailable(_: Request, error: Exception) -> Response:
    service = error.service if isinstance(error, Unavailable) else "A service"
    detail = f"{service} does not answer at the moment; please try again."
    return problem(503, code="unavailable", detail=detail, headers={"Retry-After": RETRY_AFTER})


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


async def _on_http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _on_mistake(_, error)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return problem(error.status_code, code=code, detail=str(error.detail), headers=dict(error.headers or {}))


async def _on_gone(request: Request, _: Exception) -> Response:
    logger.info("client went away", extra={"path": request.url.path})
    return Response(status_code=CLIENT_GONE)


async def _on_mistake(_: Request, __: Exception) -> Response:
    return problem(500, code="internal", detail="Something went wrong here; it has been logged.")
