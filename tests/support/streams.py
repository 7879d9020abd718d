"""A stream, a keeper and a publisher in memory: what an agent sees of Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.clients.kafka.broker import Partition
from app.delivery import Delivered
from app.domain.messages import M, Message, encode
from app.errors import Rejected
from app.publishing import Publisher
from app.topics import STREAMS, Contract


@dataclass(frozen=True)
class StreamMessage:
    """A message as Faust shows it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class StreamEvent:
    """A delivered message."""

    message: StreamMessage


def event(
    contract: Contract[Any],
    message: Message | bytes | None,
    *,
    offset: int = 0,
    key: bytes | None = b"a",
    headers: dict[str, bytes] | None = None,
    partition: int = 0,
) -> StreamEvent:
    """A message of a topic, as delivered."""
    value = message if isinstance(message, bytes) or message is None else encode(message)
    return StreamEvent(StreamMessage(contract.name, partition, offset, key, value, headers or {}))


def delivered(contract: Contract[M], *messages: M) -> list[Delivered[M]]:
    """Messages of one topic, as a handler gets them; each video has its partition."""
    batch = []
    for offset, each in enumerate(messages):
        key = each.video_id.encode()
        delivered = event(contract, each, offset=offset, key=key, partition=sum(key) % 2)
        batch.append(Delivered(each, key, delivered))
    return batch


class Stream:
    """A stream that delivers what was put into it, and keeps what is acknowledged, in order."""

    def __init__(self, events: Iterable[StreamEvent] = ()) -> None:
        self.queue: asyncio.Queue[StreamEvent] = asyncio.Queue()
        self.acknowledged: list[StreamEvent] = []
        self.put(*events)

    @property
    def channel(self) -> "Stream":
        return self

    def put(self, *events: StreamEvent) -> None:
        for each in events:
            self.queue.put_nowait(each)

    def noack(self) -> "Stream":
        return self

    async def events(self) -> AsyncIterator[StreamEvent]:
        while True:
            yield await self.queue.get()

    async def ack(self, acknowledged: StreamEvent) -> None:
        self.acknowledged.append(acknowledged)


@dataclass
class Keeper:
    """A worker that owns everything.

    Attributes:
        unread: what the broker says; as it is, nothing has been read.
        aside: what was set aside.
        stopped: why the process was stopped; after that nothing returns.
    """

    unread: dict[Partition, int] = field(
        default_factory=lambda: {Partition(contract.name, 0): 0 for contract in STREAMS}
    )
    aside: list[tuple[StreamEvent, Rejected]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    async def first_unread(self) -> Mapping[Partition, int]:
        return dict(self.unread)

    async def set_aside(self, event: StreamEvent, reason: Rejected) -> None:
        self.aside.append((event, reason))

    async def stop_unsafe(self, reason: str, error: BaseException | None = None) -> None:  # noqa: ARG002
        self.stopped.append(reason)
        await asyncio.Event().wait()


class KeptPublisher(Publisher):
    """Keeps what is published."""

    def __init__(self) -> None:
        super().__init__({})
        self.published: list[tuple[str, str, Message]] = []

    async def publish_all(self, contract: Contract[M], messages: Sequence[tuple[str, M]]) -> None:
        self.published += [(contract.name, key, message) for key, message in messages]

    async def send(
        self,
        contract: Contract[Any],
        *,
        key: bytes,
        value: bytes,
        headers: dict[str, bytes] | None = None,  # noqa: ARG002
    ) -> Awaitable[Any]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        self.published.append((contract.name, key.decode(), value))  # type: ignore[arg-type]  # raw bytes
        return done

    def of(self, contract: Contract[M]) -> list[M]:
        """The messages of one topic, in order."""
        return [message for name, _key, message in self.published if name == contract.name]  # type: ignore[misc]  # by name
