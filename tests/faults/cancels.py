"""`python -m tests.faults.cancels`: many videos cancelled at random moments, and how soon nothing moves."""

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import httpx
from anyio.from_thread import start_blocking_portal

from app.clients.s3.storage import open_storage
from app.domain.objects import (
    detection_object,
    failed_object,
)
from app.local.ports import free_ports
from app.local.stack import LocalStack
from models.shapes import write_clip
from tests.faults.kadr import CLOCKS, READY_SECONDS, settings_of
from tests.support.cancelled import PROMISED, Cancelled, Watch
from tests.support.children import padded
from tests.support.pipeline import Pipeline
from tests.support.slow_line import open_slow_line
from tests.support.stack import own_environment
from tests.support.task_log import TaskLog

FRAMES: Final = (40, 400, 1500)
"""Of the clips: one that is ready in a moment, one of a few seconds, a long one."""

RATE: Final = 15_000
"""Bytes a second at which results are written: quick ones would hardly ever be met in that stage."""

WRITING_EVERY: Final = 4
"""Of so many videos one is cancelled while its result is written, the others at any moment."""

WRITTEN_WITHIN: Final = 300.0
"""Seconds in which a video is looked at, beside the others."""

SETTLED_WITHIN: Final = 60.0
"""Seconds for what follows the last cancel: reasons are written, rows deleted, commands confirmed."""


@dataclass(frozen=True)
class Clip:
    """A clip, and how many seconds it takes undisturbed."""

    path: Path
    life: float


def main() -> int:
    """Cancel as many videos as the command line says; return 1 if anything was wrong."""
    asked = _parse()
    with ExitStack() as opened:
        root = opened.enter_context(tempfile.TemporaryDirectory(prefix="kadr-cancels-"))
        pipeline = opened.enter_context(_open(Path(root)))
        opened.enter_context(_slow_results(pipeline, asked.rate))
        clips = [Clip(path, _life(pipeline, path)) for path in _draw(Path(root))]
        _say(f"seed {asked.seed}; undisturbed they take {', '.join(f'{each.life:.1f} s' for each in clips)}")
        with TaskLog(pipeline.settings) as tasks, ThreadPoolExecutor(asked.at_once) as pool:
            watch = Watch(pipeline, tasks)

            def one(number: int) -> Cancelled:
                random = Random(f"{asked.seed}/{number}")  # noqa: S311 - repeatable, not secret
                return _cancel_one(watch, random.choice(clips), number, random.random())

            found = []
            for each in pool.map(one, range(asked.count)):
                found.append(each)
                _say(_line(len(found), each))
            problems = _problems(pipeline, found)
    _say(_summary(found))
    for problem in problems:
        _say(f"VIOLATION: {problem}")
    return 1 if problems else 0


def _cancel_one(watch: Watch, clip: Clip, number: int, moment: float) -> Cancelled:
    """Cancel a video at a moment of its life, from 0 to 1."""
    path = clip.path.with_name(f"cancelled-{number}.mp4")
    size = padded(clip.path, path, number)
    video_id = _submit(watch.pipeline, path)
    path.unlink()
    if number % WRITING_EVERY:
        time.sleep(moment * clip.life)
    else:
        _wait_for_writing(watch, video_id)
    return watch.cancel(video_id, size)


def _wait_for_writing(watch: Watch, video_id: str) -> None:
    """Return as soon as a result is about to be written: how late that is depends on all the others."""
    record = watch.pipeline.record
    deadline = time.monotonic() + WRITTEN_WITHIN
    while (found := record(video_id)) is None or found["status"] == "processing":
        assert time.monotonic() < deadline, f"{video_id} is {found}"
        time.sleep(0.01)


def _submit(pipeline: Pipeline, path: Path) -> str:
    """As `Pipeline.submit`, with a connection of this thread's own."""
    with httpx.Client(base_url=pipeline.settings.api_url, timeout=60, trust_env=False) as api:
        with path.open("rb") as file:
            answer = api.post("/api/upload_video", files={"file": (path.name, file)})
        return str(answer.raise_for_status().json()["event_id"])


def _problems(pipeline: Pipeline, found: Sequence[Cancelled]) -> list[str]:
    """Return a sentence for each thing that is wrong once everything has come to rest."""
    late = [f"{each} took {each.rest:.1f} s" for each in found if each.rest > PROMISED]
    taken = {each.video_id for each in found if each.status == httpx.codes.ACCEPTED}
    deadline = time.monotonic() + SETTLED_WITHIN
    while (open_ := _open_ends(pipeline, taken)) and time.monotonic() < deadline:
        time.sleep(0.5)
    strange = [f"{each.status} for {each}" for each in found if each.status not in (202, 409)]
    return [*late, *strange, *open_]


