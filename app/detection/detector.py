"""What the inference stage asks: what is in these frames? And who answers, opened once per process."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import numpy as np
from msgspec import UNSET

from app.detection.choice import Choice, Exports, Way, choose, exported, without_graph
from app.detection.export import Export, make_export
from app.detection.fallback import TorchModel
from app.detection.frames import BatchDetector, Batched, OneByOne, ParallelDetector
from app.detection.installed import Here, look_around
from app.detection.process import tune_process
from app.detection.wanted import Wanted
from app.detection.weights import Weights, find_weights
from app.domain.messages import FrameResult, FrameSampled, ModelFacts
from app.errors import Misconfigured, Rejected
from app.settings import Settings

logger = logging.getLogger(__name__)

DEMO_NOTE: Final = (
    "the demo model is in use: it knows circles, squares and triangles only; "
    "set another with MODEL=yolo11n.pt or MODEL=path/to/weights.pt"
)
"""Said in the log, by the health page and in each result, so that nobody takes it for a real model."""

THREADS: Final = 3
"""Two wait in the graph for a picture each, one decodes the next meanwhile."""


MOST_DECODING: Final = 8
"""Threads that decode for batches at most: a picture takes them 1 to 3 ms, a GPU about 1."""


class Threads:
    """Where frames are looked at; no thread exists before there is work for it.

    Attributes:
        whole: take a frame through decoding and a graph each.
        decoding: decode pictures for batches.
        model: the one thread that a model on torch is loaded and used in. What torch and CUDA keep per thread
            is made once, and batches do not get into each other's way.
    """

    def __init__(self) -> None:
        self.whole = ThreadPoolExecutor(THREADS, thread_name_prefix="detector")
        cores = len(os.sched_getaffinity(0))
        self.decoding = ThreadPoolExecutor(min(cores, MOST_DECODING), thread_name_prefix="decoding")
        self.model = ThreadPoolExecutor(1, thread_name_prefix="model")

    def shutdown(self) -> None:
        """Drop what waits, and wait for what is under way; blocks."""
        for pool in (self.decoding, self.whole, self.model):
            pool.shutdown(cancel_futures=True)


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

        A picture that cannot be decoded, or a class that the model does not know, is that frame's error.
        Several calls may be under way at once.
        """
        ...


@contextlib.asynccontextmanager
async def open_detector(settings: Settings) -> AsyncIterator[Detector]:
    """Find the weights, load the fastest form of the model that runs here, and let it go at the end.

    Args:
        settings: `model`, `model_download`, `model_sha256`, `detector_precision`, `imgsz` and `data_dir`
            matter.

    Raises:
        Misconfigured: there are no weights, they are not those that `MODEL_SHA256` names, they are no model
            that finds objects, their export was changed, or nothing that is installed here can run them in
            the precision that is asked for.
    """
    tune_process()
    weights = await find_weights(settings)
    if weights.is_demo:
        logger.warning(DEMO_NOTE)
    threads = Threads()
    try:
        yield await _opened(weights, settings, threads)
    finally:
        await asyncio.to_thread(threads.shutdown)


def load_graph(export: Export, settings: Settings) -> OneByOne | str:
    """Return the model on OpenVINO, or why that cannot be.

    Raises:
        Misconfigured: the export is not what was made (`Export.check`).
    """
    try:
        from app.detection import graph  # noqa: PLC0415  # OpenVINO may be missing, and then is not needed
    except ImportError as error:
        return f"OpenVINO cannot be imported: {error}"
    export.check(settings)
    try:
        floats: graph.Floats = "bf16" if settings.detector_precision == "bf16" else "f32"
        return graph.GraphModel(export, settings.imgsz, floats)
    except graph.GraphUnusable as error:
        return str(error)


async def _opened(weights: Weights, settings: Settings, threads: Threads) -> Detector:
    here = await asyncio.to_thread(look_around)
    choice = choose(weights, settings, here, Exports.of(weights, settings))
    if choice.way is Way.EXPORT_FIRST:
        choice = exported(await make_export(weights, settings), weights, settings, here)
    if choice.export is not None:
        _note_origin(choice.export, here)
        graph = await asyncio.to_thread(load_graph, choice.export, settings)
        if not isinstance(graph, str):
            facts = _facts(weights, graph.backend)
            return _ready(ParallelDetector(graph, facts, threads.whole, settings.imgsz), choice)
        choice = without_graph(weights, settings, here, graph)
    loop = asyncio.get_running_loop()
    model = await loop.run_in_executor(threads.model, _torch_model, weights, settings)
    facts = _facts(weights, model.backend)
    detector = BatchDetector(model, facts, settings.imgsz, decoding=threads.decoding, asking=threads.model)
    return _ready(detector, choice)


def _ready(detector: Detector, choice: Choice) -> Detector:
    facts = detector.facts
    known = {"model": facts.name, "sha256": facts.sha256, "backend": facts.backend, "because": choice.reason}
    logger.info("model ready", extra=known | ({"export": str(choice.export.folder)} if choice.export else {}))
    return detector


def _note_origin(export: Export, here: Here) -> None:
    if export.manifest is None:
        logger.warning(
            "the export has no manifest, so that a change of its files would not be seen; "
            "`kadr model export` makes one that has",
            extra={"folder": str(export.folder)},
        )
    if not export.is_of(here.versions):
        made = {"folder": str(export.folder), "made_by": export.made_by}
        logger.warning("the export was made by other versions than are installed", extra=made)


def _facts(weights: Weights, backend: str) -> ModelFacts:
    note = DEMO_NOTE if weights.is_demo else UNSET
    return ModelFacts(weights.name, weights.sha256, backend, demo=weights.is_demo, note=note)


def _torch_model(weights: Weights, settings: Settings) -> Batched:
    precision = settings.detector_precision
    model = TorchModel(
        weights.path, weights.sha256, settings.imgsz, data_dir=settings.data_dir, precision=precision
    )
    # What is done on first use is done now; and what fails, fails now.
    blank = np.zeros((settings.imgsz, settings.imgsz, 3), np.uint8)
    (found,) = model.detect_batch([blank], Wanted(conf=0.25))
    if isinstance(found, Rejected):
        message = f"the GPU has not the memory for one picture of IMGSZ={settings.imgsz} and {weights.path}"
        raise Misconfigured(message)
    return model
