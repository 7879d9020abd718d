"""The one loop that acknowledges: a prefix, in order, and nothing before its handler has returned."""

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import delivery as delivery_module
from app.clients.kafka.broker import Partition
from app.delivery import Delivered, Delivery, OnRejected, Route, position_of
from app.domain.messages import FramesMissing
from app.errors import Rejected, StartAgain, Unavailable
from app.suspects import DEATHS, Suspects
from app.topics import VIDEO_GAPS
from tests.support.streams import Keeper, Stream, StreamEvent, event

pytestmark = pytest.mark.usefixtures("expects_errors")

SOON = 5.0
"""Seconds within which everything here has long happened."""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(delivery_module, "LONGEST_PAUSE", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "suspects.json"


def gaps(count: int, *, start: int = 0) -> list[StreamEvent]:
    """Messages that name their own offset."""
    return [
        event(VIDEO_GAPS, FramesMissing("a", 1, [offset]), offset=offset)
        for offset in range(start, start + count)
    ]


@dataclass
class Scripted:
    """A handler that does with each message what its script says; its last word holds for ever."""

    scripts: dict[int, list[str]] = field(default_factory=dict)
    handled: list[int] = field(default_factory=list)
    batches: list[list[int]] = field(default_factory=list)

    async def handle(self, batch: Sequence[Delivered[FramesMissing]]) -> None:
        offsets = [each.message.frames[0] for each in batch]
        self.batches.append(offsets)
        for offset in offsets:
            while (step := self._next(offset)) == "slow":  # noqa: ASYNC110 - gives others a turn
                await asyncio.sleep(0)
            if step == "later":
                raise Unavailable("S3", "the test took it away")
            if step == "rejected":
                raise Rejected("bad", f"{offset} is bad")
            if step == "crash":
                raise ZeroDivisionError(offset)
        self.handled += offsets

    def _next(self, offset: int) -> str:
        script = self.scripts.get(offset, ["ok"])
        return script.pop(0) if len(script) > 1 else script[0]


@asynccontextmanager
async def running(
    stream: Stream,
    handle: Callable[[Sequence[Delivered[Any]]], Any],
    path: Path,
    *,
    keeper: Keeper | None = None,
    on_rejected: OnRejected | None = None,
    up_to: int = 1,
    in_flight: int = 1,
) -> AsyncIterator[Delivery]:
    """A delivery loop that runs while the block does."""
    route = Route(VIDEO_GAPS, handle) if on_rejected is None else Route(VIDEO_GAPS, handle, on_rejected)
    delivery = Delivery(keeper or Keeper(), Suspects(path), route, up_to=up_to, in_flight=in_flight)
    task = asyncio.create_task(delivery.run(stream))
    try:
        yield delivery
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(is_so: Callable[[], bool]) -> None:
    """Return as soon as something is so; fail when it is not so in time."""
    async with asyncio.timeout(SOON):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


def offsets_of(events: list[StreamEvent]) -> list[int]:
    return [each.message.offset for each in events]


STEPS = st.lists(st.sampled_from(["slow", "later"]), max_size=3)
SCRIPTS = st.dictionaries(
    st.integers(0, 11), st.tuples(STEPS, st.sampled_from(["ok", "ok", "rejected", "crash"]))
)


@settings(max_examples=150, deadline=None)
@given(scripts=SCRIPTS, up_to=st.integers(1, 4), in_flight=st.integers(1, 3))
def test_whatever_handlers_do_a_prefix_is_acknowledged_in_order_and_only_what_was_handled(
    scripts: dict[int, tuple[list[str], str]], up_to: int, in_flight: int
) -> None:
    handler = Scripted({offset: [*steps, last] for offset, (steps, last) in scripts.items()})
    rejected = {offset for offset, (_, last) in scripts.items() if last == "rejected"}
    crashing = {offset for offset, (_, last) in scripts.items() if last == "crash"}
    early: list[int] = []

    class Watched(Stream):
        async def ack(self, acknowledged: StreamEvent) -> None:
            await super().ack(acknowledged)
            offset = acknowledged.message.offset
            if offset not in handler.handled and offset not in offsets_of([one for one, _ in keeper.aside]):
                early.append(offset)

    keeper = Keeper()

    async def deliver() -> list[int]:
        stream = Watched(gaps(12))
        with tempfile.TemporaryDirectory() as folder:
            async with running(
                stream, handler.handle, Path(folder) / "s", keeper=keeper, up_to=up_to, in_flight=in_flight
            ):
                await until(lambda: bool(keeper.stopped) or len(stream.acknowledged) == 12)
        return offsets_of(stream.acknowledged)

    acknowledged = asyncio.run(deliver())
    assert acknowledged == list(range(len(acknowledged)))
    assert early == []
    assert bool(keeper.stopped) == bool(crashing)
    if crashing:
        assert len(acknowledged) <= min(crashing)
    else:
        assert {one.message.offset for one, _ in keeper.aside} == rejected


async def test_batches_are_as_large_as_what_is_there(path: Path) -> None:
    handler, stream = Scripted(), Stream(gaps(5))
    async with running(stream, handler.handle, path, up_to=3):
        await until(lambda: len(stream.acknowledged) == 5)
    assert handler.batches == [[0, 1, 2], [3, 4]]


async def test_what_cannot_be_read_is_set_aside_and_its_neighbours_are_handled(path: Path) -> None:
    told: list[str] = []

    async def tell(event: Any, reason: Rejected) -> None:  # noqa: ANN401
        told.append(f"{position_of(event)} {reason.code}")

    bad = [event(VIDEO_GAPS, value, offset=offset) for offset, value in ((1, b"{"), (2, None))]
    handler, keeper = Scripted(), Keeper()
    stream = Stream([*gaps(1), *bad, *gaps(1, start=3)])
    async with running(stream, handler.handle, path, keeper=keeper, on_rejected=tell, up_to=4):
        await until(lambda: len(stream.acknowledged) == 4)
    assert handler.handled == [0, 3]
    assert offsets_of([one for one, _ in keeper.aside]) == [1, 2]
    assert told == ["video_gaps/0/1 malformed", "video_gaps/0/2 malformed"]


async def test_a_message_is_set_aside_also_when_no_video_can_be_told(path: Path) -> None:
    async def refuse(_event: Any, _reason: Rejected) -> None:  # noqa: ANN401
        raise Rejected("bad", "no such video")

    keeper, stream = Keeper(), Stream([event(VIDEO_GAPS, b"{")])
    async with running(stream, Scripted().handle, path, keeper=keeper, on_rejected=refuse):
        await until(lambda: len(stream.acknowledged) == 1)
    assert len(keeper.aside) == 1


async def test_a_crash_in_a_batch_is_our_mistake_and_stops_before_acknowledging(path: Path) -> None:
    keeper, stream = Keeper(), Stream(gaps(3))
    handler = Scripted({1: ["crash"]})
    async with running(stream, handler.handle, path, keeper=keeper, up_to=3):
        await until(lambda: bool(keeper.stopped))
    assert stream.acknowledged == []
    assert Suspects(path).deaths("video_gaps/0/1") == 1


async def test_a_message_that_crashes_its_worker_is_set_aside_at_the_fourth_start(path: Path) -> None:
    for starts in range(1, 2 * DEATHS):  # noqa: B007
        keeper, stream = Keeper(), Stream(gaps(3))
        handler = Scripted({1: ["crash"]})
        async with running(stream, handler.handle, path, keeper=keeper, up_to=3, in_flight=2):
            await until(lambda: bool(keeper.stopped) or len(stream.acknowledged) == 3)  # noqa: B023
        if not keeper.stopped:
            break
    assert starts == DEATHS + 1
    assert [(one.message.offset, reason.code) for one, reason in keeper.aside] == [(1, "worker_crashed")]
    assert sorted(handler.handled) == [0, 2]


async def test_innocent_neighbours_of_a_crash_are_never_set_aside(path: Path) -> None:
    for _ in range(DEATHS + 1):
        keeper, stream = Keeper(), Stream(gaps(8))
        handler = Scripted({5: ["crash"]})
        async with running(stream, handler.handle, path, keeper=keeper, up_to=4, in_flight=2):
            await until(lambda: bool(keeper.stopped) or len(stream.acknowledged) == 8)  # noqa: B023
    assert offsets_of([one for one, _ in keeper.aside]) == [5]


async def test_a_message_that_also_kills_whoever_tells_its_video_is_set_aside_in_silence(path: Path) -> None:
    async def crash(_event: Any, _reason: Rejected) -> None:  # noqa: ANN401
        raise ZeroDivisionError

    for _ in range(DEATHS + 2):
        keeper, stream = Keeper(), Stream(gaps(1))
        handler = Scripted({0: ["crash"]})
        async with running(stream, handler.handle, path, keeper=keeper, on_rejected=crash):
            await until(lambda: bool(keeper.stopped) or len(stream.acknowledged) == 1)  # noqa: B023
    assert offsets_of([one for one, _ in keeper.aside]) == [0]


async def test_a_stop_in_the_middle_accuses_nobody(path: Path) -> None:
    started = asyncio.Event()

    async def hang(_batch: Sequence[Delivered[Any]]) -> None:
        started.set()
        await asyncio.Event().wait()

    for in_flight in (1, 2):
        stream = Stream(gaps(3))
        started.clear()
        async with running(stream, hang, path, in_flight=in_flight):
            await started.wait()
        assert stream.acknowledged == []
    await asyncio.sleep(0)
    assert not Suspects(path).any_left


async def test_an_offset_beyond_the_next_unread_one_stops_before_anything_is_handled(path: Path) -> None:
    handler, stream = Scripted(), Stream(gaps(2, start=7))
    keeper = Keeper({Partition(VIDEO_GAPS.name, 0): 5})
    async with running(stream, handler.handle, path, keeper=keeper):
        await until(lambda: bool(keeper.stopped))
    assert keeper.stopped == ["video_gaps/0: offset 5 was expected, 7 came"]
    assert handler.handled == []
    assert stream.acknowledged == []


async def test_offsets_that_were_seen_before_may_come_again(path: Path) -> None:
    handler, stream = Scripted(), Stream([*gaps(3), *gaps(4, start=1)])
    keeper = Keeper({Partition(VIDEO_GAPS.name, 0): 0})
    async with running(stream, handler.handle, path, keeper=keeper):
        await until(lambda: len(stream.acknowledged) == 7)
    assert keeper.stopped == []


async def test_a_new_assignment_asks_the_broker_again(path: Path) -> None:
    stream, handler = Stream(gaps(2)), Scripted()
    keeper = Keeper({Partition(VIDEO_GAPS.name, 0): 0})
    async with running(stream, handler.handle, path, keeper=keeper) as delivery:
        await until(lambda: len(stream.acknowledged) == 2)
        delivery.forget_assignment()
        keeper.unread = {Partition(VIDEO_GAPS.name, 0): 3}
        stream.put(*gaps(1, start=4))
        await until(lambda: bool(keeper.stopped))
    assert handler.handled == [0, 1]


async def test_what_waits_for_the_world_is_given_up_when_partitions_are_given_out_anew(path: Path) -> None:
    stream, keeper = Stream(gaps(1)), Keeper()
    handler = Scripted({0: ["later"]})
    async with running(stream, handler.handle, path, keeper=keeper) as delivery:
        await until(lambda: delivery.holding.waiting_for is not None)
        delivery.forget_assignment()
        handler.scripts.clear()
        stream.put(*gaps(2))  # the owner, which is us again, gets them once more
        await until(lambda: len(stream.acknowledged) == 2)
    assert offsets_of(stream.acknowledged) == [0, 1]
    assert keeper.stopped == []
    assert delivery.holding.waiting_for is None


@pytest.mark.parametrize("in_flight", [1, 2])
async def test_what_was_done_under_an_earlier_assignment_is_not_acknowledged(
    path: Path, in_flight: int
) -> None:
    stream, keeper = Stream(gaps(1)), Keeper()
    began, may_end = asyncio.Event(), asyncio.Event()
    handled: list[int] = []

    async def handle(batch: Sequence[Delivered[FramesMissing]]) -> None:
        began.set()
        await may_end.wait()
        handled.extend(each.message.frames[0] for each in batch)

    async with running(stream, handle, path, keeper=keeper, in_flight=in_flight) as delivery:
        await began.wait()
        delivery.forget_assignment()  # somebody else read the partition for a while
        may_end.set()
        await until(lambda: handled == [0])
        assert stream.acknowledged == []
        stream.put(*gaps(2))
        await until(lambda: len(stream.acknowledged) == 2)
    assert handled == [0, 0, 1]


async def test_an_answer_about_an_earlier_assignment_is_not_believed(path: Path) -> None:
    handler, stream = Scripted(), Stream(gaps(1, start=9))

    class Slow(Keeper):
        async def first_unread(self) -> dict[Partition, int]:
            if not asked.is_set():
                asked.set()
                await given_out.wait()
                return {Partition(VIDEO_GAPS.name, 0): 4}
            return {Partition(VIDEO_GAPS.name, 0): 6}

    asked, given_out, keeper = asyncio.Event(), asyncio.Event(), Slow()
    async with running(stream, handler.handle, path, keeper=keeper) as delivery:
        await asked.wait()
        delivery.forget_assignment()
        given_out.set()
        stream.put(*gaps(1, start=6))
        await until(lambda: len(stream.acknowledged) == 1)
    assert handler.handled == [6]
    assert keeper.stopped == []


async def test_a_broken_suspects_file_stops_the_process_rather_than_the_stream(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for in_flight in (1, 2):
        keeper, stream = Keeper(), Stream(gaps(2))
        async with running(stream, Scripted().handle, path, keeper=keeper, in_flight=in_flight):
            monkeypatch.setattr(Suspects, "clear", no_space)
            await until(lambda: bool(keeper.stopped))  # noqa: B023
        assert stream.acknowledged == []


async def test_waiting_is_told_once_and_going_on_is_told_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stream = Stream(gaps(3))
    handler = Scripted({0: ["later", "later", "later", "ok"], 1: ["slow", "slow", "slow", "ok"]})
    async with running(stream, handler.handle, path, in_flight=3):
        await until(lambda: len(stream.acknowledged) == 3)
    told = [record.getMessage() for record in caplog.records if record.name == "app.delivery"]
    assert told == ["waiting: S3 is not available: the test took it away", "going on after a wait"]


async def test_time_spent_waiting_for_the_world_is_an_excuse(path: Path) -> None:
    stream = Stream(gaps(1))
    handler = Scripted({0: ["later"]})
    async with running(stream, handler.handle, path) as delivery:
        await until(lambda: delivery.holding.waiting_for is not None)
        taken = next(iter(delivery.holding.taken.values()))
        assert delivery.holding.held(taken + 1000) == 0.0
        handler.scripts.clear()
        await until(lambda: len(stream.acknowledged) == 1)
    assert delivery.holding.held(taken + 1000) == 0.0


async def test_a_handler_that_hangs_has_no_excuse(path: Path) -> None:
    async def hang(_batch: Sequence[Delivered[Any]]) -> None:
        await asyncio.Event().wait()

    async with running(Stream(gaps(1)), hang, path) as delivery:
        await until(lambda: bool(delivery.holding.taken))
        taken = next(iter(delivery.holding.taken.values()))
        assert delivery.holding.held(taken + 1000) == pytest.approx(1000)


async def test_a_process_that_has_to_start_again_accuses_no_message(path: Path) -> None:
    async def handle(_batch: Sequence[Delivered[Any]]) -> None:
        raise StartAgain("the store does not recover")

    keeper = Keeper()
    async with running(Stream(gaps(1)), handle, path, keeper=keeper):
        await until(lambda: bool(keeper.stopped))
    assert not Suspects(path).any_left


async def test_suspects_that_others_read_do_not_make_batches_small(path: Path) -> None:
    Suspects(path).take(["video_gaps/7/1"])
    handler, stream = Scripted(), Stream(gaps(4))
    async with running(stream, handler.handle, path, up_to=4):
        await until(lambda: len(stream.acknowledged) == 4)
    assert handler.batches == [[0, 1, 2, 3]]


async def test_a_suspect_is_handled_alone_after_everything_that_came_before_it(path: Path) -> None:
    Suspects(path).take(["video_gaps/0/3"])
    ours = Partition(VIDEO_GAPS.name, 0)
    keeper, stream, started, may_end = Keeper({}), Stream(gaps(1)), asyncio.Event(), asyncio.Event()
    order: list[str] = []

    async def handle(batch: Sequence[Delivered[FramesMissing]]) -> None:
        offset = batch[0].message.frames[0]
        order.append(f"begin {offset}")
        started.set()
        await may_end.wait()
        order.append(f"end {offset}")

    async with running(stream, handle, path, keeper=keeper, in_flight=2) as delivery:
        await started.wait()
        delivery.forget_assignment()  # and the suspect's partition comes to us
        keeper.unread = {ours: 3}
        stream.put(*gaps(1, start=3))
        await until(lambda: ours in delivery._expected)
        may_end.set()
        await until(lambda: len(stream.acknowledged) == 1)
    assert offsets_of(stream.acknowledged) == [3]
    assert order == ["begin 0", "end 0", "begin 3", "end 3"]


@pytest.mark.usefixtures("expects_errors")
async def test_a_message_that_was_set_aside_is_not_tried_again_when_its_acknowledgement_was_lost(
    tmp_path: Path,
) -> None:
    """The next message may kill the worker as well, before anything is committed."""
    path = tmp_path / "suspects.json"
    events = [event(VIDEO_GAPS, FramesMissing("a", 1, [offset]), offset=offset) for offset in range(2)]
    for _ in range(DEATHS):
        Suspects(path).take(["video_gaps/0/0"])
    tried: list[int] = []

    async def die_of_the_second(batch: Sequence[Delivered[Any]]) -> None:
        tried.extend(each.event.message.offset for each in batch)
        await asyncio.Event().wait()

    async def live() -> list[int]:
        """Let both be delivered, die of the second, and return what was set aside before."""
        keeper = Keeper()
        tried.clear()
        async with running(Stream(events), die_of_the_second, path, keeper=keeper):
            await until(lambda: bool(tried))
            note = path.read_text()
        path.write_text(note)  # a dead process puts nothing down
        return offsets_of([one for one, _ in keeper.aside])

    assert [await live() for _ in range(2)] == [[0], [0]]
    assert tried == [1]
