"""The role that finds objects in frames; the only one that may load a model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from agents import inference
from app.detection.detector import Detector, open_detector
from app.pages import attach_json, attach_pages
from app.settings import Settings, load_settings
from app.worker import create_worker


@dataclass(frozen=True)
class Clients:
    """What inference needs: the model."""

    detector: Detector


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Load the model."""
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
    broker_commit_interval=0.2,  # back-pressure counts what is committed
)
inference.attach(worker)
attach_pages(worker, checks=dict, facts=describe_model)
attach_json(worker, "/data", describe_model)
attach_json(worker, "/api/data", describe_model)

app = worker
"""The name that `faust -A` looks for."""
