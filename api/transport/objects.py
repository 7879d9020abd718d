"""An object of S3 as an answer: whole or a part of it, never as a whole in memory."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.headers import NOTHING
from api.problems import problem
from api.transport.ranges import Version, decide
from app.clients.s3.storage import ObjectFacts, Storage
from app.domain.objects import video_of
from app.errors import Unavailable

logger = logging.getLogger(__name__)

PIECE: Final = 256 << 10
"""Bytes of an object in memory at a time, for each of those who watch."""

ALONE: Final = f"{NOTHING}; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'; sandbox"
"""The policy of a file of a stranger. A browser that shows it alone makes a page around it, with styles; that
page has no origin, and nothing in it runs."""


class _Opened(StreamingResponse):
    """Gives the connection to S3 back at its end."""

    def __init__(
        self, pieces: AsyncIterator[bytes], status: int, headers: dict[str, str], opened: AsyncExitStack
    ) -> None:
        super().__init__(pieces, status, headers)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the object."""
        async with self._opened:
            await super().__call__(scope, receive, send)


async def answer_with(
    request: Request,
    storage: Storage,
    bucket: str,
    facts: ObjectFacts,
    *,
    media_type: str,
    disposition: str,
) -> Response:
    """Return an object, or what is asked for of it, as an answer to a GET or HEAD.

    Args:
        request: with its conditions and its range.
        storage: where it is.
        bucket: likewise.
        facts: of the object, asked for a moment ago.
        media_type: what it is said to be.
        disposition: under which name it is saved.

    Raises:
        Missing: it was deleted meanwhile.
        Unavailable: S3 does not answer.
    """
    version = Version(f'"{facts.etag}"', facts.modified, facts.size)
    wanted = decide(request.headers, version)
    headers = version.headers | {"Content-Security-Policy": ALONE}
    if wanted.status == HTTPStatus.NOT_MODIFIED:
        return Response(status_code=wanted.status, headers=headers)
    if wanted.status == HTTPStatus.PRECONDITION_FAILED:
        return problem(412, code="precondition_failed", detail="The file is another one now.")
    if wanted.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        unsatisfied = {"Content-Range": f"bytes */{facts.size}"}
        detail = f"The file has {facts.size} bytes."
        return problem(416, code="range_not_satisfiable", detail=detail, headers=unsatisfied)
    start, length = 0, facts.size
    if wanted.span is not None:
        start, last = wanted.span
        headers["Content-Range"] = f"bytes {start}-{last}/{facts.size}"
        length = last - start + 1
    headers |= {
        "Content-Type": media_type,
        "Content-Length": str(length),
        "Content-Disposition": disposition,
    }
    if request.method == "HEAD":
        return Response(status_code=wanted.status, headers=headers)
    async with AsyncExitStack() as stack:
        _, pieces = await stack.enter_async_context(
            storage.stream(bucket, facts.name, chunk=PIECE, start=start, length=length)
        )
        first_piece = await anext(pieces, b"")  # while it can still be said that S3 does not answer
        return _Opened(_chained(first_piece, pieces, facts.name), wanted.status, headers, stack.pop_all())


async def _chained(first: bytes, pieces: AsyncIterator[bytes], name: str) -> AsyncIterator[bytes]:
    yield first
    try:
        async for piece in pieces:
            yield piece
    except Unavailable:
        # The client sees that bytes are missing.
        fields = {"video_id": video_of(name), "object": name}
        logger.warning("file broken off: S3 does not answer", extra=fields)
