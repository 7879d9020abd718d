"""The role that turns videos into tasks, frame by frame."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from agents import frame_splitter, watchdog
from agents.splits import Splits
from app.backpressure import Backlog, Census, Gate
from app.clients.broker import Partition
from app.clients.runner_records import RunnerRecords, open_runner_records
from app.clients.storage import Storage, open_storage
from app.decoding.process import DecodingPool, open_decoding_pool
from app.pages import attach_pages, attach_progress
from app.settings import Settings, load_settings
from app.streaming.drain import Drain, Stage
from app.topics import INFERENCE_RESULTS, INFERENCE_TASKS, VIDEO_RESULTS, VIDEO_SPLITS, Contract
from app.work_folder import WorkFolder, open_work_folder
from app.worker import create_worker

INFERENCE_GROUP = "inference"
"""The consumer group whose lag is the number of waiting pictures."""

RESULTS_GROUP = "results"
"""The consumer group that gathers frames."""


@dataclass(frozen=True)
class Clients:
    """What the runner needs: runner_db, S3 and decoding children."""

    records: RunnerRecords
    storage: Storage
    pool: DecodingPool
    work_folder: WorkFolder


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Open runner_db and S3, and start the first children."""
    async with (
        open_runner_records(settings) as records,
        open_storage(settings) as storage,
        open_decoding_pool(settings) as pool,
    ):
        with open_work_folder(settings.data_dir / "work") as work_folder:
            yield Clients(records, storage, pool, work_folder)


async def look_at_backlog() -> Backlog:
    """Return how many tasks wait for how many inference workers."""
    return Backlog(
        await worker.broker.lag(INFERENCE_GROUP, INFERENCE_TASKS.name, settings.task_partitions),
        workers=await census.members(INFERENCE_GROUP),
        runners=await census.members(worker.role),
    )


async def count_members(group: str) -> int:
    """Return how many members a consumer group has."""
    return await worker.broker.members(group)


def begin_drain() -> Drain:
    """Begin to follow what is on its way: pictures, then what was found in them, then what is complete."""
    return Drain(
        [
            Stage(INFERENCE_GROUP, _partitions(INFERENCE_TASKS)),
            Stage(RESULTS_GROUP, (*_partitions(INFERENCE_RESULTS), *_partitions(VIDEO_SPLITS))),
            Stage(RESULTS_GROUP, _partitions(VIDEO_RESULTS)),
        ]
    )


def _partitions(topic: Contract[Any]) -> tuple[Partition, ...]:
    return tuple(Partition(topic.name, number) for number in range(topic.spread.partitions(settings)))


async def progress_of(video_id: str) -> dict[str, object] | None:
    """Return how far a video is; None when it is unknown or deleted."""
    record = await worker.clients.records.get(video_id)
    if record is None or record.status == "deleted":
        return None
    elapsed = (datetime.now(UTC) - record.created_at).total_seconds()
    facts = {
        "video_id": video_id,
        "attempt": record.attempt,
        "status": record.status,
        "stage": "splitting" if record.status == "processing" and not record.split_ended else record.status,
        "frames_done": record.received_frames,
        "frames_total": record.total_frames,
        "frames_split": record.split_frames,
        "elapsed": round(elapsed, 3),
    }
    return facts | ({"error": msgspec.to_builtins(record.error)} if record.error else {})


settings = load_settings()
worker = create_worker("runner", settings, open_clients)
census = Census(count_members)
gate = Gate(look_at_backlog, settings.tasks_waiting)
splits = Splits(worker, gate)
frame_splitter.attach(worker, splits)
watchdog.attach(worker, begin_drain)
worker.task(gate.run)
worker.task(splits.run)
attach_pages(
    worker,
    checks=lambda: {"mongo": worker.clients.records.ping, "s3": worker.clients.storage.ping},
)
attach_progress(worker, progress_of)

app = worker
"""The name that `faust -A` looks for."""
