"""What every answer tells a browser: guess nothing, run nothing, show it in no page, keep it nowhere."""

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of an answer that is data: whatever it is taken for, nothing in it runs."""

PAGE: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""The policy of a page of ours: everything comes from here, nothing is written within the page."""

UNLESS_SAID: Final = {
    "Content-Security-Policy": NOTHING,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""There are no CORS headers: pages of other origins read nothing."""

RawHeaders = list[tuple[bytes, bytes]]

_RAW: Final[RawHeaders] = [(name.lower().encode(), value.encode()) for name, value in UNLESS_SAID.items()]


def missing_headers(said: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Return the headers that an answer with these still needs."""
    names = {name.lower() for name, _ in said}
    return [(name, value) for name, value in _RAW if name not in names]


class SecurityHeaders:
    """Adds to every answer those of `UNLESS_SAID` that it does not have."""

    def __init__(self, app: ASGIApp) -> None:
        self._next = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the headers."""

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = list(message.get("headers", []))
                message["headers"] = said + missing_headers(said)
            await send(message)

        await self._next(scope, receive, send_more)
