"""A worker sets aside what it cannot handle, and stops when a message is held for too long."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from app.clients.kafka.broker import Broker, Partition, SetAside
from app.delivery import Delivered, Delivery, Route
from app.domain.messages import FramesMissing
from app.errors import Malformed, RetryLater, Unavailable
from app.settings import Settings
from app.streaming import forgotten
from app.topics import VIDEO_GAPS
from app.worker import Worker, create_worker
from tests.support.streams import event


class KeptBroker:
    """Keeps what is asked of it.

    Attributes:
        is_away: while it is set, pings are not answered.
        pings: how many there were.
        trims: how often it was asked to remove what was read.
        removed: what it was asked to remove, each time that it was anything.
        read: up to where the group has committed.
        ids: of the topics that it has.
    """

    def __init__(self) -> None:
        self.aside: list[tuple[str, SetAside]] = []
        self.is_away = False
        self.pings = 0
        self.trims = 0
        self.removed: list[dict[Partition, int]] = []
        self.read = 7
        self.ids: dict[str, str] = {}
        self.end = 8

    async def ping(self) -> None:
        self.pings += 1
        if self.is_away:
            raise Unavailable("Kafka", "the test took it away")

    async def set_aside(self, topic: str, *, message: SetAside) -> None:
        self.aside.append((topic, message))

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        if self.is_away:
            raise Unavailable("Kafka", "the test took it away")
        return {name: self.ids[name] for name in topics if name in self.ids}

    async def trim(self, upto: Mapping[Partition, int]) -> None:
        self.trims += 1
        self.removed += [dict(upto)] if upto else []

    async def committed(self, _group: str) -> dict[Partition, int]:
        return {Partition("video_gaps", 0): self.read}

    async def log_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, self.end)

    async def log_starts(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 3)


@dataclass
class Held:
    """An agent's delivery, what watches it, and why the process was to stop."""

    worker: Worker[None]
    delivery: Delivery
    watching: asyncio.Task[Any] | None = None
    stopped: list[str] = field(default_factory=list)

    async def stop_unsafe(self, reason: str, error: BaseException | None = None) -> None:  # noqa: ARG002
        self.stopped.append(reason)
        await asyncio.Event().wait()

    def watch(self) -> None:
        self.watching = asyncio.create_task(self.worker.upkeep.watch_for_ever())


@asynccontextmanager
async def open_nothing(_settings: Settings) -> AsyncIterator[None]:
    yield None


@pytest.fixture
def broker() -> KeptBroker:
    return KeptBroker()


@pytest.fixture
def worker(tmp_path: Path, broker: KeptBroker) -> Worker[None]:
    made = create_worker("role", Settings(data_dir=tmp_path), open_nothing)
    made.broker = cast("Broker", broker)
    return made


async def test_what_is_set_aside_keeps_its_bytes_its_place_and_its_reason(
    worker: Worker[None], broker: KeptBroker
) -> None:
    broken = event(VIDEO_GAPS, b"{", offset=7, key=b"a", partition=1)
    await worker.set_aside(broken, Malformed("FramesMissing", "no JSON"))
    ((topic, message),) = broker.aside
    assert (topic, message.position, message.key, message.body) == ("rejected", "video_gaps/1/7", b"a", b"{")
    assert message.headers.pop("time").endswith("+00:00")
    assert message.headers == {"code": "malformed", "reason": "FramesMissing cannot be read: no JSON"}


async def test_a_message_without_a_value_can_be_set_aside(worker: Worker[None], broker: KeptBroker) -> None:
    await worker.set_aside(event(VIDEO_GAPS, None, key=None), Malformed("FramesMissing", "no value"))
    assert (broker.aside[0][1].key, broker.aside[0][1].body) == (None, b"")


