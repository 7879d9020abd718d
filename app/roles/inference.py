"""The role that finds objects in frames; the only one that may load a model."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from agents import inference
from app.detection.detector import Detector, open_detector
from app.metrics_page import attach_metrics
from app.pages import attach_json, attach_pages
from app.settings import Settings, load_settings
from app.worker import create_worker

GIVES_WAY: Final = 5
"""Niceness: who decodes goes first, a bounded number of pictures ahead (`app.backpressure`). When the model
goes first its pictures come one by one, and each message costs the broker and the tables as much as a batch
of eight: 1080p took an eighth longer."""


@dataclass(frozen=True)
class Clients:
    """What inference needs: the model."""

    detector: Detector


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Load the model."""
    os.nice(GIVES_WAY)
    async with open_detector(settings) as detector:
        yield Clients(detector)


def describe_model() -> dict[str, object]:
    """Return the service and its model."""
    detector = worker.clients.detector
    return {
        "service": "inference",
        "status": "ok",
        "model": msgspec.to_builtins(detector.facts),
        "classes": list(detector.names),
    }


worker = create_worker(
    "inference",
    load_settings(),
    open_clients,
    buffer=256,  # pictures: 25 MB
    broker_commit_interval=inference.COMMIT_INTERVAL,
)
inference.attach(worker)
attach_pages(worker, checks=dict, facts=describe_model)
attach_json(worker, "/data", describe_model)
attach_json(worker, "/api/data", describe_model)
attach_metrics(worker, "inference")

app = worker
"""The name that `faust -A` looks for."""
