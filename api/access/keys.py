"""Who asks: API keys, when one is needed, and what it may be used for.

A request is *local* when it was accepted on a loopback address, or the operator says that this port is
published on one (`API_PUBLISHED`), and no proxy has passed it on. With `API_KEYS=auto` local requests need
no key and all others do. Nothing but `OPEN` is served to whoever needs a key and has none: the check stands
before the routes, so that a route that forgets to ask is closed and not open. A browser may have exchanged
its key for a session (`api.access.session_cookies`), which is good for as much; a key in a header goes
before it.
"""

import ipaddress
import logging
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from fastapi import FastAPI, Request, Response, Security
from fastapi.security import APIKeyHeader, HTTPBearer, SecurityScopes
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from api.access import session_cookies
from api.dependencies import Services
from api.page_files import PATHS
from api.problems import RETRY_AFTER, problem
from app.clients.main_db.key_usage import OverQuota
from app.domain.api_keys import SCOPES, ApiKey
from app.errors import Rejected, Unavailable
from app.settings import KeyRule, Settings

logger = logging.getLogger(__name__)

OPEN: Final = frozenset(
    {
        *("/health", "/health/live", "/health/ready", "/api", "/api/", "/api/health"),
        *("/docs", "/redoc", "/openapi.json"),
        *PATHS,
    }
)
"""Paths that need no key: whether the API lives, for orchestrators, its description, which is public, and the
page, which has to ask for the key."""

PASSED_ON: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Headers that a proxy adds: what comes through one comes from somewhere else, whatever the address says."""

POLICY_VIOLATION: Final = 1008
"""How a web socket is closed to whoever has no key (RFC 6455). There is none here yet."""

NEEDED: Final[dict[KeyRule, str]] = {
    "auto": "for requests that do not come from this machine",
    "required": "for every request",
    "off": "never",
}
"""The rules in words."""

HOW: Final = "Send one as `Authorization: Bearer KEY`; `kadr keys create NAME` makes one."


@dataclass(frozen=True)
class Caller:
    """Who asks: the holder of a key, or somebody on this machine who needs none."""

    key: ApiKey | None = None

    @property
    def id(self) -> str | None:
        """What new videos are marked with."""
        return self.key.id if self.key else None

    @property
    def sees(self) -> str | None:
        """The owner whose videos are there for the caller; None where that is everybody's."""
        return None if self.key is None or self.key.may("admin") else self.key.id


class Forbidden(Rejected):
    """The key is good, but not for this."""

    def __init__(self, scope: str) -> None:
        super().__init__("forbidden", f"This key does not have the scope {scope}.")


class NoKey(Rejected):
    """A key is needed, and none was sent."""

    def __init__(self) -> None:
        super().__init__("no_key", f"An API key is needed. {HOW}")


class KeyCheck:
    """Lets nobody in who needs a key and has none."""

    def __init__(self, app: ASGIApp) -> None:
        self._next = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "lifespan" and scope["path"] not in OPEN:
            found = await _who(scope)
            if isinstance(found, Response):
                await (found if scope["type"] == "http" else _CLOSE)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = found
        await self._next(scope, receive, send)


def is_local(scope: Scope, published: str) -> bool:
    """Return whether a request comes from this machine, as far as can be known.

    Args:
        scope: of the request.
        published: the address that the port is published on; empty where it is the one that is listened on.
    """
    if any(name in Headers(scope=scope) for name in PASSED_ON):
        return False
    server = scope.get("server")
    return _is_loopback(published or (server[0] if server else ""))


def is_keyless(scope: Scope, settings: Settings) -> bool:
    """Return whether a request is served without a key that somebody has looked at."""
    rule = settings.api_keys
    if rule == "auto" and presented(Headers(scope=scope)) is None:
        return is_local(scope, settings.api_published)
    return rule == "off"


def install(api: FastAPI) -> None:
    """Answer what comes of keys with a problem."""
    api.add_exception_handler(Forbidden, _on_forbidden)
    api.add_exception_handler(NoKey, _on_no_key)
    api.add_exception_handler(OverQuota, _on_over_quota)