async def test_a_partition_goes_on_where_it_was_committed_or_where_the_log_begins(
    worker: Worker[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assigned = [Partition("video_gaps", 0), Partition("video_gaps", 1)]
    monkeypatch.setattr(worker, "assigned_streams", lambda: assigned)
    assert await worker.first_unread() == {assigned[0]: 7, assigned[1]: 3}


async def test_a_commit_beyond_the_end_of_the_log_is_of_messages_that_are_gone(
    worker: Worker[None], broker: KeptBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assigned = [Partition("video_gaps", 0)]
    monkeypatch.setattr(worker, "assigned_streams", lambda: assigned)
    broker.end = 6
    assert await worker.first_unread() == {assigned[0]: 3}


@pytest.fixture
async def held(worker: Worker[None], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Held]:
    """A worker whose one agent has held a message for days."""

    async def handle(_batch: Sequence[Delivered[FramesMissing]]) -> None:
        """Handle by doing nothing."""

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    worker.deliver("agent", Route(VIDEO_GAPS, handle))
    made = Held(worker, worker.deliveries["agent"])
    made.delivery.suspects.take(["video_gaps/0/7"])
    made.delivery.holding.taken["video_gaps/0/7"] = time.monotonic() - 1_000_000
    monkeypatch.setattr(worker, "stop_unsafe", made.stop_unsafe)
    monkeypatch.setattr(worker, "sleep", at_once)
    yield made
    if made.watching is not None:
        made.watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await made.watching


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


async def test_a_message_that_is_held_for_too_long_stops_the_process_and_is_accused(held: Held) -> None:
    held.watch()
    await until(lambda: bool(held.stopped))
    assert held.stopped == ["agent agent has held a message for more than 300 s"]
    held.delivery.suspects.put_down(["video_gaps/0/7"])  # as the loop does when it is stopped
    assert held.delivery.suspects.in_hand == {"video_gaps/0/7"}


async def test_a_broker_that_is_away_is_an_excuse(broker: KeptBroker, held: Held) -> None:
    broker.is_away = True
    held.watch()
    await until(lambda: held.delivery.holding.held(time.monotonic()) < 300)
    assert held.stopped == []
    assert broker.pings == 1


TOPICS = {"inference_tasks": "first", "results-frames-changelog": "second"}


@dataclass
class Looking:
    """A worker that looks at its topics in turns, each of which a test waits for."""

    worker: Worker[None]
    broker: KeptBroker
    stopped: list[str] = field(default_factory=list)
    _turns: asyncio.Queue[None] = field(default_factory=lambda: asyncio.Queue(1))

    async def stop_unsafe(self, reason: str, error: BaseException | None = None) -> None:  # noqa: ARG002
        self.stopped.append(reason)
        await asyncio.Event().wait()

    async def sleep(self, _seconds: float) -> None:
        await self._turns.get()

    async def look(self) -> None:
        """Let the worker look once."""
        await self._turns.put(None)
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def looking(
    worker: Worker[None], broker: KeptBroker, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Looking]:
    made = Looking(worker, broker)
    broker.ids = dict(TOPICS)
    worker.upkeep.know_topics(TOPICS)
    monkeypatch.setattr(worker, "stop_unsafe", made.stop_unsafe)
    monkeypatch.setattr(worker, "sleep", made.sleep)
    task = asyncio.create_task(worker.upkeep.tidy_for_ever())
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_topics_that_are_gone_twice_in_a_row_stop_the_process_with_their_names(
    looking: Looking,
) -> None:
    del looking.broker.ids["inference_tasks"]
    await looking.look()
    assert looking.stopped == []
    await looking.look()
    (reason,) = looking.stopped
    assert reason.startswith("Kafka has lost inference_tasks. ")
    assert "'kadr recover'" in reason


async def test_a_topic_that_was_made_anew_is_another_one(looking: Looking) -> None:
    looking.broker.ids["results-frames-changelog"] = "third"
    await looking.look()
    await looking.look()
    assert [reason.partition(".")[0] for reason in looking.stopped] == [
        "Kafka has lost results-frames-changelog"
    ]


async def test_a_broker_that_does_not_show_its_topics_yet_has_not_lost_them(looking: Looking) -> None:
    for _ in range(3):
        looking.broker.ids = {}
        await looking.look()
        looking.broker.ids = dict(TOPICS)
        await looking.look()
    assert looking.stopped == []
    assert looking.broker.trims == 3, "nothing is removed on a suspicion"


async def test_what_was_removed_is_not_removed_again(
    looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    gaps = Partition("video_gaps", 0)
    monkeypatch.setattr(looking.worker, "assigned_streams", lambda: [gaps])
    await looking.look()
    await looking.look()
    looking.broker.read = 8
    await looking.look()
    assert looking.broker.removed == [{gaps: 7}, {gaps: 8}]


async def test_a_broker_that_is_away_has_lost_nothing(looking: Looking) -> None:
    looking.broker.is_away = True
    for _ in range(3):
        await looking.look()
    assert looking.stopped == []


async def test_a_message_that_nobody_brings_stops_the_process(
    looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgotten, "AFTER", 0.0)
    monkeypatch.setattr(looking.worker, "assigned_streams", lambda: [Partition("video_gaps", 0)])
    await looking.look()
    assert looking.stopped == [], "as long as nothing is assigned for good"
    looking.worker.was_assigned = True

    await looking.look()

    assert looking.stopped == ["nobody brings the next message of video_gaps/0"]


async def test_nothing_is_handled_of_topics_that_are_not_those_of_the_start(
    worker: Worker[None], broker: KeptBroker
) -> None:
    worker.upkeep.know_topics(TOPICS)
    broker.ids = TOPICS | {"inference_tasks": "third"}
    with pytest.raises(RetryLater, match="inference_tasks"):
        await worker.first_unread()


async def test_a_loop_that_something_cancels_does_not_end_without_a_word(
    worker: Worker[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []

    async def stop_unsafe(_worker: Worker[None], reason: str) -> None:
        stopped.append(reason)

    async def wait_for_ever() -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.cancel()  # as Faust does with whoever waits for room in a queue
        await waiting

    monkeypatch.setattr(Worker, "stop_unsafe", stop_unsafe)
    await worker._execute_task(wait_for_ever())
    assert len(stopped) == 1
    assert "wait_for_ever was cancelled" in stopped[0]


async def test_a_loop_may_be_cancelled_while_the_worker_stops(
    worker: Worker[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stop_unsafe(_worker: Worker[None], reason: str) -> None:
        raise AssertionError(reason)

    monkeypatch.setattr(Worker, "stop_unsafe", stop_unsafe)
    worker._stopped.set()
    running = asyncio.create_task(worker._execute_task(asyncio.sleep(60)))
    await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert running.done()
