"""A browser's session: a key is exchanged for a cookie, and back."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.access import session_cookies
from api.access.keys import Anybody, Caller, NoKey, presented
from api.dependencies import Served
from api.problems import documented
from api.transport.json_response import JsonResponse
from app.domain.api_keys import Scope, in_order

router = APIRouter(prefix="/api/v1", tags=["sessions"])


class ShownKey(BaseModel):
    """The key that stands behind a request."""

    id: str = Field(examples=["3d5d5c5bdf74"])
    name: str = Field(examples=["camera 7"])
    scopes: list[Scope] = Field(examples=[["submit", "read"]])


class ShownSession(BaseModel):
    """Who asks."""

    key: ShownKey | None = Field(description="Null where none is needed and none was sent.")


@router.get("/session", response_model=ShownSession, summary="Who asks", responses=documented(401, 403))
async def show_session(caller: Anybody) -> Response:
    """Say which key stands behind this request, by its header or its cookie, and what it may."""
    return _shown(caller)


@router.post(
    "/session", response_model=ShownSession, summary="Begin a session", responses=documented(401, 403)
)
async def begin_session(request: Request, services: Served, caller: Anybody) -> Response:
    """Exchange a key, sent in a header, for the cookie `kadr_session`, so that a browser need not keep it.

    The cookie is good for 7 days, and for what the key is good for, as long as the key is. Scripts cannot
    read it (`HttpOnly`), pages of other sites cannot use it (`SameSite=Strict`, and a check of the origin).
    """
    if caller.key is None or presented(request.headers) is None:
        raise NoKey
    token = await services.sessions.begin(caller.key.id)
    response = _shown(caller)
    session_cookies.give(response, request, token)
    return response


@router.delete("/session", status_code=204, summary="End a session", responses=documented(401, 403))
async def end_session(request: Request, services: Served, _caller: Anybody) -> Response:
    """Make the cookie of this request useless, and have the browser forget it."""
    if token := session_cookies.token_of(request.headers):
        await services.sessions.end(token)
    response = Response(status_code=204)
    session_cookies.take_away(response, request)
    return response


def _shown(caller: Caller) -> Response:
    key = caller.key
    shown = key and {"id": key.id, "name": key.name, "scopes": in_order(key.scopes)}
    return JsonResponse({"key": shown})
