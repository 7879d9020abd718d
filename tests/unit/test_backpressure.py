"""Splitting pauses while too many pictures wait; the video that has had the least goes on first."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from app import backpressure
from app.backpressure import BATCH, Backlog, Census, Gate
from app.errors import Unavailable


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure, "LOOK_EVERY", 0.0)


class Kafka:
    """A broker with so many waiting tasks and workers."""

    def __init__(self, waiting: int = 0, workers: int = 1, runners: int = 1) -> None:
        self.waiting, self.workers, self.runners = waiting, workers, runners
        self.is_away, self.looks = False, 0

    async def look(self) -> Backlog:
        self.looks += 1
        if self.is_away:
            raise Unavailable("Kafka", "the test took it away")
        return Backlog(self.waiting, self.workers, self.runners)


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


async def one_frame(gate: Gate, share: int) -> None:
    """A video of one frame."""
    with gate.video() as turn:
        await turn.admit(share)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
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
            with gate.video() as turn:
                for number in range(count):
                    await turn.admit(number)
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
            await asyncio.wait_for(one_frame(gate, number), 5)
            kafka.waiting += 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one_frame(gate, 6), 0.01)


async def test_runners_that_look_at_the_same_time_pass_the_bound_by_a_batch_for_each_video_at_most() -> None:
    bound, runners, videos = 64, 3, 2
    kafka = Kafka(runners=runners)
    most = 0

    async def send(gate: Gate) -> None:
        nonlocal most
        with gate.video() as turn:
            for number in itertools.count():
                await turn.admit(number)
                await asyncio.sleep(0)  # on its way
                kafka.waiting += 1
                most = max(most, kafka.waiting)

    async with AsyncExitStack() as opened:
        gates = [await opened.enter_async_context(running(kafka, bound)) for _ in range(runners)]
        sending = [asyncio.create_task(send(gate)) for gate in gates for _ in range(videos)]
        for _ in range(20):
            await until(lambda: kafka.waiting >= bound)
            await some_looks(kafka)
            kafka.waiting -= 30
        for task in sending:
            task.cancel()
    assert bound <= most <= bound + runners * videos * BATCH


async def test_a_runner_that_is_alone_looks_once_for_all_the_room_there_is() -> None:
    kafka = Kafka(waiting=4)
    async with running(kafka, bound=64) as gate:
        with gate.video() as turn:
            for number in range(60):
                await asyncio.wait_for(turn.admit(number), 5)
        assert kafka.looks == 1


async def test_members_are_counted_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"inference": 2, "runner": 0}
    asked: list[str] = []

    async def count(group: str) -> int:
        asked.append(group)
        return counts[group]

    census = Census(count)
    assert [await census.members("inference") for _ in range(3)] == [2, 2, 2]
    assert await census.members("runner") == 1, "we are there, whatever the broker knows yet"
    assert asked == ["inference", "runner"]

    monkeypatch.setattr(backpressure, "COUNT_EVERY", 0.0)
    again = Census(count)
    assert [await again.members("inference") for _ in range(2)] == [2, 2]
    counts["inference"] = 3
    assert await again.members("inference") == 3


async def test_our_own_unconfirmed_sends_count() -> None:
    kafka = Kafka()
    async with running(kafka, bound=3) as gate:
        gate.unconfirmed = lambda: 3
        waiting = asyncio.create_task(one_frame(gate, 0))
        await some_looks(kafka)
        assert not waiting.done()
        gate.unconfirmed = lambda: 2
        await asyncio.wait_for(waiting, 5)


async def test_the_video_that_has_had_the_least_goes_first() -> None:
    kafka = Kafka(waiting=9)
    async with running(kafka, bound=1) as gate:
        order: list[str] = []

        async def wait(name: str, share: int) -> None:
            await one_frame(gate, share)
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


async def test_who_goes_first_gets_several_frames_at_a_time() -> None:
    kafka = Kafka(waiting=9)
    async with running(kafka, bound=10) as gate:
        sent: list[str] = []

        async def send(name: str, share: int, frames: int) -> None:
            with gate.video() as turn:
                for number in range(frames):
                    await turn.admit(share + number)
                    sent.append(name)
                    kafka.waiting += 1

        long, clip = (asyncio.create_task(send(*each)) for each in (("long", 500, 99), ("clip", 0, 5)))
        await until(lambda: sent == ["clip"])
        kafka.waiting = 6
        await until(clip.done)
        await some_looks(kafka)
        assert sent == ["clip"] * 5, "although the long video waits all the time"
        long.cancel()


async def test_who_has_used_up_what_it_got_is_looked_after_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure, "LOOK_EVERY", 60.0)
    async with running(Kafka(runners=2), bound=64) as gate:
        with gate.video() as turn:
            for number in range(3 * BATCH):
                await asyncio.wait_for(turn.admit(number), 5)


async def test_what_was_granted_counts_until_its_video_is_done() -> None:
    kafka = Kafka()
    async with running(kafka, bound=BATCH) as gate:
        with gate.video() as turn:
            await turn.admit(0)
            assert turn.granted == BATCH - 1
            kafka.waiting = 1
            other = asyncio.create_task(one_frame(gate, 0))
            await some_looks(kafka)
            assert not other.done()
        await asyncio.wait_for(other, 5)


async def test_a_video_that_is_cancelled_while_it_waits_takes_no_place() -> None:
    kafka = Kafka(waiting=1)
    async with running(kafka, bound=1) as gate:
        cancelled, waiting = asyncio.create_task(one_frame(gate, 0)), asyncio.create_task(one_frame(gate, 1))
        await some_looks(kafka)
        cancelled.cancel()
        kafka.waiting = 0
        await asyncio.wait_for(waiting, 5)


async def test_nothing_is_admitted_while_the_broker_is_away_and_all_goes_on_afterwards() -> None:
    kafka = Kafka()
    kafka.is_away = True
    async with running(kafka, bound=1) as gate:
        waiting = asyncio.create_task(one_frame(gate, 0))
        await some_looks(kafka)
        assert not waiting.done()
        assert gate.is_world_away
        kafka.is_away = False
        await asyncio.wait_for(waiting, 5)
        assert not gate.is_world_away


async def test_nobody_looks_while_nobody_waits() -> None:
    kafka = Kafka()
    async with running(kafka, bound=5) as gate:
        await one_frame(gate, 0)
        looks = kafka.looks
        for _ in range(50):
            await asyncio.sleep(0)
        assert kafka.looks == looks
