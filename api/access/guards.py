"""Who may knock: requests that a browser was tricked into, and heads of a size that nobody needs, end here.

An API without keys trusts whoever reaches it, and a browser on the same machine does so on behalf of every
page that is open in it. Two things give such a page away: the name by which it found us (DNS rebinding:
`Host` is the page's own name, which it has made to point here), and what the browser says of where a request
comes from (`Sec-Fetch-Site`, `Origin`). The second is looked at as Go's `net/http.CrossOriginProtection`
does it. Programs send neither, and pass.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access import session_cookies
from api.problems import problem
from app.settings import Settings

MAX_HEADERS: Final = 100
"""Header fields of a request; browsers send some 20."""

MAX_HEAD: Final = 16 << 10
"""Bytes of a request's target and header fields together."""

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, so that it does not matter who asks."""

_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(?P<port>\d{0,5}))?", re.ASCII)


class Guard:
    """Refuses what no client of ours sends, before anything of its body is read.

    Args:
        app: what comes next.
        is_keyless: whether, with these settings, whoever sends a request is trusted. Where a key is asked
            for, a page of others has none, and names and origins do not matter; but a session is a key that
            the browser sends by itself, and then origins do.
    """

    def __init__(self, app: ASGIApp, *, is_keyless: Callable[[Scope, Settings], bool]) -> None:
        self._next = app
        self._is_keyless = is_keyless

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._next)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if refusal := refuse_head(scope, headers):
            return refusal
        settings: Settings = scope["app"].state.services.settings
        if self._is_keyless(scope, settings) and (refusal := refuse_host(headers, settings.allowed_hosts)):
            return refusal
        if self._is_keyless(scope, settings) or session_cookies.token_of(headers):
            return refuse_cross_site(scope["method"], headers)
        return None


def refuse_head(scope: Scope, headers: Headers) -> Response | None:
    """Return a refusal when the head is too large, or says in two ways where the body ends."""
    size = len(scope.get("raw_path", b"")) + len(scope["query_string"])
    size += sum(len(name) + len(value) for name, value in headers.raw)
    if size > MAX_HEAD or len(headers.raw) > MAX_HEADERS:
        detail = f"More than {MAX_HEADERS} header fields, or than {MAX_HEAD} bytes of them."
        return problem(431, code="head_too_large", detail=detail)
    if "transfer-encoding" in headers and "content-length" in headers:
        return problem(400, code="bad_request", detail="Both Transfer-Encoding and Content-Length are given.")
    return None


def refuse_host(headers: Headers, allowed: Iterable[str]) -> Response | None:
    """Return a refusal when the request names a host that is not ours.

    One that names none passes: HTTP/1.0 may leave it out, and no browser does.
    """
    given = headers.get("host")
    if given is None:
        return None
    found = _AUTHORITY.fullmatch(given)
    if found and any(_is_match(found["host"].lower(), pattern) for pattern in allowed):
        return None
    detail = "The name by which this API was asked is not one of its own (ALLOWED_HOSTS)."
    return problem(421, code="foreign_host", detail=detail)


def refuse_cross_site(method: str, headers: Headers) -> Response | None:
    """Return a refusal when a page of another origin wants something done."""
    if method in SAFE:
        return None
    site = headers.get("sec-fetch-site")
    if site in {"same-origin", "none"}:
        return None
    origin = headers.get("origin")
    if site is None and (origin is None or _is_same(origin, headers.get("host", ""))):
        return None
    return problem(403, code="cross_site", detail="A page of another site may not ask for this.")


def _is_match(host: str, pattern: str) -> bool:
    """`*` is every name, `*.example.org` every name below that one."""
    if pattern.startswith("*"):
        return host.endswith(pattern[1:].lower())
    return host == pattern.lower()


def _is_same(origin: str, host: str) -> bool:
    """Whether an origin is that of the page which `host` serves; the scheme may be a proxy's."""
    try:
        parts = urlsplit(origin)
        default = {"http": 80, "https": 443}.get(parts.scheme)
        found = _AUTHORITY.fullmatch(host)
        if default is None or found is None or parts.hostname is None:
            return False
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return (name, parts.port or default) == (found["host"].lower(), int(found["port"] or default))
    except ValueError:  # a port that is none
        return False
