"""How many frames a second the model takes, by the size of its batches, with whatever runs it here.

    python -m benchmarks.detector [--model WEIGHTS] [--batches 1 8 32] [--size 640x360] [--seconds 5]

No Kafka, no S3, no video: pictures as the runner makes them go into the detector as the inference role opens
it, as many batches at once as the role handles at once. It prints a Markdown table, from which one can read
which BATCH_SIZE a GPU wants, and what is lost to everything else when a whole Kadr is measured.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from app.detection.detector import Detector, open_detector
from app.domain.messages import FrameSampled
from app.errors import KadrError
from app.settings import Settings
from benchmarks.parity import task_of

PICTURES: Final = 64
"""Different pictures, so that nobody looks at one that is still in a cache."""

AT_ONCE: Final = 4
"""Batches under way at the same time, as in the inference role (`agents.inference.IN_FLIGHT`)."""

REPEATS: Final = 3
"""Times that each size of a batch has its turn."""


@dataclass
class Figures:
    """What one size of a batch gave, each time.

    Attributes:
        rates: frames a second.
        cpu: milliseconds of processor time per frame, all threads of this process.
    """

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def draw_tasks(width: int, height: int) -> list[FrameSampled]:
    """Return tasks with pictures that have edges and noise, as those of a camera have."""
    random = np.random.default_rng(5)
    tasks = []
    for number in range(PICTURES):
        coarse = random.integers(0, 256, (height // 40 + 1, width // 40 + 1, 3), np.uint8)
        picture = coarse.repeat(40, axis=0).repeat(40, axis=1)[:height, :width]
        noise = random.integers(0, 16, picture.shape, np.uint8)
        tasks.append(task_of(number, np.ascontiguousarray(picture // 2 + noise)))
    return tasks


async def measure(detector: Detector, tasks: Sequence[FrameSampled], batch: int, seconds: float) -> int:
    """Keep the detector busy for so long with batches of this size; return how many frames it took."""
    source = itertools.cycle(tasks)
    until = time.monotonic() + seconds
    done = 0

    async def ask() -> None:
        nonlocal done
        while time.monotonic() < until:
            done += len(await detector.detect(list(itertools.islice(source, batch))))

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return done


async def run(asked: argparse.Namespace, settings: Settings) -> str:
    """Measure all sizes of batches in turns and return the table."""
    width, height = map(int, asked.size.split("x"))
    tasks = draw_tasks(width, height)
    found = {batch: Figures() for batch in asked.batches}
    async with open_detector(settings) as detector:
        for batch in asked.batches:
            await measure(detector, tasks, batch, 1)
        for _ in range(REPEATS):
            for batch, figures in found.items():
                began, cpu = time.monotonic(), time.process_time()
                frames = await measure(detector, tasks, batch, asked.seconds)
                took, used = time.monotonic() - began, time.process_time() - cpu
                figures.rates.append(frames / took)
                figures.cpu.append(1000 * used / frames)
        facts = detector.facts
    return table(f"{facts.name} with {facts.backend}, pictures of {asked.size}", found)


def table(title: str, found: dict[int, Figures]) -> str:
    """Return a table in Markdown: medians, and between which values they lie."""
    rows = [
        f"| {batch} | {median(each.rates):.0f} | {min(each.rates):.0f} to {max(each.rates):.0f} "
        f"| {median(each.cpu):.2f} |"
        for batch, each in found.items()
    ]
    head = ("| batch | frames/s | from, to | CPU ms per frame |", "|---|---|---|---|")
    return "\n".join((title, "", *head, *rows))


def main() -> int:
    """Run what the command line asks for; return 1 with a sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detector", description=__doc__)
    parser.add_argument("--model", type=Path, help="weights (the demo model)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--size", default="640x360", help="of the pictures in pixels (640x360)")
    parser.add_argument("--seconds", type=float, default=5, help="of each turn (5)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kadr-bench-") as folder:
        settings = Settings(model=str(asked.model.resolve()) if asked.model else "", data_dir=Path(folder))
        try:
            print(asyncio.run(run(asked, settings)))
        except KadrError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
