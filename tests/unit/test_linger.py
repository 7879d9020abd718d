"""What is made at the same time goes together; nobody waits for what is not being made."""

import asyncio
import gc
import time
from collections.abc import Sequence

import pytest

from app.linger import Linger


class Sink:
    """Keeps what is sent together; nothing has arrived before it is told so."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.arrives = asyncio.Event()
        self.error: Exception | None = None

    async def send(self, items: Sequence[str]) -> None:
        self.sent.append(list(items))
        await self.arrives.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
def sink() -> Sink:
    return Sink()


async def turns() -> None:
    """Let everybody go on as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_nobody_else_adds_to_goes_at_once_and_is_done_when_it_has_arrived(sink: Sink) -> None:
    putting = asyncio.create_task(Linger(sink.send, up_to=8, longest=60).put(["a", "b"]))
    await turns()
    assert sink.sent == [["a", "b"]]
    assert not putting.done()
    sink.arrives.set()
    await asyncio.wait_for(putting, 1)


async def test_it_waits_for_what_is_being_made_and_goes_with_it(sink: Sink) -> None:
    linger = Linger(sink.send, up_to=8, longest=60)
    with linger.making():
        first = asyncio.create_task(linger.put(["a"]))
        await turns()
        assert sink.sent == []
    second = asyncio.create_task(linger.put(["b", "c"]))
    await turns()
    assert sink.sent == [["a", "b", "c"]]
    assert not first.done()
    sink.arrives.set()
    await asyncio.wait_for(asyncio.gather(first, second), 1)


async def test_as_many_as_may_be_sent_together_wait_for_nobody(sink: Sink) -> None:
    sink.arrives.set()
    linger = Linger(sink.send, up_to=3, longest=60)
    with linger.making():
        await asyncio.wait_for(asyncio.gather(linger.put(["a"]), linger.put(["b", "c"])), 1)
    assert sink.sent == [["a", "b", "c"]]


async def test_no_more_are_sent_together_than_may_be(sink: Sink) -> None:
    sink.arrives.set()
    linger = Linger(sink.send, up_to=3, longest=60)
    with linger.making():
        first = asyncio.create_task(linger.put(["a", "b"]))
        await turns()
        second = asyncio.create_task(linger.put(["c", "d"]))
        await turns()
        assert sink.sent == [["a", "b"]]
        await asyncio.wait_for(first, 1)
        assert not second.done()
    await linger.put([])
    await asyncio.wait_for(second, 1)
    assert sink.sent == [["a", "b"], ["c", "d"]]


async def test_nobody_waits_longer_than_the_longest(sink: Sink) -> None:
    sink.arrives.set()
    linger = Linger(sink.send, up_to=8, longest=0.1)
    began = time.monotonic()
    with linger.making():
        await asyncio.wait_for(linger.put(["a"]), 5)
        assert time.monotonic() - began > 0.09
        await asyncio.wait_for(linger.put(["b"]), 5)  # the next waits as long, from its own beginning
        assert time.monotonic() - began > 0.18
    assert sink.sent == [["a"], ["b"]]


async def test_a_timer_of_what_is_gone_sends_nothing_of_the_next_too_soon(sink: Sink) -> None:
    sink.arrives.set()
    linger = Linger(sink.send, up_to=2, longest=0.2)
    with linger.making():
        first = asyncio.create_task(linger.put(["a"]))
        await asyncio.sleep(0.1)
        await asyncio.gather(first, linger.put(["b"]))
        began = time.monotonic()
        await asyncio.wait_for(linger.put(["c"]), 5)
        assert time.monotonic() - began > 0.19


async def test_who_stops_making_because_it_fails_is_waited_for_no_longer(sink: Sink) -> None:
    sink.arrives.set()
    linger = Linger(sink.send, up_to=8, longest=60)
    with pytest.raises(ValueError, match="no picture"), linger.making():
        raise ValueError("no picture")
    await asyncio.wait_for(linger.put(["a"]), 1)
    assert sink.sent == [["a"]]


async def test_a_failure_is_that_of_everybody_who_waited_and_of_nobody_else(sink: Sink) -> None:
    sink.error = error = ConnectionError("no broker")
    sink.arrives.set()
    linger = Linger(sink.send, up_to=2, longest=60)
    with linger.making():
        first, second = await asyncio.gather(linger.put(["a"]), linger.put(["b"]), return_exceptions=True)
    assert first is error
    assert second is error
    sink.error = None
    await asyncio.wait_for(linger.put(["c"]), 1)


async def test_who_is_cancelled_takes_nothing_back_and_a_failure_that_nobody_awaits_is_no_noise(
    sink: Sink,
) -> None:
    noise: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, said: noise.append(said))
    linger = Linger(sink.send, up_to=8, longest=60)
    putting = asyncio.create_task(linger.put(["a"]))
    await turns()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    sink.error = ConnectionError("no broker")
    sink.arrives.set()
    await turns()
    gc.collect()
    assert sink.sent == [["a"]]
    assert noise == []


async def test_whoever_waits_is_cancelled_when_sending_is() -> None:
    async def send(_items: Sequence[str]) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(Linger(send, up_to=8).put(["a"]), 1)
