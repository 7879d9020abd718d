"""Bodies of all requests but uploads: read before anything is done, so many bytes in so much time."""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

MAX_BODY: Final = 64 << 10
"""Bytes of a request in JSON: an object's name has at most 1,024."""

BODY_WITHIN: Final = 20.0
"""Seconds from a request's head to the end of its body."""


class _TooLong(Exception):
    """More bytes came than are allowed."""


class BodyBounds:
    """Hands a request on when its body has come; refuses one too long, whatever its head says, or too slow.

    Args:
        app: what comes next.
        except_for: tells from a request's method, path and headers whether its body is read as it comes, and
            bounded there.
    """

    def __init__(self, app: ASGIApp, *, except_for: Callable[[str, str, Headers], bool]) -> None:
        self._next = app
        self._except_for = except_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, and hand the request on or refuse it."""
        if scope["type"] != "http" or self._is_exempt(scope):
            await self._next(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_WITHIN):
                body = await _whole(Headers(scope=scope), receive)
        except _TooLong:
            refusal = problem(413, code="too_large", detail=f"More than {MAX_BODY} bytes.")
            await refusal(scope, receive, send)
        except TimeoutError:
            refusal = problem(408, code="timeout", detail="The rest of the request did not come in time.")
            await refusal(scope, receive, send)
        else:
            if body is not None:
                await self._next(scope, _replayed(body, receive), send)

    def _is_exempt(self, scope: Scope) -> bool:
        return self._except_for(scope["method"], _path(scope), Headers(scope=scope))


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


async def _whole(headers: Headers, receive: Receive) -> bytes | None:
    """Return the body; None when the client has gone away.

    Raises:
        _TooLong: it is, or its head says so.
    """
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_BODY:
        raise _TooLong
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise _TooLong
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again
