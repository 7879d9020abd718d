"""A Kadr whose inference workers are stand-ins: everything is measured but the model."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from app.client import Kadr
from app.local.folder import DataFolder
from app.local.ports import Ports, free_ports
from app.local.processes import create_processes, create_worker
from app.local.program import Program
from app.local.stack import LocalStack
from benchmarks.service import BenchmarkFailed, Service, own_environment, pids_of

MODULE: Final = "benchmarks.stand_in"
"""Where the Faust app of a stand-in is."""

POLL: Final = 0.2
"""Seconds between two questions, about one video at a time: forty a second took a tenth of two cores."""


@contextmanager
def open_stand_ins(
    folder: Path, *, workers: int, seconds: float, environment: Mapping[str, str]
) -> Iterator[Service]:
    """Start Kadr on free ports with stand-ins for its model; it stops with the block.

    Args:
        folder: an empty one for everything.
        workers: how many stand-ins.
        seconds: that each takes for a picture, without using the processor.
        environment: settings of Kadr; servers that it names are not used.
    """
    given = own_environment(environment) | {"STAND_IN_SECONDS": str(seconds)}
    with ExitStack() as opened:
        # One set for everything, and of each further set the port of a worker.
        ports, *more = (opened.enter_context(free_ports()) for _ in range(workers))
        processes = _processes(DataFolder(folder), ports, more)
        stack = LocalStack.from_environment(given, data_dir=folder, ports=ports, processes=processes)
        opened.enter_context(stack)
        stack.wait_ready()
        api = opened.enter_context(Kadr(f"http://127.0.0.1:{ports.api}"))
        yield Service(stack, api, pids_of(stack))


def _processes(folder: DataFolder, ports: Ports, more: Sequence[Ports]) -> tuple[Program, ...]:
    others = (
        create_worker(folder, "inference", port=each.inference, name=f"inference-{number}", module=MODULE)
        for number, each in enumerate(more, start=2)
    )
    return (*create_processes(folder, ports, modules={"inference": MODULE}), *others)


def seconds_until_ready(service: Service, videos: Sequence[Path], *, within: float) -> float:
    """Submit videos and return how long it took until the last one was ready.

    Raises:
        BenchmarkFailed: one has failed, or they take too long.
    """
    began = time.monotonic()
    for video_id in [service.api.submit(video).id for video in videos]:
        while not _is_ready(service, video_id):
            if time.monotonic() > began + within:
                raise BenchmarkFailed(f"not ready after {within:.0f} seconds")
            time.sleep(POLL)
    return time.monotonic() - began


def _is_ready(service: Service, video_id: str) -> bool:
    video = service.api.get(video_id)
    if video.error is not None:
        raise BenchmarkFailed(f"a video has failed: {video.error.message}")
    return video.status == "ready"
