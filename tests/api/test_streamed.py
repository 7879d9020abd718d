"""An answer that cannot be ended is broken off, and whatever it came from is closed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from starlette.types import Message

from api.results.streamed import stream_pieces
from app.errors import Unavailable
from app.exports.process import ExportFailed

SCOPE = {"type": "http", "path": "/x", "asgi": {"spec_version": "2.4"}}


async def receive() -> Message:
    return {"type": "http.request"}


@pytest.mark.parametrize("error", [Unavailable("S3", "away"), ExportFailed("ran out of memory")])
async def test_what_fails_midway_never_looks_like_the_whole(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"
        raise error

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    closed: list[str] = []
    opened = AsyncExitStack()
    opened.callback(closed.append, "closed")
    answer = await stream_pieces(pieces(), opened, headers={}, media_type="text/csv")
    assert closed == []
    await answer(SCOPE, receive, send)
    assert [message.get("body") for message in sent[1:]] == [b"a", b"b"]
    assert all(message["more_body"] for message in sent[1:])
    assert closed == ["closed"]
    assert [record.message for record in caplog.records] == ["answer broken off"]


async def test_what_fails_at_once_is_an_error_and_no_answer() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for server in ("S3",):
            raise Unavailable(server, "away")
        yield b""

    closed: list[str] = []
    opened = AsyncExitStack()
    opened.callback(closed.append, "closed")
    with pytest.raises(Unavailable):
        await stream_pieces(pieces(), opened, headers={}, media_type="text/csv")
    assert closed == ["closed"]
