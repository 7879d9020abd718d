"""Calls in threads: those whose server answers take as long as they take, the others are left behind."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from app.clients import lanes
from app.clients.lanes import PatientLane, QuickLane


class Server:
    """Something that calls wait for.

    Attributes:
        cause: why it seems to hang; None while it answers.
        is_free: set when it lets go of every call.
        asked: has a place for each time it was asked whether it hangs.
    """

    def __init__(self) -> None:
        self.cause: str | None = None
        self.is_free = threading.Event()
        self.asked = asyncio.Semaphore(0)

    async def ask(self) -> str | None:
        self.asked.release()
        return self.cause

    def work(self, answer: int = 0) -> int:
        self.is_free.wait(30)
        return answer


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(lanes, "SETTLE_WITHIN", 0.05)


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.is_free.set()


@pytest.fixture
async def lane(server: Server) -> AsyncIterator[PatientLane]:
    opened = PatientLane("test", 2, server.ask)
    yield opened
    opened.close()


async def until_asked(server: Server, times: int) -> None:
    async with asyncio.timeout(20):
        for _ in range(times):
            await server.asked.acquire()


async def test_a_call_that_takes_long_goes_on_while_its_server_answers(
    lane: PatientLane, server: Server
) -> None:
    call = asyncio.create_task(lane.run(server.work, 7))
    await until_asked(server, 5)
    server.is_free.set()
    assert await call == 7


async def test_what_a_call_raises_is_raised(lane: PatientLane) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await lane.run(int, "x")


async def test_a_call_is_left_behind_when_its_server_hangs(lane: PatientLane, server: Server) -> None:
    server.cause = "no answer"
    with pytest.raises(TimeoutError, match="no answer"):
        await lane.run(server.work)
    with pytest.raises(TimeoutError):
        await lane.settle()
    server.is_free.set()
    await lane.settle()


async def test_who_comes_when_the_server_is_back_does_not_queue_behind_what_hangs(
    lane: PatientLane, server: Server
) -> None:
    server.cause = "no answer"
    calls = [asyncio.create_task(lane.run(server.work)) for _ in range(5)]
    await asyncio.wait(calls)
    assert all(isinstance(call.exception(), TimeoutError) for call in calls)
    server.cause = None
    async with asyncio.timeout(20):
        assert await lane.run(int, "7") == 7


async def test_only_so_many_calls_are_left_behind(
    lane: PatientLane, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MOST_LEFT", 3)
    server.cause = "no answer"
    for _ in range(3):
        with pytest.raises(TimeoutError, match="no answer"):
            await lane.run(server.work)
    with pytest.raises(TimeoutError, match="3 calls hang"):
        await lane.run(server.work)
    server.is_free.set()
    await lane.settle()
    assert await lane.run(server.work, 7) == 7


async def test_a_cancelled_caller_waits_for_the_end_of_its_call_but_not_for_a_server_that_hangs(
    lane: PatientLane, server: Server
) -> None:
    call = asyncio.create_task(lane.run(server.work))
    await until_asked(server, 1)
    call.cancel()
    await until_asked(server, 3)
    assert not call.done()
    server.cause = "no answer"
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_quick_call_is_given_up_in_time(server: Server) -> None:
    lane = QuickLane("quick", 1)
    with pytest.raises(TimeoutError):
        await lane.run(server.work, 0.05)
    lane.close()
