"""A knock on the outbox worker's door never keeps anybody waiting and never fails."""

import asyncio

import httpx
import pytest

from app.clients.http.wake import Waker


class Door(httpx.AsyncBaseTransport):
    """Keeps what it is asked, and answers when it is opened."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self.opened = asyncio.Event()
        self.was_asked = asyncio.Event()
        self._error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        self.was_asked.set()
        await self.opened.wait()
        if self._error:
            raise self._error
        return httpx.Response(200)


async def knock(door: Door, *, times: int) -> None:
    async with httpx.AsyncClient(transport=door, base_url="http://outbox") as client:
        waker = Waker(client)
        for _ in range(times):
            waker.wake()
            await asyncio.sleep(0)
        door.opened.set()
        await asyncio.wait_for(door.was_asked.wait(), 5)
        await waker.finish()


async def test_several_knocks_at_once_are_one() -> None:
    door = Door()
    await knock(door, times=5)
    assert door.asked == ["POST /wake"]


@pytest.mark.parametrize("error", [httpx.ConnectError("no"), httpx.ReadTimeout("no")])
async def test_a_worker_that_is_away_is_no_error(error: Exception) -> None:
    door = Door(error)
    await knock(door, times=1)
    assert door.asked == ["POST /wake"]