def describe_rule(settings: Settings) -> None:
    """Log who needs a key."""
    where = f", published on {settings.api_published}" if settings.api_published else ""
    logger.info("keys are needed: %s%s", NEEDED[settings.api_keys], where)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:  # a name, or the path of a socket: who reaches it is not known
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


async def _who(scope: Scope) -> Caller | Response:
    services = scope["app"].state.services
    rule: KeyRule = services.settings.api_keys
    if rule == "off":
        return Caller()
    headers = Headers(scope=scope)
    text, token = presented(headers), session_cookies.token_of(headers)
    try:
        key = await _find(services, text, token)
    except Unavailable as error:
        detail = f"{error.service} does not answer at the moment; please try again."
        return problem(503, code="unavailable", detail=detail, headers={"Retry-After": RETRY_AFTER})
    if key is not None:
        await services.keys.note_use(key)
        return Caller(key)
    if text is not None:
        return _refusal("unknown_key", f"There is no such API key, or it was revoked. {HOW}", is_wrong=True)
    is_let_in = rule == "auto" and is_local(scope, services.settings.api_published)
    return Caller() if is_let_in else _refusal("no_key", NoKey().reason)


async def _find(services: Services, text: str | None, token: str | None) -> ApiKey | None:
    """Return the key that is sent, or that of the session; one that is over is as if there were none."""
    if text is not None:
        return await services.keys.find(text)
    key_id = await services.sessions.key_of(token) if token else None
    return await services.keys.find_by_id(key_id) if key_id else None


def presented(headers: Headers) -> str | None:
    """Return what a request sends as a key in a header; None when it sends none."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    return headers.get("x-api-key")


def _refusal(code: str, detail: str, *, is_wrong: bool = False) -> Response:
    challenge = 'Bearer realm="kadr"' + (', error="invalid_token"' if is_wrong else "")
    return problem(401, code=code, detail=detail, headers={"WWW-Authenticate": challenge})


_CLOSE: Final = WebSocketClose(POLICY_VIOLATION)

# To FastAPI these two only say, in the OpenAPI document, where a key may stand.
_BEARER: Final = HTTPBearer(auto_error=False, scheme_name="bearer", description="An API key of Kadr.")
_HEADER: Final = APIKeyHeader(
    name="X-API-Key", auto_error=False, scheme_name="header", description="The same, without a scheme."
)


async def _caller(
    request: Request,
    needed: SecurityScopes,
    _bearer: Annotated[object, Security(_BEARER)],
    _header: Annotated[object, Security(_HEADER)],
) -> Caller:
    caller: Caller = request.state.caller
    for scope in SCOPES:
        if scope in needed.scopes and caller.key is not None and not caller.key.may(scope):
            raise Forbidden(scope)
    return caller


Submits: TypeAlias = Annotated[Caller, Security(_caller, scopes=["submit"])]
Reads: TypeAlias = Annotated[Caller, Security(_caller, scopes=["read"])]
Deletes: TypeAlias = Annotated[Caller, Security(_caller, scopes=["delete"])]
Administers: TypeAlias = Annotated[Caller, Security(_caller, scopes=["admin"])]
"""The caller, as a parameter of a call that needs a scope."""

Anybody: TypeAlias = Annotated[Caller, Security(_caller)]
"""The caller, as a parameter of a call for every key that there is."""


async def _on_forbidden(_: Request, error: Exception) -> Response:
    challenge = {"WWW-Authenticate": 'Bearer realm="kadr", error="insufficient_scope"'}
    return problem(403, code="forbidden", detail=_reason(error), headers=challenge)


async def _on_no_key(_: Request, error: Exception) -> Response:
    return _refusal("no_key", _reason(error))


async def _on_over_quota(_: Request, error: Exception) -> Response:
    seconds = error.again_in.total_seconds() if isinstance(error, OverQuota) else 1.0
    headers = {"Retry-After": str(max(1, round(seconds)))}
    return problem(429, code="over_quota", detail=_reason(error), headers=headers)


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, Rejected) else str(error)
