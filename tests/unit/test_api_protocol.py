"""How much of what has come is parsed before others have their turn."""

import asyncio
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from api.protocol import SLICE, BoundedProtocol

READ_AT_ONCE = 256 << 10
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n"
BEHIND = b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 40_000 + b"\r\n"
"""A head of many more fields than are allowed, and larger than a slice."""


class Wire(asyncio.Transport):
    """Takes every answer at once."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401  # as asyncio
        return ("127.0.0.1", 80) if name.endswith("name") else default

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def write(self, data: object) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were parsed at a time."""
    sizes: list[int] = []
    plain = H11Protocol.data_received

    def data_received(self: H11Protocol, data: bytes) -> None:
        sizes.append(len(data))
        plain(self, data)

    monkeypatch.setattr(H11Protocol, "data_received", data_received)
    return sizes


async def read_all(_scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  # as ASGI
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


async def receive(data: bytes, parsed: list[int], *, until: int) -> None:
    """Let a connection receive bytes as a socket gives them, until so many are parsed."""
    config = Config(read_all, http=BoundedProtocol, lifespan="off", log_config=None)
    config.load()
    protocol = BoundedProtocol(config=config, server_state=ServerState(), app_state={})
    protocol.connection_made(Wire())
    for start in range(0, len(data), READ_AT_ONCE):
        protocol.data_received(data[start : start + READ_AT_ONCE])
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        while sum(parsed) < until:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.001)
    protocol.connection_lost(None)


@pytest.mark.parametrize("size", [0, 1, SLICE, READ_AT_ONCE, 900_001])
async def test_an_announced_body_is_handed_on_whole_and_a_head_behind_it_in_slices(
    parsed: list[int], size: int
) -> None:
    head = HEAD % b"Content-Length: %d" % size
    await receive(head + b"x" * size + BEHIND, parsed, until=len(head) + size + 1)
    end = 0
    for each in parsed:
        end += each
        if end > len(head) + size:
            assert each <= SLICE, "what is behind a body is parsed in slices"
    if size > READ_AT_ONCE:
        assert max(parsed) > 4 * SLICE


@pytest.mark.parametrize("announced", [b"", b"Content-Length: 900001\r\n"])
async def test_a_body_in_chunks_is_parsed_in_slices(parsed: list[int], announced: bytes) -> None:
    head = HEAD % (announced + b"Transfer-Encoding: chunked")
    data = head + b"%x\r\n" % 900_001 + b"x" * 900_001 + b"\r\n0\r\n\r\n"
    await receive(data, parsed, until=len(data))
    assert max(parsed) <= SLICE
