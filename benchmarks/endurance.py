"""`python -m benchmarks.endurance`: whether memory stays the same through hours of video.

One long and cheap video goes through a Kadr with a stand-in for its model. The resident memory of every
process is read all the time, and what it is after a minute of video is compared with what it is at the end.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from app.clients.main_db.video_outbox import open_video_outbox
from app.clients.runner_records import open_runner_records
from app.clients.s3.storage import open_storage
from app.domain.messages import Options
from app.domain.objects import (
    OURS,
    input_object,
)
from app.errors import KadrError
from app.local.interrupts import interruptible
from app.settings import Settings
from benchmarks.machine import describe_machine
from benchmarks.processor import PROC, children_of
from benchmarks.service import BenchmarkFailed, Service
from benchmarks.stand_ins import open_stand_ins
from models.shapes import repeat_clip, write_clip

OUTPUT: Final = Path(__file__).parent / "endurance.json"

CLIP_SECONDS: Final = 10
FRAMES_PER_SECOND: Final = 25
SIZE: Final = (256, 144)

WARM_UP: Final = 60.0
"""Seconds of video before the first figure."""

LOOK_EVERY: Final = 1.0
WITHIN: Final = 3 * 3600.0

SPAN: Final = 10
"""Readings whose median is a figure: one alone is a moment."""

PIECE: Final = 1 << 20


class Growth(msgspec.Struct, frozen=True):
    """Resident memory of a process, in MiB; of `decoders` the sum of the runner's children."""

    name: str
    first: float
    half: float
    last: float
    most: float


@dataclass
class Readings:
    """Resident memory of each process over time, in MiB."""

    kept: dict[str, list[float]] = field(default_factory=dict)

    def take(self, pids: Mapping[str, int]) -> None:
        """Read once."""
        now = {name: resident(pid) for name, pid in pids.items()}
        now["decoders"] = sum(resident(child) for child in children_of(pids["runner"]))
        for name, mebibytes in now.items():
            self.kept.setdefault(name, []).append(mebibytes)

    def growth(self) -> list[Growth]:
        """Compare the first readings with those half-way and the last ones."""
        return [
            Growth(
                name,
                first=statistics.median(all_[:SPAN]),
                half=statistics.median(all_[len(all_) // 2 :][:SPAN]),
                last=statistics.median(all_[-SPAN:]),
                most=max(all_),
            )
            for name, all_ in self.kept.items()
        ]


def resident(pid: int) -> float:
    """Return the resident memory of a process in MiB; 0 when it is gone."""
    try:
        pages = (PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0.0
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def submit(settings: Settings, video: Path, options: Options) -> str:
    """Put a video where an upload would, with options of its own, and return its id."""

    async def pieces() -> AsyncIterator[bytes]:
        with video.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    video_id = str(uuid.uuid4())
    name, bucket = input_object(video_id), settings.buckets[0]
    async with open_storage(settings) as storage, open_video_outbox(settings) as outbox:
        await storage.put_stream(bucket, name, pieces(), content_type="video/mp4", metadata=OURS)
        await outbox.accept(
            video_id=video_id, bucket=bucket, object_name=name, input_owned=True, options=options
        )
    return video_id


async def received(settings: Settings, video_id: str) -> tuple[str, int]:
    """Return the status of a video and how many of its frames have arrived."""
    async with open_runner_records(settings) as records:
        record = await records.get(video_id)
    return (record.status, record.received_frames) if record else ("processing", 0)


def watch(service: Service, settings: Settings, video_id: str, after: int) -> tuple[Readings, float, int]:
    """Read until a video is ready; return the readings since `after` frames, seconds and frames since then.

    Raises:
        BenchmarkFailed: it has failed, or takes for ever.
    """
    readings, began, skipped, frames = Readings(), time.monotonic(), 0, 0
    deadline = began + WITHIN
    while True:
        status, frames = asyncio.run(received(settings, video_id))
        if status == "ready":
            service.check()
            return readings, time.monotonic() - began, frames - skipped
        if status == "failed" or time.monotonic() > deadline:
            raise BenchmarkFailed(f"the video is {status} with {frames} frames")
        if frames < after:
            began, skipped = time.monotonic(), frames
        else:
            readings.take(service.pids)
        time.sleep(LOOK_EVERY)


def main() -> int:
    """Run what the command line asks for; return 1 with a sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0, help="of video (2)")
    parser.add_argument("--vid-stride", type=int, default=5, help="every how manieth frame is looked at (5)")
    asked = parser.parse_args()
    try:
        with interruptible(), tempfile.TemporaryDirectory(prefix="kadr-endurance-") as folder:
            return run(Path(folder), hours=asked.hours, vid_stride=asked.vid_stride)
    except KadrError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run(folder: Path, *, hours: float, vid_stride: int) -> int:
    """Let one video through and write what memory was."""
    clip, video = folder / "clip.mp4", folder / "video.mp4"
    write_clip(clip, seed=11, frames=CLIP_SECONDS * FRAMES_PER_SECOND, fps=FRAMES_PER_SECOND, size=SIZE)
    repeat_clip(clip, video, round(hours * 3600 / CLIP_SECONDS))
    with open_stand_ins(folder / "data", workers=1, seconds=0, environment=os.environ) as service:
        given = {name.lower(): value for name, value in service.stack.environment().items()}
        settings = Settings.model_validate(given)
        video_id = asyncio.run(submit(settings, video, Options(vid_stride=vid_stride)))
        after = round(WARM_UP * FRAMES_PER_SECOND / vid_stride)
        readings, seconds, frames = watch(service, settings, video_id, after)
    print(f"{hours:g} h of video, vid_stride {vid_stride}: {frames / seconds:.0f} frames/s")
    for each in readings.growth():
        figures = f"{each.first:7.0f} {each.half:7.0f} {each.last:7.0f} {each.most:7.0f}"
        print(f"{each.name:11} {figures} MiB  {each.last / each.first:.2f}")
    report = {
        "machine": describe_machine(),
        "hours": hours,
        "vid_stride": vid_stride,
        "frames_per_second": frames / seconds,
        "memory": readings.growth(),
    }
    OUTPUT.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
