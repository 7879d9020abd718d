"""A small role on the real broker, in the test's own process: two agents, one table, our delivery loop."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from app import worker as worker_module
from app.clients.kafka.broker import Broker, open_broker
from app.delivery import Delivered, Route
from app.domain.messages import FramesMissing, VideoEnded, encode
from app.settings import Settings
from app.streaming.durable_table import DurableTable, on_behalf_of
from app.topics import KEPT, REJECTED, STREAM, Contract
from app.worker import Worker, create_worker

PARTITIONS = 2
READY_SECONDS = 60.0


async def until(is_so: Callable[[], Any], *, seconds: float = READY_SECONDS) -> None:
    """Return as soon as something is so; fail when it is not so in time."""
    deadline = time.monotonic() + seconds
    while not (found := is_so()) or (isinstance(found, Awaitable) and not await found):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


Handle = Callable[[Sequence[Delivered[Any]]], Awaitable[None]]


async def _nothing(_batch: Sequence[Delivered[Any]]) -> None:
    """Handle by doing nothing."""


@dataclass
class Role:
    """Two topics with an agent for each, and a table beside them.

    Attributes:
        delivered: every event that the handler was called with: topic, partition and offset.
    """

    settings: Settings
    group: str = field(default_factory=lambda: f"assume-{uuid4().hex[:8]}")
    delivered: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gaps = Contract(f"{self.group}-gaps", FramesMissing)
        self.ends = Contract(f"{self.group}-ends", VideoEnded)

    @property
    def streams(self) -> tuple[Contract[Any], ...]:
        return (self.gaps, self.ends)

    def topics(self) -> dict[str, tuple[int, dict[str, str]]]:
        mine = {contract.name: (PARTITIONS, STREAM) for contract in self.streams}
        return mine | {REJECTED: (1, KEPT)}

    async def send(self, contract: Contract[Any], *values: bytes, partition: int = 0) -> None:
        """Write messages into a partition and wait for the broker."""
        address = self.settings.kafka_bootstrap_servers
        async with AIOKafkaProducer(bootstrap_servers=address, acks="all") as producer:
            for value in values:
                await producer.send_and_wait(contract.name, value, partition=partition)

    async def read(self, topic: str, count: int) -> list[ConsumerRecord[bytes, bytes]]:
        """Read so many records of a topic from its beginning."""
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=self.settings.kafka_bootstrap_servers, auto_offset_reset="earliest"
        )
        async with consumer, asyncio.timeout(READY_SECONDS):
            return [await consumer.getone() for _ in range(count)]

    @asynccontextmanager
    async def running(
        self, handle: Handle = _nothing, *, datadir: Path | None = None, up_to: int = 8, in_flight: int = 1
    ) -> AsyncIterator["Running"]:
        """Run a worker of this role while the block does; it has its partitions when the block begins."""
        update = {} if datadir is None else {"data_dir": datadir}
        worker = create_worker(self.group, self.settings.model_copy(update=update), _open_nothing)
        worker.conf.web_enabled = False
        table = worker.durable_table("rows", description="what the tests write")
        running = Running(worker, table)

        async def note(batch: Sequence[Delivered[Any]]) -> None:
            messages = [each.event.message for each in batch]
            self.delivered += [(each.topic, each.partition, each.offset) for each in messages]
            await handle(batch)

        for contract in self.streams:
            worker.deliver(contract.name, Route(contract, note), up_to=up_to, in_flight=in_flight)
        worker.finalize()
        await worker.start()
        try:
            await until(lambda: worker.was_assigned and not worker.rebalancing)
            await until(lambda: worker.tables.actives_ready)
            yield running
        finally:
            await worker.stop()


@dataclass
class Running:
    """A worker that runs, and its table."""

    worker: Worker[None]
    table: DurableTable

    def put(self, each: Delivered[Any], key: str, value: bytes) -> None:
        """Write a row where the message of `each` belongs."""
        with on_behalf_of(each.event):
            self.table[key.encode()] = value


@asynccontextmanager
async def _open_nothing(_settings: Settings) -> AsyncIterator[None]:
    yield None


@pytest.fixture
async def broker(servers: Settings) -> AsyncIterator[Broker]:
    async with open_broker(servers.kafka_bootstrap_servers) as opened:
        yield opened


@pytest.fixture
async def role(servers: Settings, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Role:
    """A role whose topics no other test uses."""
    update = {"data_dir": tmp_path, "video_partitions": PARTITIONS, "session_timeout": timedelta(seconds=10)}
    made = Role(servers.model_copy(update=update))
    monkeypatch.setattr(worker_module, "STREAMS", made.streams)
    monkeypatch.setattr(worker_module, "required_topics", lambda _settings: made.topics())
    monkeypatch.setattr(worker_module, "set_up_logs", lambda *_: logging.getLogger("aiokafka").setLevel(50))
    await broker.ensure_topics(made.topics(), replication_factor=1)
    return made


def gap(video_id: str, *frames: int) -> bytes:
    """A message of the first topic."""
    return encode(FramesMissing(video_id, 1, list(frames)))


def end(video_id: str) -> bytes:
    """A message of the second topic."""
    return encode(VideoEnded(video_id, "complete", 1))
