"""Kafka behind the workers' backs: what passes is copied, written again, or passed over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from app.clients.kafka.broker import Broker, Partition, open_broker
from app.rejected import list_rejected
from app.settings import Settings
from app.topics import Contract

LARGEST: Final = 5 << 20
"""Bytes of a message, as the broker takes them."""

AT_MOST: Final = 150
"""Copies that are kept: pictures of 100 KB are 15 MB then."""


Place: TypeAlias = tuple[int, int]
"""Partition and offset of a message."""


@dataclass(frozen=True)
class Copy:
    """A message as it passed."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def video_id(self) -> str:
        """Of whom it is."""
        return (self.key or b"").decode(errors="replace").partition("/")[0]


@dataclass(frozen=True)
class Bypass:
    """Reads and writes streams beside their roles; each call opens what it needs and closes it."""

    settings: Settings

    def publish(self, topic: str, messages: Sequence[Copy]) -> None:
        """Write messages, in this order."""

        async def write() -> None:
            async with self._producer() as producer:
                for each in messages:
                    await _send(producer, topic, each)

        asyncio.run(write())

    def watch(self, topic: Contract[Any], *, seconds: float, until_any: float) -> list[Copy]:
        """Return what passes through a topic, what it still holds included.

        Args:
            topic: to look at.
            seconds: for how long.
            until_any: for how long at most, while nothing has passed.
        """
        return asyncio.run(self._watch(topic, seconds, until_any, _ignore))

    def double(self, topic: Contract[Any], *, seconds: float, until_any: float) -> int:
        """Write each message that passes through a topic once more, at once; return how many."""

        async def double() -> int:
            async with self._producer() as producer:
                copies = await self._watch(
                    topic, seconds, until_any, lambda each: _send(producer, topic.name, each)
                )
            return len(copies)

        return asyncio.run(double())

    async def _watch(
        self,
        topic: Contract[Any],
        seconds: float,
        until_any: float,
        on_each: Callable[[Copy], Awaitable[Place | None]],
    ) -> list[Copy]:
        """Read a topic from the first message that it holds; the answer of `on_each` is passed over."""
        loop = asyncio.get_running_loop()
        start, seen, own = loop.time(), list[Copy](), set[Place | None]()
        async with self._reader(topic) as consumer:
            while len(seen) < AT_MOST and loop.time() - start < (seconds if seen else until_any):
                for records in (await consumer.getmany(timeout_ms=200, max_records=20)).values():
                    for record in records:
                        if (record.partition, record.offset) in own:
                            continue
                        seen.append(Copy(record.key, record.value, tuple(record.headers)))
                        own.add(await on_each(seen[-1]))
        return seen

    @asynccontextmanager
    async def _reader(self, topic: Contract[Any]) -> AsyncIterator[AIOKafkaConsumer]:
        partitions = topic.spread.partitions(self.settings)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # trimmed while it is read
            max_partition_fetch_bytes=LARGEST,
        )
        try:
            await consumer.start()
            consumer.assign([TopicPartition(topic.name, number) for number in range(partitions)])
            await consumer.seek_to_beginning()
            yield consumer
        finally:
            await consumer.stop()

    def _producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers, acks="all", max_request_size=LARGEST
        )

    def unread(self, group: str, topic: Contract[Any]) -> int:
        """Return how many messages of a topic a group has not committed."""

        async def look() -> int:
            async with open_broker(self.settings.kafka_bootstrap_servers) as broker:
                return await broker.lag(group, topic.name, topic.spread.partitions(self.settings))

        return asyncio.run(look())

    def skip(self, group: str, topic: Contract[Any], choose: Callable[[int, int], int]) -> int:
        """Move the offsets of a group without members past unread messages; return past how many.

        Args:
            group: whose.
            topic: of which.
            choose: from which offset to go on in a partition: from the second unread one to the log's end.
        """

        async def move() -> int:
            async with open_broker(self.settings.kafka_bootstrap_servers) as broker:
                spans = await self._unread_spans(broker, group, topic)
            targets = {each: choose(first + 1, end) for each, (first, end) in spans.items()}
            await self._commit(group, targets)
            return sum(targets[each] - first for each, (first, _) in spans.items())

        return asyncio.run(move())

    async def _unread_spans(
        self, broker: Broker, group: str, topic: Contract[Any]
    ) -> dict[Partition, tuple[int, int]]:
        every = [Partition(topic.name, number) for number in range(topic.spread.partitions(self.settings))]
        committed, ends = await broker.committed(group), await broker.log_ends(every)
        starts = await broker.log_starts(every)
        firsts = {each: max(committed.get(each, 0), starts[each]) for each in every}
        return {each: (firsts[each], ends[each]) for each in every if firsts[each] < ends[each]}

    async def _commit(self, group: str, offsets: dict[Partition, int]) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers, group_id=group, enable_auto_commit=False
        )
        try:
            await consumer.start()
            consumer.assign([TopicPartition(*each) for each in offsets])
            await consumer.commit({TopicPartition(*each): offset for each, offset in offsets.items()})
        finally:
            await consumer.stop()

    def set_aside(self) -> dict[bytes, str]:
        """Return the keys of the messages that were set aside, and why."""

        async def look() -> dict[bytes, str]:
            async with open_broker(self.settings.kafka_bootstrap_servers) as broker:
                return {each.key or b"": each.headers["code"] for each in await list_rejected(broker)}

        return asyncio.run(look())


async def _send(producer: AIOKafkaProducer, topic: str, message: Copy) -> Place:
    sent = await producer.send_and_wait(topic, message.value, key=message.key, headers=list(message.headers))
    return sent.partition, sent.offset


async def _ignore(_message: Copy) -> None:
    """Leave the topic as it is."""
