"""What goes to some topics of Kafka, read beside the workers, from now on."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from app.settings import Settings
from app.topics import Contract

STARTED_WITHIN: Final = 30.0

NAP_MS: Final = 100


class TopicLog(ABC):
    """Reads topics in a thread.

    Args:
        settings: where Kafka is.
        topics: what is read.
    """

    def __init__(self, settings: Settings, topics: Sequence[Contract[Any]]) -> None:
        self._settings = settings
        self._topics = topics
        self._is_over = threading.Event()
        self._is_open = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()), daemon=True)

    @abstractmethod
    def note(self, record: ConsumerRecord) -> None:
        """Take notice of a message; in the thread."""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_open.wait(STARTED_WITHIN), "Kafka cannot be read"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    async def _read(self) -> None:
        # What is read everywhere is removed: then it goes on with what there is.
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            every = [
                TopicPartition(topic.name, number)
                for topic in self._topics
                for number in range(topic.spread.partitions(self._settings))
            ]
            consumer.assign(every)
            await consumer.seek_to_end(*every)
            for each in every:
                await consumer.position(each)
            self._is_open.set()
            while not self._is_over.is_set():
                for records in (await consumer.getmany(timeout_ms=NAP_MS)).values():
                    for record in records:
                        self.note(record)
        finally:
            await consumer.stop()
