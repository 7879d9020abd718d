"""The children that everything but Kadr is measured in, as their parent sees them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from app.detection.checkpoint import safe_environment
from app.detection.export import Export
from app.errors import KadrError
from benchmarks.child import Answer, Job, Order
from benchmarks.findings import SIDES, Side
from benchmarks.videos import STRIDE, Video

PROJECT: Final = Path(__file__).resolve().parents[1]

JOBS_OF: Final[dict[Side, tuple[Job, ...]]] = {
    "torch": ("torch",),
    "openvino": ("openvino",),
    "floor": ("decode", "graph"),
}
"""The children of each side; all of a side work at the same time."""

EXPORTED: Final[frozenset[Side]] = frozenset({"openvino", "floor"})
"""Sides that run the model's export."""

WARM_FRAMES: Final = 10
"""Sampled frames after which a model has met a shape, and a processor's caches the model."""


class RivalGone(KadrError):
    """A child has ended by itself.

    Args:
        job: what it did.
        last: the last line that it wrote.
    """

    def __init__(self, job: str, last: str) -> None:
        super().__init__(f"the process that runs {job} has ended: {last}")


@dataclass(frozen=True)
class Turn:
    """What a side did with a video.

    Attributes:
        frames: sampled frames.
        wall: seconds until all of its children were done.
        cpu: milliseconds by job.
        note: what is worth knowing of how it ran.
    """

    frames: int
    wall: float
    cpu: dict[str, float]
    note: str


class Child:
    """One warm process that does one job when told to.

    Args:
        job: which.
        process: that runs it.
        log: what it writes beside its answers.
    """

    def __init__(self, job: Job, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.job = job
        self.pid = process.pid
        self._process = process
        self._log = log

    def tell(self, order: Order) -> None:
        """Let it begin."""
        pipe = cast("BinaryIO", self._process.stdin)
        pipe.write(msgspec.json.encode(order) + b"\n")
        pipe.flush()

    def hear(self) -> Answer:
        """Wait until it is done.

        Raises:
            RivalGone: it has ended instead.
        """
        pipe = cast("BinaryIO", self._process.stdout)
        line = pipe.readline()
        if not line:
            words = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            raise RivalGone(self.job, next((word for word in reversed(words) if word), "it said nothing"))
        return msgspec.json.decode(line, type=Answer)


class Rival:
    """A side with its children."""

    def __init__(self, side: Side, children: Sequence[Child]) -> None:
        self.side = side
        self._children = children

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the children, by job."""
        return {child.job: child.pid for child in self._children}

    def warm_up(self, video: Video) -> None:
        """Let every child meet a video."""
        self._work(video, frames=WARM_FRAMES)

    def look_at(self, video: Video) -> Turn:
        """Let the children work through a video, all at the same time, and wait until all are done."""
        return self._work(video, frames=0)

    def _work(self, video: Video, *, frames: int) -> Turn:
        facts = video.facts
        # A graph knows no end of a video.
        counted = frames or -(-facts.frames // STRIDE)
        for child in self._children:
            child.tell(
                Order(str(video.path), facts.width, facts.height, counted if child.job == "graph" else frames)
            )
        answers = {child.job: child.hear() for child in self._children}
        began = min(answer.began for answer in answers.values())
        ended = max(answer.ended for answer in answers.values())
        return Turn(
            frames=min(answer.frames for answer in answers.values()),
            wall=ended - began,
            cpu={job: answer.cpu for job, answer in answers.items()},
            note="; ".join(f"{job}: {answer.note}" for job, answer in answers.items()),
        )


@contextmanager
def open_rivals(
    sides: Sequence[Side], weights: Path, export: Export | None, folder: Path
) -> Iterator[list[Rival]]:
    """Start the children of these sides and wait until they are loaded; they end with the block.

    Args:
        sides: whom; Kadr is none of them.
        weights: of the model.
        export: the same model for OpenVINO; only the sides `EXPORTED` need it.
        folder: for logs and Ultralytics' settings.

    Raises:
        RivalGone: one could not load its model.
    """
    models = {"torch": weights, "decode": Path()}
    if export is not None:
        models |= {"openvino": export.graph.parent, "graph": export.graph}
    with ExitStack() as opened:
        rivals = []
        for side in (each for each in SIDES if each in sides and each in JOBS_OF):
            children = [opened.enter_context(_open_child(job, models[job], folder)) for job in JOBS_OF[side]]
            rivals.append(Rival(side, children))
        yield rivals


@contextmanager
def _open_child(job: Job, model: Path, folder: Path) -> Iterator[Child]:
    log = folder / f"{job}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            (sys.executable, "-m", "benchmarks.child", job, str(model)),
            cwd=PROJECT,
            env=os.environ | safe_environment(folder, offline=True),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    with process:
        try:
            child = Child(job, process, log)
            child.hear()
            yield child
        finally:
            process.kill()
