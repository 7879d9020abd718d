"""A worker with tables, records and storage in memory: enough to run a stage alone."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Any, cast

from faust.streams import current_event

from app.clients.mongo import Mongo
from app.clients.runner_records import RunnerRecords
from app.clients.s3.storage import Storage
from app.settings import Settings
from app.work_folder import WorkFolder
from tests.support.memory_mongo import MemoryDocuments
from tests.support.memory_s3 import MemoryS3


class MemoryTable(dict[bytes, bytes]):
    """A table in memory. Like the real one it looks only into the partition of the current event.

    Attributes:
        is_durable: whether everything written was waited for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_durable = True
        self._partitions: dict[bytes, int] = {}

    def __setitem__(self, key: bytes, value: bytes) -> None:
        partition = _current_partition()
        assert partition is not None, "tables are written only while an event is handled"
        self.is_durable = False
        self._partitions[key] = partition
        super().__setitem__(key, value)

    def get(self, key: bytes, default: Any = None) -> Any:  # noqa: ANN401  # as a dict's
        partition = _current_partition()
        is_elsewhere = partition is not None and self._partitions.get(key) != partition
        return default if is_elsewhere else super().get(key, default)

    def __delitem__(self, key: bytes) -> None:
        assert _current_partition() is not None, "tables are written only while an event is handled"
        self.is_durable = False
        if self.get(key) is not None:
            super().__delitem__(key)

    async def durable(self) -> None:
        await asyncio.sleep(0)
        self.is_durable = True


def _current_partition() -> int | None:
    event = current_event()
    return None if event is None else event.message.partition


class MemoryMongo:
    """A server whose one collection is in memory."""

    def __init__(self) -> None:
        self.documents = MemoryDocuments()

    def collection(self, _database: str, _name: str) -> MemoryDocuments:
        return self.documents

    async def ping(self) -> None:
        await self.documents.count({})


def memory_records(
    mongo: MemoryMongo, *, owner: str = "here", lease: timedelta = timedelta(seconds=15)
) -> RunnerRecords:
    """The runner's records on documents in memory."""
    return RunnerRecords(cast("Mongo", mongo), owner, lease)


@dataclass
class Clients:
    """What a stage may need."""

    records: RunnerRecords
    storage: Storage
    detector: Any = None
    claims: Any = None
    pool: Any = None
    work_folder: WorkFolder = field(default_factory=lambda: WorkFolder(Path(gettempdir())))


@dataclass
class MemoryWorker:
    """A worker that owns every partition unless it is told otherwise.

    Attributes:
        stopped: why the process was stopped.
    """

    s3: MemoryS3 = field(default_factory=lambda: MemoryS3("videos"))
    mongo: MemoryMongo = field(default_factory=MemoryMongo)
    settings: Settings = field(default_factory=Settings)
    broker: Any = None
    is_owner: bool = True
    should_stop: bool = False
    stopped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clients = Clients(memory_records(self.mongo), Storage(self.s3, "videos"))

    def durable_table(self, _name: str, *, description: str) -> MemoryTable:  # noqa: ARG002
        return MemoryTable()

    def stream_topic(self, *_contracts: object) -> None:
        return None

    def owns(self, _topic: str, _partition: int) -> bool:
        return self.is_owner

    async def stop_unsafe(self, reason: str, error: BaseException | None = None) -> None:  # noqa: ARG002
        self.stopped.append(reason)
        await asyncio.Event().wait()
