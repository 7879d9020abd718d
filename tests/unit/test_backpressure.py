"""Splitting pauses while too many pictures wait; the video that has had the least goes on first."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from app import backpressure
from app.backpressure import Backlog, Gate
from app.errors import Unavailable


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure, "LOOK_EVERY", 0.0)


class Kafka:
    """A broker with so many waiting tasks and workers."""

    def __init__(self, waiting: int = 0, workers: int = 1) -> None:
        self.waiting, self.workers, self.is_away, self.looks = waiting, workers, False, 0

    async def look(self) -> Backlog:
        self.looks += 1
        if self.is_away:
            raise Unavailable("Kafka", "the test took it away")
        return Backlog(self.waiting, self.workers)


@asynccontextmanager
async def running(kafka: Kafka, bound: int) -> AsyncIterator[Gate]:
    """A gate that grants while the block runs."""
    gate = Gate(kafka.look, bound)
    task = asyncio.create_task(gate.run())
    try:
        yield gate
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


async def some_looks(kafka: Kafka) -> None:
    """Return after the gate has looked at the backlog some more times."""
    before = kafka.looks
    await until(lambda: kafka.looks >= before + 3)


async def test_frames_are_admitted_up_to_the_bound_and_then_wait() -> None:
    kafka = Kafka()
    async with running(kafka, bound=3) as gate:
        admitted: list[int] = []

        async def send(count: int) -> None:
            for number in range(count):
                await gate.admit(number)
                admitted.append(number)
                kafka.waiting += 1

        sending = asyncio.create_task(send(10))
        await until(lambda: len(admitted) == 3)
        await some_looks(kafka)
        assert len(admitted) == 3
        kafka.waiting -= 2
        await until(lambda: len(admitted) == 5)
        await some_looks(kafka)
        assert len(admitted) == 5
        sending.cancel()


async def test_more_workers_let_more_pictures_wait() -> None:
    kafka = Kafka(workers=2)
    async with running(kafka, bound=3) as gate:
        for number in range(6):
            await asyncio.wait_for(gate.admit(number), 5)
            kafka.waiting += 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gate.admit(6), 0.01)


async def test_our_own_unconfirmed_sends_count() -> None:
    kafka = Kafka()
    async with running(kafka, bound=3) as gate:
        gate.unconfirmed = lambda: 3
        waiting = asyncio.create_task(gate.admit(0))
        await some_looks(kafka)
        assert not waiting.done()
        gate.unconfirmed = lambda: 2
        await asyncio.wait_for(waiting, 5)


async def test_the_video_that_has_had_the_least_goes_first() -> None:
    kafka = Kafka(waiting=9)
    async with running(kafka, bound=1) as gate:
        order: list[str] = []

        async def wait(name: str, share: int) -> None:
            await gate.admit(share)
            order.append(name)
            kafka.waiting = 9

        tasks = [
            asyncio.create_task(wait(name, share))
            for name, share in (("long", 500), ("clip", 2), ("longer", 900), ("second clip", 2))
        ]
        await some_looks(kafka)
        for count in range(1, 5):
            kafka.waiting = 0
            await until(lambda: len(order) == count)  # noqa: B023
        await asyncio.gather(*tasks)
    assert order == ["clip", "second clip", "long", "longer"]


async def test_a_video_that_is_cancelled_while_it_waits_takes_no_place() -> None:
    kafka = Kafka(waiting=1)
    async with running(kafka, bound=1) as gate:
        cancelled, waiting = asyncio.create_task(gate.admit(0)), asyncio.create_task(gate.admit(1))
        await some_looks(kafka)
        cancelled.cancel()
        kafka.waiting = 0
        await asyncio.wait_for(waiting, 5)


async def test_nothing_is_admitted_while_the_broker_is_away_and_all_goes_on_afterwards() -> None:
    kafka = Kafka()
    kafka.is_away = True
    async with running(kafka, bound=1) as gate:
        waiting = asyncio.create_task(gate.admit(0))
        await some_looks(kafka)
        assert not waiting.done()
        assert gate.is_world_away
        kafka.is_away = False
        await asyncio.wait_for(waiting, 5)
        assert not gate.is_world_away


async def test_nobody_looks_while_nobody_waits() -> None:
    kafka = Kafka()
    async with running(kafka, bound=5) as gate:
        await gate.admit(0)
        looks = kafka.looks
        for _ in range(50):
            await asyncio.sleep(0)
        assert kafka.looks == looks
