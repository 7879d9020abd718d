"""A Kadr of its own, and one video through it."""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from app.clients.kadr_api import Addresses, KadrApi, open_kadr_api
from app.errors import KadrError
from app.local.ports import free_ports
from app.local.stack import SETTING_OF_SERVER, LocalStack
from app.settings import Precision
from benchmarks.processor import Reading, Usage

PRECISION_SETTING: Final = "DETECTOR_PRECISION"

DONE_SECONDS: Final = 1800.0
"""After this a video is given up."""

QUIET_SHARE: Final = 0.75
"""Until this share of the shortest time so far nobody asks: each question costs what is being measured. A
result that is there at the first question may have been there for long: that time counts for nothing."""

ASK_EVERY: Final = 0.02
"""Share of the time so far between two questions from then on, and so the largest error of a single time."""

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
        wall: seconds from the first byte of the upload to the last of the result.
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
    api: KadrApi
    pids: dict[str, int]
    _shortest: dict[Path, float] = field(default_factory=dict)

    def look_at(self, video: Path) -> Result:
        """Submit a video and wait for its result; once more where nobody saw when it came.

        Raises:
            BenchmarkFailed: it has failed, or takes for ever.
        """
        while (result := self._look_at(video)) is None:
            self._shortest[video] /= 2
        return result

    def _look_at(self, video: Path) -> Result | None:
        self.rest()
        before = Reading.take(self.pids)
        began = time.monotonic()
        video_id = self.api.upload(video, bucket=None, on_sent=lambda _bytes: None)
        expected = self._shortest.get(video, 0.0)
        document, questions = self._wait(video_id, began, quiet=expected * QUIET_SHARE)
        wall = time.monotonic() - began
        if questions == 1 and expected:
            return None
        used = Reading.take(self.pids).used(before)
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

    def _wait(self, video_id: str, began: float, *, quiet: float) -> tuple[dict[str, Any], int]:
        """Return the result, and how many questions it took."""
        time.sleep(max(0.0, began + quiet - time.monotonic()))
        for questions in itertools.count(1):
            if time.monotonic() > began + DONE_SECONDS:
                break
            with self.api.answer(video_id) as answer:
                if answer.note.status == "ready":
                    document: dict[str, Any] = msgspec.json.decode(b"".join(answer.pieces))
                    return document, questions
                if answer.note.error is not None:
                    raise BenchmarkFailed(f"a video has failed: {answer.note.error.message}")
            time.sleep(ASK_EVERY * (time.monotonic() - began))
        raise BenchmarkFailed(f"a video was not ready after {DONE_SECONDS:.0f} seconds")


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
            addresses = Addresses(
                api=f"http://127.0.0.1:{ports.api}",
                runner=f"http://127.0.0.1:{ports.runner}",
                inference=f"http://127.0.0.1:{ports.inference}",
            )
            with open_kadr_api(addresses) as api:
                yield Service(stack, api, pids_of(stack))


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
