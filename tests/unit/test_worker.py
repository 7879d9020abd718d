"""A worker sets aside what it cannot handle, and stops when a message is held for too long."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from app.clients.broker import Broker, Partition, SetAside
from app.delivery import Delivered, Route
from app.domain.messages import FramesMissing
from app.errors import Malformed
from app.settings import Settings
from app.topics import VIDEO_GAPS
from app.worker import Worker, create_worker
from tests.support.streams import event


class KeptBroker:
    """Keeps what is asked of it."""

    def __init__(self) -> None:
        self.aside: list[tuple[str, SetAside]] = []

    async def set_aside(self, topic: str, *, message: SetAside) -> None:
        self.aside.append((topic, message))

    async def committed(self, _group: str) -> dict[Partition, int]:
        return {Partition("video_gaps", 0): 7}

    async def log_starts(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 3)


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


async def test_a_message_that_is_held_for_too_long_stops_the_process_and_is_accused(
    worker: Worker[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handle(_batch: Sequence[Delivered[FramesMissing]]) -> None:
        """Handle by doing nothing."""

    worker.deliver("agent", Route(VIDEO_GAPS, handle))
    delivery = worker.deliveries["agent"]
    delivery.suspects.take(["video_gaps/0/7"])
    delivery.holding.taken["video_gaps/0/7"] = time.monotonic() - 1_000_000
    stopped: list[str] = []

    async def stop(reason: str, _error: BaseException | None = None) -> None:
        stopped.append(reason)
        await asyncio.Event().wait()

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(worker, "stop_unsafe", stop)
    monkeypatch.setattr(worker, "sleep", at_once)
    watching: asyncio.Task[Any] = asyncio.create_task(worker._watch_for_ever())
    async with asyncio.timeout(5):
        while not stopped:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    assert stopped == ["agent agent has held a message for more than 300 s"]
    delivery.suspects.put_down(["video_gaps/0/7"])  # as the loop does when it is stopped
    assert delivery.suspects.in_hand == {"video_gaps/0/7"}
