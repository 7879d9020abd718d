"""The role that turns videos into tasks, frame by frame."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from agents import frame_splitter, watchdog
from agents.gauges import follow_runner
from agents.progress import Queue, progress_of
from agents.splits import Splits
from app.backpressure import Backlog, Census, Gate
from app.clients.kafka.broker import Partition
from app.clients.runner_records import RunnerRecords, open_runner_records
from app.clients.s3.storage import Storage, open_storage
from app.decoding.process import DecodingPool, open_decoding_pool
from app.decoding.studio import open_studio
from app.domain.renderings import FrameAsked, RenderingAsked, RenderingState
from app.metrics_page import attach_metrics
from app.pages import attach_pages, attach_progress
from app.rendering.inputs import open_inputs
from app.rendering.making import Maker
from app.rendering.notes import Notes
from app.rendering.queue import Renderings
from app.rendering.stills import Stills
from app.rendering_pages import attach_renderings
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
    stills: Stills
    renderings: Renderings


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Open runner_db and S3, and start the first children."""
    async with (
        open_runner_records(settings) as records,
        open_storage(settings) as storage,
        open_decoding_pool(settings) as pool,
        open_studio(settings) as studio,
    ):
        with open_work_folder(settings.data_dir / "work") as work_folder:
            async with open_inputs(storage, work_folder) as inputs:
                maker = Maker(
                    storage=storage,
                    inputs=inputs,
                    studio=studio,
                    work_folder=work_folder,
                    notes=Notes(storage, uuid4().hex, is_deleted=records.is_deleted),
                    most=settings.rendering_bytes,
                )
                stills = Stills(storage, inputs, studio)
                yield Clients(records, storage, pool, work_folder, stills, Renderings(maker))


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


def describe_sandbox(protections: Mapping[str, str]) -> dict[str, str]:
    """Return for people what protects us from the decoding children, and what does not and why."""
    return {name: f"off: {why}" if why else "on" for name, why in protections.items()}


async def show_progress(video_id: str) -> dict[str, object] | None:
    """Return how far a video is; None when it is unknown or deleted."""
    record = await worker.clients.records.get(video_id)
    if record is None or record.status == "deleted":
        return None
    return progress_of(record, position=await queue.position(record), now=datetime.now(UTC))


async def make_frame(asked: FrameAsked) -> bytes:
    """Return a frame of a video as a JPEG."""
    return await worker.clients.stills.get(asked)


async def ask_rendering(asked: RenderingAsked) -> RenderingState:
    """Let a rendering be made; return how far it is."""
    return await worker.clients.renderings.ask(asked)


async def make_renderings() -> None:
    """Make what is asked for, one rendering at a time, for ever."""
    await worker.clients.renderings.run()


settings = load_settings()
worker = create_worker("runner", settings, open_clients)
census = Census(count_members)
gate = Gate(look_at_backlog, settings.tasks_waiting)
splits = Splits(worker, gate)
queue = Queue(lambda: worker.clients.records)
frame_splitter.attach(worker, splits)
watchdog.attach(worker, begin_drain)
worker.task(gate.run)
worker.task(splits.run)
worker.task(make_renderings)
attach_pages(
    worker,
    checks=lambda: {"mongo": worker.clients.records.ping, "s3": worker.clients.storage.ping},
    facts=lambda: {"decoder_sandbox": describe_sandbox(worker.clients.pool.protections)},
)
attach_progress(worker, show_progress)
attach_renderings(worker, frame=make_frame, rendering=ask_rendering)
attach_metrics(worker, "runner")
follow_runner(
    worker,
    splits,
    backlog=look_at_backlog,
    inference_workers=lambda: count_members(INFERENCE_GROUP),
)

app = worker
"""The name that `faust -A` looks for."""
