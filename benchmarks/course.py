"""Who is measured when: warm-up, turns, latency, and whether the results are right."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import parity
from benchmarks.figures import cpu_per_frame, wall_per_frame
from benchmarks.findings import ParityFacts, Run, Sample, Side
from benchmarks.processor import Reading
from benchmarks.rivals import Rival
from benchmarks.service import Service
from benchmarks.videos import Video

Say = Callable[[str], None]

OURSELVES: Final = "benchmark"
"""This process, of which everything that a run starts is a descendant."""

PAUSE: Final = 0.5
"""Seconds before each turn: the threads of a model's libraries wait for more work before they sleep."""

IDLE_SECONDS: Final = 5.0

WARM_UPS: Final = 3
"""Clips that go through before latency is measured."""


@dataclass(frozen=True)
class Turn:
    """Whose turn it is, with what."""

    repetition: int
    video: Video
    side: Side


def plan_turns(sides: Sequence[Side], videos: Sequence[Video], repeats: int) -> Iterator[Turn]:
    """Yield every side with every video, `repeats` times, interleaved.

    Who begins rotates, so that nobody always comes after the same one.
    """
    for repetition in range(repeats):
        for number, video in enumerate(videos):
            first = (repetition + number) % len(sides)
            for side in (*sides[first:], *sides[:first]):
                yield Turn(repetition, video, side)


class Course:
    """One Kadr and its rivals on one machine.

    Args:
        service: a running Kadr.
        rivals: the other sides, loaded.
        run: where the samples go.
        say: is told each of them.
    """

    def __init__(self, service: Service, rivals: Sequence[Rival], run: Run, say: Say) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.notes: dict[str, str] = {}
        self._service = service
        self._rivals = {rival.side: rival for rival in rivals}
        self._run = run
        self._say = say

    def warm_up(self, videos: Sequence[Video]) -> None:
        """Let everybody meet every video once; nothing is measured."""
        for video in videos:
            self._say(f"warming up with {video.name}")
            self._service.look_at(video.path)
            for rival in self._rivals.values():
                rival.warm_up(video)

    def take(self, turns: Iterator[Turn], *, until: float) -> None:
        """Measure all of these, but begin no repetition later than `until` on the monotonic clock."""
        repetition = 0
        for turn in turns:
            if turn.repetition > repetition and time.monotonic() > until:
                break
            repetition = turn.repetition
            time.sleep(PAUSE)
            sample = self._kadr(turn) if turn.side == "kadr" else self._rival(turn)
            self._run.samples.append(sample)
            self._say(line_of(sample))
        self._service.check()

    def measure_idle(self) -> None:
        """Measure what Kadr uses when there is nothing to do."""
        self._run.idle = self._service.idle(IDLE_SECONDS)

    def measure_latency(self, clip: Path, *, times: int) -> None:
        """Measure how long a short clip takes on an idle service."""
        for number in range(-WARM_UPS, times):
            time.sleep(PAUSE)
            wall = self._service.look_at(clip).wall
            if number >= 0:
                self._run.latencies.append(wall)
        self._service.check()
        seconds = " ".join(f"{each:.2f}" for each in self._run.latencies)
        self._say(f"a clip of 10 sampled frames took {seconds} s")

    def _kadr(self, turn: Turn) -> Sample:
        before = Reading.take({OURSELVES: os.getpid()})
        result = self._service.look_at(turn.video.path)
        after = Reading.take({OURSELVES: os.getpid()})
        self.documents[turn.video.name] = result.document
        return Sample(
            side="kadr",
            video=turn.video.name,
            repetition=turn.repetition,
            frames=result.frames,
            wall=result.wall,
            cpu=result.cpu,
            others=after.others(before, [OURSELVES]),
        )

    def _rival(self, turn: Turn) -> Sample:
        pids = self._service.pids | {OURSELVES: os.getpid()}
        before = Reading.take(pids)
        done = self._rivals[turn.side].look_at(turn.video)
        after = Reading.take(pids)
        used = after.used(before)
        idle = sum(used[name].total for name in self._service.pids)
        self.notes[turn.side] = done.note
        return Sample(
            side=turn.side,
            video=turn.video.name,
            repetition=turn.repetition,
            frames=done.frames,
            wall=done.wall,
            cpu=done.cpu,
            others=after.others(before, [OURSELVES]),
            idle_stack=idle / 1000 / (after.at - before.at),
        )


def line_of(sample: Sample) -> str:
    """Return a sample as one line."""
    return (
        f"{sample.repetition + 1:2} {sample.video:8} {sample.side:8} {sample.frames:4} frames"
        f"{wall_per_frame(sample):8.1f} ms{cpu_per_frame(sample):8.1f} ms cpu  others {sample.others:.2f}"
    )


def check_parity(
    videos: Sequence[Video], runs: Sequence[tuple[Run, Course]], weights: Path, say: Say
) -> None:
    """Compare the results of each run with what Ultralytics on torch finds in the same pictures."""
    for video in videos:
        say(f"comparing {video.name} with the model itself")
        expected = parity.reference(parity.sample(video.path), weights, home=weights.parent)
        for run, course in runs:
            document = course.documents.get(video.name)
            if document is not None:
                run.parity[video.name] = facts_of(parity.compare(parity.of_document(document), expected))


def facts_of(agreement: parity.Agreement) -> ParityFacts:
    """Return an agreement's figures."""
    differences = agreement.conf_differences
    return ParityFacts(
        frames=agreement.frames,
        boxes=agreement.boxes,
        matched=agreement.matched,
        lost=agreement.lost,
        extra=agreement.extra,
        equal=agreement.equal,
        pairs=agreement.pairs,
        conf_mean=sum(differences) / len(differences) if differences else 0.0,
        conf_most=max(differences, default=0.0),
    )
