"""The role that gathers frames and writes results; the only one with tables."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from agents import result_aggregator, s3_outbox
from app.clients.runner_records import RunnerRecords, open_runner_records
from app.clients.s3.storage import Storage, open_storage
from app.domain.sampling import frame_number
from app.metrics_page import attach_metrics
from app.pages import attach_pages, attach_rows
from app.settings import Settings, load_settings
from app.worker import create_worker
from tables.frames import Frames
from tables.videos import Videos

ROWS_SHOWN = 1000
"""Rows of a video on one page."""


@dataclass(frozen=True)
class Clients:
    """What results needs: runner_db and S3."""

    records: RunnerRecords
    storage: Storage


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Open runner_db and S3."""
    async with open_runner_records(settings) as records, open_storage(settings) as storage:
        yield Clients(records, storage)


def rows_of(video_id: str, start: int) -> dict[str, object] | None:
    """Return what the tables of this worker hold of a video; None when that is nothing."""
    head = videos.head(video_id)
    if head is None:
        return None
    rows = []
    for index in list(videos.present(video_id, head))[start : start + ROWS_SHOWN]:
        row = frames.get(video_id, head.attempt, frame_number(index, head.vid_stride))
        rows.append(None if row is None else msgspec.json.decode(row))
    return {"video_id": video_id, "head": msgspec.to_builtins(head), "start": start, "rows": rows}


worker = create_worker("results", load_settings(), open_clients)
frames = Frames(worker)
videos = Videos(worker)
result_aggregator.attach(worker, frames, videos)
s3_outbox.attach(worker, frames, videos)
attach_pages(
    worker,
    checks=lambda: {"mongo": worker.clients.records.ping, "s3": worker.clients.storage.ping},
)
attach_rows(worker, lambda video_id, start: asyncio.to_thread(rows_of, video_id, start))
attach_metrics(worker, "results")

app = worker
"""The name that `faust -A` looks for."""