def _open_ends(pipeline: Pipeline, taken: set[str]) -> list[str]:
    main = pipeline.mongo["main_db"]
    open_ = [f"{each['_id']} was not confirmed" for each in main["commands"].find({}, ["_id"])]
    for video_id in taken:
        record = pipeline.record(video_id)
        if record is None or record["status"] != "cancelled":
            open_.append(f"the record of {video_id} is {record and record['status']}")
        if pipeline.page("results", f"/videos/{video_id}").get("rows"):
            open_.append(f"rows of {video_id} are left")
    return open_ + asyncio.run(_strange_objects(pipeline, taken))


async def _strange_objects(pipeline: Pipeline, taken: set[str]) -> list[str]:
    async with open_storage(pipeline.settings) as storage:
        names = {item.name async for item in storage.names(pipeline.settings.buckets[0], "")}
    both = [f"{each} has a result" for each in taken if detection_object(each) in names]
    return both + [f"{each} has no reason" for each in taken if failed_object(each) not in names]


def _summary(found: Sequence[Cancelled]) -> str:
    taken = [each for each in found if each.status == httpx.codes.ACCEPTED]
    lines = [f"{len(found)} videos, {len(taken)} cancelled, {len(found) - len(taken)} had ended before"]
    stages = Counter(each.stage for each in taken)
    lines.append("cancelled while " + ", ".join(f"{stage}: {count}" for stage, count in stages.most_common()))
    lines.append("seconds from the answer until              p50    p99    max")
    for name, text in (
        ("shown", "the status is cancelled"),
        ("child", "no child of the video lives"),
        ("task", "no new task of it is sent"),
        ("rest", "all three"),
    ):
        lines.append(f"  {text:36} " + _figures([getattr(each, name) for each in taken]))
    for stage in stages:
        rests = [each.rest for each in taken if each.stage == stage]
        lines.append(f"  all three, cancelled while {stage:9} " + _figures(rests))
    return "\n".join(lines)


def _figures(seconds: Sequence[float]) -> str:
    values = sorted(seconds) or [math.nan]
    figures = (_quantile(values, 0.5), _quantile(values, 0.99), values[-1])
    return " ".join(f"{figure:6.3f}" for figure in figures)


def _quantile(values: Sequence[float], part: float) -> float:
    return values[min(len(values) - 1, math.ceil(part * len(values)) - 1)]


def _line(number: int, each: Cancelled) -> str:
    times = f"shown {each.shown:.3f}  child {each.child:.3f}  task {each.task:.3f}"
    return f"{number:4} {each.video_id} {each.stage:12} {each.status}  {times}"


def _draw(root: Path) -> list[Path]:
    clips = []
    for number, frames in enumerate(FRAMES):
        clips.append(root / f"clip-{number}.mp4")
        write_clip(clips[-1], seed=300 + number, frames=frames, size=(512, 288))
    return clips


def _life(pipeline: Pipeline, clip: Path) -> float:
    """Return how many seconds an undisturbed video takes."""
    begun = time.monotonic()
    assert pipeline.wait_for(pipeline.submit(clip))["status"] == "ready"
    return time.monotonic() - begun


@contextmanager
def _open(root: Path) -> Iterator[Pipeline]:
    with free_ports() as ports:
        given = own_environment() | CLOCKS | {"MODEL": ""}
        stack = LocalStack.from_environment(given, data_dir=root / "data", ports=ports)
        with stack:
            stack.wait_ready(READY_SECONDS)
            with Pipeline.connect(stack, settings_of(stack.environment() | CLOCKS)) as pipeline:
                yield pipeline


@contextmanager
def _slow_results(pipeline: Pipeline, rate: int) -> Iterator[None]:
    """Let the worker that writes results have a slow line to S3."""
    endpoint = pipeline.settings.minio_endpoint
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_slow_line(endpoint)) as line,
    ):
        line.rate = rate
        with pipeline.changed_worker("results", {"MINIO_ENDPOINT": line.address}):
            yield


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.cancels", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="videos to cancel")
    parser.add_argument("--seed", type=int, default=1, help="decides which clips, and when")
    parser.add_argument("--at-once", type=int, default=4, help="videos in work at a time")
    parser.add_argument("--rate", type=int, default=RATE, help="bytes a second that results are written with")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    sys.exit(main())
