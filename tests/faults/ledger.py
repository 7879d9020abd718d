"""What Kafka holds: how much is unread, what was set aside, and what the tables would recover to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.clients.kafka.broker import SetAside, open_broker
from app.rejected import list_rejected
from app.settings import Settings
from app.topics import (
    INFERENCE_RESULTS,
    INFERENCE_TASKS,
    OUTBOX_EVENTS,
    VIDEO_GAPS,
    VIDEO_RESULTS,
    VIDEO_SPLITS,
)

READS: Final = {
    "runner": (OUTBOX_EVENTS, VIDEO_GAPS),
    "inference": (INFERENCE_TASKS,),
    "results": (INFERENCE_RESULTS, VIDEO_SPLITS, VIDEO_RESULTS),
}
"""Which group reads which topics."""

FRAMES: Final = "results-frames-changelog"
VIDEOS: Final = "results-videos-changelog"

SEGMENT: Final = 16 << 20
"""As `segment.bytes` of the topic of pictures: trimming frees whole segments only."""

WHOLE: Final = 4 << 30
"""Bytes of Kafka's whole folder: other topics have segments of 64 MiB, and nothing grows without end."""


@dataclass
class Changelog:
    """The latest value of each key of a table, as a worker without a disk would recover it.

    It is read on from where the last look stopped, so that a look costs what was written since; from its
    begin when Kafka has lost it and it was made anew.
    """

    topic: str
    partitions: int
    alive: dict[bytes, bytes] = field(default_factory=dict)
    _positions: dict[TopicPartition, int] = field(default_factory=dict)
    _id: dict[str, str] = field(default_factory=dict)

    async def read(self, servers: str) -> None:
        """Read to the end."""
        async with open_broker(servers) as broker:
            found = await broker.topic_ids([self.topic])
        if found != self._id:
            self.alive.clear()
            self._positions.clear()
            self._id = found
        consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
        try:
            await consumer.start()
            await self._read(consumer)
        finally:
            await consumer.stop()

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        every = [TopicPartition(self.topic, number) for number in range(self.partitions)]
        ends, starts = await consumer.end_offsets(every), await consumer.beginning_offsets(every)
        consumer.assign(every)
        for each in every:
            consumer.seek(each, max(self._positions.get(each, 0), starts[each]))
        while behind := [each for each in every if await consumer.position(each) < ends[each]]:
            for records in (await consumer.getmany(*behind, timeout_ms=500)).values():
                for record in records:
                    self._fold(record.key, record.value)
        for each in every:
            self._positions[each] = await consumer.position(each)

    def _fold(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.alive.pop(key, None)
        else:
            self.alive[key] = value


@dataclass
class Ledger:
    """Kafka as this run sees it."""

    settings: Settings
    frames: Changelog = field(init=False)
    videos: Changelog = field(init=False)

    def __post_init__(self) -> None:
        self.frames = Changelog(FRAMES, self.settings.video_partitions)
        self.videos = Changelog(VIDEOS, self.settings.video_partitions)

    async def unread(self) -> list[str]:
        """Return a sentence for each topic that a group has not read to its end."""
        sentences = []
        async with open_broker(self.settings.kafka_bootstrap_servers) as broker:
            for group, topics in READS.items():
                for topic in topics:
                    lag = await broker.lag(group, topic.name, topic.spread.partitions(self.settings))
                    if lag:
                        sentences.append(f"{group} has not read {lag} messages of {topic.name}")
        return sentences

    async def rejected(self) -> list[SetAside]:
        """Return everything that is set aside."""
        async with open_broker(self.settings.kafka_bootstrap_servers) as broker:
            return await list_rejected(broker)

    async def read_tables(self) -> None:
        """Read both changelogs to their ends."""
        servers = self.settings.kafka_bootstrap_servers
        await self.frames.read(servers)
        await self.videos.read(servers)


def folder_bounds(folder: Path, task_partitions: int) -> list[str]:
    """Return a sentence for each bound that Kafka's folder does not keep."""
    sentences = []
    tasks = sorted(folder.rglob(f"{INFERENCE_TASKS.name}-*/"))
    if len(tasks) != task_partitions:
        sentences.append(f"Kafka has {len(tasks)} folders of {INFERENCE_TASKS.name}, not {task_partitions}")
    for each in tasks:
        size = sum(file.stat().st_size for file in each.glob("*.log"))
        if size > 2 * SEGMENT:
            sentences.append(f"{each.name} takes {size >> 20} MiB on Kafka's disk")
    whole = folder_size(folder)
    if whole > WHOLE:
        sentences.append(f"Kafka's folder takes {whole >> 20} MiB")
    return sentences


def folder_size(folder: Path) -> int:
    """Return the bytes of all files; what is removed meanwhile does not count."""
    size = 0
    for file in folder.rglob("*"):
        try:
            size += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return size
