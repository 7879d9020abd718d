"""`python -m benchmarks.scaling`: how throughput grows with workers, and what there is without a model.

A stand-in for a GPU takes a fixed time for each picture and no processor, so that one machine shows whether
the rest of Kadr keeps several of them busy. With no time at all it shows what the rest carries.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from app.errors import KadrError
from app.local.interrupts import interruptible
from benchmarks.machine import describe_machine
from benchmarks.stand_ins import open_stand_ins, seconds_until_ready
from models.shapes import repeat_clip, write_clip

OUTPUT: Final = Path(__file__).parent / "scaling.json"

CLIP_FRAMES: Final = 50
"""Of the clip that the videos repeat: two seconds."""

SAMPLED: Final = 10
"""Every fifth of them."""

VIDEOS: Final = 4
"""In work at the same time, so that no single decoder is the limit."""

WITHIN: Final = 600.0

SIZE: Final = (640, 360)
"""Width and height of the clips: what a picture has that is as large as pictures get on their way."""


class Throughput(msgspec.Struct, frozen=True):
    """What so many workers have carried.

    Attributes:
        workers: stand-ins.
        seconds: that each of them takes for a picture.
        frames: sampled ones that went through.
        wall: seconds from the first byte of the first upload until the last video was ready.
    """

    workers: int
    seconds: float
    frames: int
    wall: float

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.frames / self.wall


def measure(
    folder: Path, clip: Path, *, workers: int, seconds: float, frames: int, repeats: int
) -> Throughput:
    """Return the best of some runs through one Kadr: the others were disturbed.

    Args:
        folder: an empty one.
        clip: of which the videos are made.
        workers: stand-ins.
        seconds: that each takes for a picture.
        frames: sampled ones in all videos together.
        repeats: runs.
    """
    video, times = folder / "video.mp4", max(1, frames // VIDEOS // SAMPLED)
    repeat_clip(clip, video, times)
    with open_stand_ins(folder / "data", workers=workers, seconds=seconds, environment=os.environ) as service:
        seconds_until_ready(service, [video], within=WITHIN)
        walls = [seconds_until_ready(service, [video] * VIDEOS, within=WITHIN) for _ in range(repeats)]
        service.check()
    return Throughput(workers, seconds, VIDEOS * times * SAMPLED, min(walls))


def run(asked: argparse.Namespace, folder: Path) -> Iterator[Throughput]:
    """Measure everything that is asked for."""
    clip = folder / "clip.mp4"
    write_clip(clip, seed=7, frames=CLIP_FRAMES, size=SIZE)
    (folder / "bare").mkdir()
    yield measure(folder / "bare", clip, workers=1, seconds=0, frames=asked.frames, repeats=asked.repeats)
    for workers in asked.workers:
        (folder / str(workers)).mkdir()
        frames = round(workers * asked.last / asked.seconds)
        yield measure(
            folder / str(workers),
            clip,
            workers=workers,
            seconds=asked.seconds,
            frames=frames,
            repeats=asked.repeats,
        )


def main() -> int:
    """Run what the command line asks for; return 1 with a sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument(
        "--workers",
        nargs="*",
        type=int,
        default=[1, 2, 4],
        help="stand-ins (1 2 4); none: without a model only",
    )
    parser.add_argument(
        "--seconds", type=_positive, default=0.04, help="that each takes for a picture (0.04)"
    )
    parser.add_argument("--last", type=float, default=20.0, help="seconds that a run should last (20)")
    parser.add_argument(
        "--frames", type=int, default=2000, help="sampled ones of the run without a model (2000)"
    )
    parser.add_argument("--repeats", type=int, default=2, help="of which the best counts (2)")
    asked = parser.parse_args()
    found: list[Throughput] = []
    try:
        with interruptible(), tempfile.TemporaryDirectory(prefix="kadr-scaling-") as folder:
            for each in run(asked, Path(folder)):
                found.append(each)
                print(line_of(each, found), flush=True)
    except KadrError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    report = {"machine": describe_machine(), "throughput": found}
    OUTPUT.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    return 0


def _positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError("it takes some time")
    return number


def line_of(each: Throughput, found: list[Throughput]) -> str:
    """Return a figure as one line; with the growth against the first that took as long for a picture."""
    first = next(other for other in found if other.seconds == each.seconds)
    growth = each.rate * first.workers / first.rate / each.workers
    return (
        f"{each.workers} workers, {1000 * each.seconds:.0f} ms for a picture: {each.frames} frames in "
        f"{each.wall:.1f} s, {each.rate:.0f} frames/s, {growth:.2f} of what so many times the first would be"
    )


if __name__ == "__main__":
    sys.exit(main())
