"""A worker sets aside what it cannot handle, and stops when a message is held for too long."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from app.clients.broker import Broker, Partition, SetAside
from app.delivery import Delivered, Delivery, Route
from app.domain.messages import FramesMissing
from app.errors import Malformed, Unavailable
from app.settings import Settings
from app.topics import VIDEO_GAPS
from app.worker import Worker, create_worker
from tests.support.streams import event


class KeptBroker:
    """Keeps what is asked of it.

    Attributes:
        is_away: while it is set, pings are not answered.
        pings: how many there were.
    """

    def __init__(self) -> None:
        self.aside: list[tuple[str, SetAside]] = []
        self.is_away = False
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        if self.is_away:
            raise Unavailable("Kafka", "the test took it away")

    async def set_aside(self, topic: str, *, message: SetAside) -> None:
        self.aside.append((topic, message))

    async def committed(self, _group: str) -> dict[Partition, int]:
        return {Partition("video_gaps", 0): 7}

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
        self.watching = asyncio.create_task(self.worker._watch_for_ever())


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
    async with asyncio.timeout(5):
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
