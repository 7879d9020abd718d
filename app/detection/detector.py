"""What the inference stage asks: what is in these frames? And who answers, opened once per process."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from msgspec import UNSET

from app.detection.checkpoint import has_cuda
from app.detection.export import load_export
from app.detection.fallback import TorchModel
from app.detection.frames import BatchDetector, Batched, OneByOne, ParallelDetector
from app.detection.process import tune_process
from app.detection.weights import Weights, find_weights
from app.domain.messages import FrameResult, FrameSampled, ModelFacts, Options
from app.settings import Settings

logger = logging.getLogger(__name__)

DEMO_NOTE: Final = (
    "the demo model is in use: it knows circles, squares and triangles only; "
    "set another with MODEL=yolo11n.pt or MODEL=path/to/weights.pt"
)
"""Said in the log, by the health page and in each result, so that nobody takes it for a real model."""

THREADS: Final = 3
"""Two wait in the graph for a picture each, one decodes the next meanwhile."""

GPU_DEVICES: Final = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia"))
"""One of these exists where an NVIDIA GPU can be used: asking torch would cost its import."""


class Detector(Protocol):
    """Finds objects in frames.

    Attributes:
        facts: the model that looks.
        names: of its classes, by index.
    """

    facts: ModelFacts
    names: tuple[str, ...]

    async def detect(self, tasks: Sequence[FrameSampled]) -> list[FrameResult]:
        """Return what is in each frame, in the order of the tasks.

        A picture that cannot be decoded is that frame's error. Several calls may be under way at once.
        """
        ...


@contextlib.asynccontextmanager
async def open_detector(settings: Settings) -> AsyncIterator[Detector]:
    """Find the weights, load the fastest form of the model that runs here, and let it go at the end.

    Args:
        settings: `model`, `model_download`, `imgsz` and `data_dir` matter.

    Raises:
        Misconfigured: there are no weights, or they are no model that finds objects.
    """
    tune_process()
    weights = await find_weights(settings)
    if weights.is_demo:
        logger.warning(DEMO_NOTE)
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="detector")
    try:
        yield await _opened(weights, settings, threads)
    finally:
        await asyncio.to_thread(threads.shutdown, cancel_futures=True)


async def _opened(weights: Weights, settings: Settings, threads: Executor) -> Detector:
    graph, reason = await _graph(weights, settings)
    if graph is not None:
        facts = _facts(weights, graph.backend)
        detector: Detector = ParallelDetector(graph, facts, threads)
    else:
        model = await asyncio.to_thread(_torch_model, weights, settings)
        facts = _facts(weights, model.backend)
        detector = BatchDetector(model, facts, threads)
    logger.info(
        "model ready",
        extra={"model": facts.name, "sha256": facts.sha256, "backend": facts.backend, "because": reason},
    )
    return detector


def _facts(weights: Weights, backend: str) -> ModelFacts:
    note = DEMO_NOTE if weights.is_demo else UNSET
    return ModelFacts(weights.name, weights.sha256, backend, demo=weights.is_demo, note=note)


async def _graph(weights: Weights, settings: Settings) -> tuple[OneByOne | None, str]:
    """Return the model on OpenVINO, if that is the best way, and the reason."""
    if any(device.exists() for device in GPU_DEVICES) and await asyncio.to_thread(has_cuda):
        return None, "there is a GPU"
    export = await load_export(weights, settings)
    if not export.facts.graph:
        return None, export.facts.no_graph
    try:
        from app.detection import graph  # noqa: PLC0415  # OpenVINO may be missing, and then is not needed
    except ImportError as error:
        return None, f"OpenVINO cannot be imported: {error}"
    try:
        return await asyncio.to_thread(graph.GraphModel, export, settings.imgsz), "there is no GPU"
    except graph.GraphUnusable as error:
        return None, str(error)


def _torch_model(weights: Weights, settings: Settings) -> Batched:
    model = TorchModel(weights.path, settings.imgsz, data_dir=settings.data_dir)
    # What is done on first use is done now; and what fails, fails now.
    model.detect_batch([np.zeros((settings.imgsz, settings.imgsz, 3), np.uint8)], Options())
    return model
