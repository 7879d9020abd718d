"""Which pictures of which video go to Kafka, and when: read beside the workers, from now on."""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.settings import Settings
from app.topics import INFERENCE_TASKS

STARTED_WITHIN: Final = 30.0

NAP_MS: Final = 100


@dataclass
class Sent:
    """What was sent of one attempt at a video.

    Attributes:
        count: of its pictures, those that came twice included.
        last: when the last one was sent, in seconds since the epoch, as its sender's clock says.
    """

    count: int = 0
    last: float = 0.0


@dataclass
class TaskLog:
    """Reads `inference_tasks` in a thread.

    Attributes:
        sent: by video and attempt.
    """

    settings: Settings
    sent: dict[tuple[str, int], Sent] = field(default_factory=dict)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _is_open: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()), daemon=True)
        self._thread.start()
        assert self._is_open.wait(STARTED_WITHIN), "Kafka cannot be read"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def of(self, video_id: str, attempt: int = 1) -> Sent:
        """Return what was sent of an attempt so far."""
        return self.sent.get((video_id, attempt), Sent())

    async def _read(self) -> None:
        # What is read everywhere is removed: then it goes on with what there is.
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            every = [
                TopicPartition(INFERENCE_TASKS.name, number)
                for number in range(INFERENCE_TASKS.spread.partitions(self.settings))
            ]
            consumer.assign(every)
            await consumer.seek_to_end(*every)
            for each in every:
                await consumer.position(each)
            self._is_open.set()
            while not self._is_over.is_set():
                for records in (await consumer.getmany(timeout_ms=NAP_MS)).values():
                    for record in records:
                        self._note(record.key or b"", record.timestamp)
        finally:
            await consumer.stop()

    def _note(self, key: bytes, sent_ms: int) -> None:
        video_id, attempt, _ = key.decode().split("/")
        found = self.sent.setdefault((video_id, int(attempt)), Sent())
        found.count += 1
        found.last = max(found.last, sent_ms / 1000)


def wait_past(seconds: float, since: float) -> None:
    """Return so many seconds after a moment (since the epoch), for what must not happen until then."""
    while (left := since + seconds - time.time()) > 0:
        time.sleep(min(left, 0.1))
