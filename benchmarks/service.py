"""A Kadr of its own, and one video through it."""

import asyncio
import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from app.client import Kadr, NotReady, VideoFailed
from app.clients.runner_records import open_runner_records
from app.domain.precision import Precision
from app.domain.records import Record
from app.errors import KadrError
from app.local.ports import free_ports
from app.local.stack import SETTING_OF_SERVER, LocalStack
from app.settings import Settings
from benchmarks.processor import Reading, Usage

PRECISION_SETTING: Final = "DETECTOR_PRECISION"

DONE_SECONDS: Final = 1800.0
"""After this a video is given up."""

QUIET_SHARE: Final = 1.0
"""Until this share of the shortest time so far nobody asks: each question costs what is being measured."""

ASK_EVERY: Final = 0.1
"""Share of the time so far between two questions from then on. Kadr itself notes when a result was there, so
that this is no error of a time."""

CLOCKS_APART: Final = 0.005
"""Seconds by which the clock of the day may have been set while a video was measured by it."""

STILL_EVERY: Final = 1.5
STILL_SECONDS: Final = 10.0
"""How often, and how long at most, is looked whether the decoding children have come to rest; the one for the
next video is started a second after the last one was decoded."""


class BenchmarkFailed(KadrError):
    """A video did not become ready, or what was measured means nothing."""


@dataclass(frozen=True)
class Result:
    """A video that went through Kadr.

    Attributes:
        wall: seconds from the first byte of the upload until it was ready, and those for fetching the result.
        cpu: milliseconds by process; of `runner` the parent alone, its children are `decoders`.
        document: the result.
    """

    wall: float
    cpu: dict[str, float]
    document: dict[str, Any]

    @property
    def frames(self) -> int:
        """Sampled frames."""
        return len(self.document["prediction"])


@dataclass
class Service:
    """A running Kadr on an otherwise idle stack.

    Attributes:
        stack: its servers and processes.
        api: its door.
        pids: of its programs, by name.
    """

    stack: LocalStack
    api: Kadr
    pids: dict[str, int]
    _shortest: dict[Path, float] = field(default_factory=dict)

    def look_at(self, video: Path) -> Result:
        """Submit a video and wait for its result.

        Raises:
            BenchmarkFailed: it has failed, or takes for ever, or the clock was set meanwhile.
        """
        self.rest()
        before = Reading.take(self.pids)
        began, offset = time.monotonic(), clock_offset()
        video_id = self.api.submit(video).id
        quiet = self._shortest.get(video, 0.0) * QUIET_SHARE
        document, fetching = self._wait(video_id, began, quiet=quiet)
        used = Reading.take(self.pids).used(before)
        if abs(clock_offset() - offset) > CLOCKS_APART:
            raise BenchmarkFailed("the clock was set while a video was measured")
        wall = self._ready_at(video_id) - (began + offset) + fetching
        self._shortest[video] = min(wall, self._shortest.get(video, wall))
        self.rest()
        # The child that gets ready for the next video is part of what a video costs.
        children = Reading.take(self.pids).used(before)["runner"].children
        return Result(wall, split_decoders(used, children=children), document)

    def rest(self) -> None:
        """Return when the decoding children use no processor time any more."""
        deadline = time.monotonic() + STILL_SECONDS
        last = -1.0
        while (now := Reading.take(self.pids).usage["runner"].children) != last:
            if time.monotonic() > deadline:
                return
            last = now
            time.sleep(STILL_EVERY)

    def check(self) -> None:
        """Make sure that no program has started anew: its processor time would be that of two.

        Raises:
            BenchmarkFailed: one has.
        """
        now = pids_of(self.stack)
        changed = sorted(name for name, pid in self.pids.items() if now[name] != pid)
        if changed:
            raise BenchmarkFailed(f"started anew while it was measured: {', '.join(changed)}")

    def idle(self, seconds: float) -> dict[str, float]:
        """Return what each process uses when there is nothing to do, in milliseconds per second."""
        self.rest()
        before = Reading.take(self.pids)
        time.sleep(seconds)
        after = Reading.take(self.pids)
        used = split_decoders(after.used(before), children=after.used(before)["runner"].children)
        return {name: milliseconds / (after.at - before.at) for name, milliseconds in used.items()}

    def _wait(self, video_id: str, began: float, *, quiet: float) -> tuple[dict[str, Any], float]:
        """Return the result, and the seconds for fetching it."""
        time.sleep(max(0.0, began + quiet - time.monotonic()))
        while (asked := time.monotonic()) < began + DONE_SECONDS:
            result = io.BytesIO()
            try:
                self.api.save_result(video_id, result)
            except NotReady:
                pass
            except VideoFailed as error:
                raise BenchmarkFailed(str(error)) from error
            else:
                fetching = time.monotonic() - asked
                document: dict[str, Any] = msgspec.json.decode(result.getvalue())
                return document, fetching
            time.sleep(ASK_EVERY * (time.monotonic() - began))
        raise BenchmarkFailed(f"a video was not ready after {DONE_SECONDS:.0f} seconds")

    def _ready_at(self, video_id: str) -> float:
        """Return when the result was there, in seconds of the clock of the day."""
        record = asyncio.run(record_of(self.stack, video_id))
        if record is None or record.ready_at is None:
            raise BenchmarkFailed(f"nobody noted when the video {video_id} was ready")
        return record.ready_at.timestamp()


@contextmanager
def open_service(
    folder: Path, *, model: Path, precision: Precision, environment: Mapping[str, str]
) -> Iterator[Service]:
    """Start servers and processes on free ports and wait until they are ready; they stop with the block.

    Args:
        folder: an empty one for everything.
        model: the weights.
        precision: of the detector.
        environment: settings of Kadr other than those; servers that it names are not used.
    """
    given = own_environment(environment) | {"MODEL": str(model)}
    if precision != "f32":
        given[PRECISION_SETTING] = precision
    with free_ports() as ports:
        stack = LocalStack.from_environment(given, data_dir=folder, ports=ports)
        with stack:
            stack.wait_ready()
            with Kadr(f"http://127.0.0.1:{ports.api}") as api:
                yield Service(stack, api, pids_of(stack))


def clock_offset() -> float:
    """Return by how many seconds the clock of the day is ahead of the monotonic one."""
    return time.time() - time.monotonic()


async def record_of(stack: LocalStack, video_id: str) -> Record | None:
    """Return what a stack's runner knows of a video; None when it does not know it."""
    given = {name.lower(): value for name, value in stack.environment().items()}
    async with open_runner_records(Settings.model_validate(given)) as records:
        return await records.get(video_id)


def own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the servers and the data folder that it may name."""
    foreign = {*SETTING_OF_SERVER.values(), "RUNNER_MONGO_URI", "DATA_DIR"}
    return {name: value for name, value in environment.items() if name not in foreign}


def pids_of(stack: LocalStack) -> dict[str, int]:
    """Return the process id of each program of a stack."""
    return {now.name: now.pid for now in stack.status()}


def split_decoders(used: Mapping[str, Usage], *, children: float) -> dict[str, float]:
    """Return milliseconds by process, the runner's children apart from it as `decoders`."""
    found = {name: usage.total for name, usage in used.items()}
    return found | {"runner": used["runner"].own, "decoders": children}
