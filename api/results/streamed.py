"""Answers that are written while they are sent."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.dependencies import Services
from api.results.stored import Stored
from app.clients.main_db.video_outbox import Video
from app.errors import RetryLater
from app.exports.formats import FORMATS, FormatName, disposition
from app.exports.orders import Order
from app.exports.process import ExportFailed, open_export
from app.exports.selection import Selection

logger = logging.getLogger(__name__)

EXPORTS_AT_ONCE: Final = 4
"""Results that are written at a time: each has a child of 20 to 180 MB, and a connection to S3."""


class Streamed(StreamingResponse):
    """Pieces as they come; what they come from is closed at their end, however that comes.

    An answer that cannot be ended is broken off: its client must not take it for the whole.
    """

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        opened: AsyncExitStack,
        *,
        headers: dict[str, str],
        media_type: str,
    ) -> None:
        super().__init__(pieces, headers=headers, media_type=media_type)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        async with self._opened:
            try:
                await super().__call__(scope, receive, send)
            except (RetryLater, ExportFailed) as error:
                fields = {"path": scope["path"], "cause": str(error), **scope.get("path_params", {})}
                logger.warning("answer broken off", extra=fields)


async def stream_pieces(
    pieces: AsyncIterator[bytes], opened: AsyncExitStack, *, headers: dict[str, str], media_type: str
) -> Streamed:
    """Return an answer whose first piece is there, so that what fails at once is still an error."""
    async with opened:
        first = await anext(pieces, b"")
        return Streamed(_chained(first, pieces), opened.pop_all(), headers=headers, media_type=media_type)


async def stream_export(
    services: Services, video: Video, stored: Stored, name: FormatName, selection: Selection
) -> Streamed:
    """Return a result in a form that a child writes while it is sent.

    Raises:
        Busy: as many as may be are under way.
        ExportFailed: the child ended before it had written anything.
    """
    headers = {"Content-Disposition": disposition(video.filename, video.id, name), "Vary": "Accept"}
    async with AsyncExitStack() as stack:
        stack.enter_context(services.export_places.taken())
        start = stored.first if selection.start is None else await stored.seek(selection.start)
        source = await stack.enter_async_context(stored.whole(start))
        pieces = await stack.enter_async_context(open_export(Order(name, selection), source))
        return await stream_pieces(
            pieces, stack.pop_all(), headers=headers, media_type=FORMATS[name].media_type
        )


async def _chained(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield piece
