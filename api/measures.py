"""How long requests take: a number for each route's template, never for a path that a client has chosen."""

import time
from contextvars import ContextVar
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.metrics import OTHER, REQUEST_SECONDS, REQUESTS_OPEN

METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
"""Every other one is a client's invention."""

CRASHED: Final = 500
"""The status that a client gets when a route has raised what nobody answers."""

_began: ContextVar[float | None] = ContextVar("request began", default=None)


def request_began() -> float:
    """Return when the request in hand began, in seconds since 1970; now, where there is none."""
    began = _began.get()
    return time.time() if began is None else began


class Measures:
    """Times each request up to the head of its answer: what follows may be as long as a video."""

    def __init__(self, app: ASGIApp) -> None:
        self._next = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and note how long that took."""
        if scope["type"] != "http":
            await self._next(scope, receive, send)
            return
        _began.set(time.time())
        began, is_begun = time.perf_counter(), False

        async def send_noted(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                _note(scope, message["status"], time.perf_counter() - began)
            await send(message)

        REQUESTS_OPEN.inc()
        try:
            await self._next(scope, receive, send_noted)
        except Exception:
            if not is_begun:
                _note(scope, CRASHED, time.perf_counter() - began)
            raise
        finally:
            REQUESTS_OPEN.dec()


def _note(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in METHODS else OTHER
    route = getattr(scope.get("route"), "path", OTHER)
    REQUEST_SECONDS.labels(method, route, str(status)).observe(seconds)
