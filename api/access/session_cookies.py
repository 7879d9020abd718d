"""The cookie of a session: how it is set, read and taken away.

A browser sends it by itself, also for `<video src>` and downloads, which can send no header. So
`api.access.guards` lets no page of another origin use it for anything but reading, of which such a page
sees nothing.
"""

import re
from typing import Final

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from app.clients.main_db.sessions import KEPT_FOR

NAME: Final = "kadr_session"

TOKEN: Final = re.compile(r"[0-9a-f]{64}")


def token_of(headers: Headers) -> str | None:
    """Return the token that a request presents; None when there is none, or it cannot be one."""
    token = cookie_parser("; ".join(headers.getlist("cookie"))).get(NAME, "")
    return token if TOKEN.fullmatch(token) else None


def give(response: Response, request: Request, token: str) -> None:
    """Have the browser keep a token: out of reach of scripts, and for requests of our own pages only."""
    response.set_cookie(
        NAME,
        token,
        max_age=round(KEPT_FOR.total_seconds()),
        secure=_is_secure(request),
        httponly=True,
        samesite="strict",
    )


def take_away(response: Response, request: Request) -> None:
    """Have the browser forget it."""
    response.delete_cookie(NAME, secure=_is_secure(request), httponly=True, samesite="strict")


def _is_secure(request: Request) -> bool:
    """Whether the browser came by TLS; a client that lies about it can only lose its own cookie."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
