"""The header `Idempotency-Key`, as the draft of the IETF and AWS have it, and what may come of it."""

import re
from typing import Annotated, Final, TypeAlias

from fastapi import FastAPI, Header, Request, Response
from starlette.datastructures import Headers

from api.intake.submissions import KeyReused, VideoDeleted
from api.problems import Invalid, problem
from app.clients.main_db.idempotency import KeyHeld
from app.errors import Rejected

RETRY_AFTER: Final = "2"
"""Seconds; the first request may take long, and asking costs nothing before its body is read."""

REPLAYED: Final = "Idempotent-Replayed"
"""Says `true` where an earlier request had made what is answered; Stripe's name."""

_KEY: Final = re.compile(r'[!#-~]{1,255}|"[ !#-\[\]-~]{1,255}"')
"""Visible ASCII without quotes, or the draft's string of a structured field (RFC 8941) without escapes."""

GivenKey: TypeAlias = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Makes trying again safe: the same key and the same request give the same video, for 7 "
        "days. 1 to 255 visible ASCII characters, maybe in double quotes; a UUID is good.",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]
"""The header, as a parameter of a call."""


def read_key(headers: Headers) -> str | None:
    """Return the key that a request gives, without the quotes that the draft wants.

    FastAPI would pass over a header that is empty, and over a second one.

    Raises:
        Invalid: it cannot be one.
    """
    given = headers.getlist("Idempotency-Key")
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise Invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters, maybe in double quotes")
    return given[0].strip('"')


def install(api: FastAPI) -> None:
    """Answer what comes of keys with a problem."""
    api.add_exception_handler(KeyHeld, _on_held)
    api.add_exception_handler(KeyReused, _on_other)
    api.add_exception_handler(VideoDeleted, _on_other)


async def _on_held(_: Request, __: Exception) -> Response:
    detail = "A request with this Idempotency-Key is under way; try again to hear what came of it."
    headers = {"Retry-After": RETRY_AFTER}
    return problem(409, code="idempotency_in_progress", detail=detail, headers=headers)


async def _on_other(_: Request, error: Exception) -> Response:
    code, detail = (error.code, error.reason) if isinstance(error, Rejected) else ("conflict", str(error))
    return problem(409, code=code, detail=detail)
