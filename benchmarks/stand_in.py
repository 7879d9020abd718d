"""The role `inference` with a stand-in for the model: pictures are decoded, then nothing is found.

With `STAND_IN_SECONDS` each picture takes that long on a device of which a worker has one, as a GPU would,
and no processor. Without it the device takes no time, and what is measured is everything around the model.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from agents import inference
from app.detection.pictures import read_picture
from app.detection.process import tune_process
from app.domain.messages import FrameResult, FrameSampled, ModelFacts
from app.event_loop import choose_event_loop
from app.pages import attach_pages
from app.settings import Settings, load_settings
from app.worker import create_worker

FACTS: Final = ModelFacts("stand-in", "0" * 64, "none")

THREADS: Final = 2
"""That decode pictures."""


@dataclass(frozen=True)
class StandIn:
    """Looks at pictures for a fixed time each, one after the other.

    Args:
        threads: decode.
        seconds: for each picture.
    """

    threads: Executor
    seconds: float
    facts: ModelFacts = FACTS
    _device: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def detect(self, tasks: Sequence[FrameSampled]) -> list[FrameResult]:
        """Return that nothing is in each frame, in the order of the tasks."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.run_in_executor(self.threads, read_picture, task.image) for task in tasks)
        )
        if self.seconds:
            async with self._device:
                await asyncio.sleep(self.seconds * len(tasks))
        return [FrameResult(task.frame, task.time) for task in tasks]


@dataclass(frozen=True)
class Clients:
    """What the role needs."""

    detector: StandIn


@asynccontextmanager
async def open_clients(_settings: Settings) -> AsyncIterator[Clients]:
    """Start the threads that decode."""
    tune_process()
    with ThreadPoolExecutor(THREADS) as threads:
        yield Clients(StandIn(threads, float(os.environ.get("STAND_IN_SECONDS") or 0)))


choose_event_loop()
worker = create_worker(
    "inference",
    load_settings(),
    open_clients,
    buffer=256,
    broker_commit_interval=inference.COMMIT_INTERVAL,
)
inference.attach(worker)
attach_pages(worker, checks=dict)

app = worker
"""The name that `faust -A` looks for."""
