"""What is in a video and when: counts for each class, and the spans of time in which it is to be seen.

Kept are *runs*: spans of frames that were looked at one after the other and all show the class. Segments for
any `gap` are runs put together, so that nothing has to be computed again when another gap is asked for.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, TypeAlias

import msgspec
from msgspec import Struct

from app.domain.results import Document, Row
from app.exports.selection import Selection

RUNS_AT_ONCE: Final = 1000
"""Runs in one line of what is kept: some 25 kB, which is what a reader holds."""

LEAST_GAP: Final = 1.0
"""Seconds: a detector loses sight of a thing for that long, and nobody would say that it was gone."""

FRAMES_BRIDGED: Final = 2
"""Frames that were looked at; where they are far apart, one that shows nothing does not end a segment."""

Run: TypeAlias = tuple[float, float, float]
"""Seconds of the first and of the last frame, and the highest confidence."""


class ClassSummary(Struct, frozen=True):
    """What there is of one class.

    Attributes:
        detections: how often it was found.
        frames: in how many frames.
        first: seconds of the first of them.
        last: seconds of the last one.
        most_at_once: most of them in one frame.
        conf: highest confidence.
    """

    class_: str = msgspec.field(name="class")
    detections: int
    frames: int
    first: float
    last: float
    most_at_once: int
    conf: float


class Counted(Struct, frozen=True):
    """The first line of what is kept; the lines behind it are `Runs`, class by class in the same order.

    Attributes:
        interval: seconds from one frame that was looked at to the next.
        looked_at: frames that were looked at.
        not_looked_at: frames that could not be looked at; the result says why.
    """

    interval: float
    looked_at: int
    not_looked_at: int
    classes: list[ClassSummary]


class Runs(Struct, frozen=True):
    """Some runs of a class, in order of time."""

    class_: str = msgspec.field(name="class")
    runs: list[Run]


class Segment(Struct, frozen=True):
    """A span of time in which a class is to be seen: seconds of the first and of the last frame."""

    start: float
    end: float
    conf: float


def default_gap(interval: float) -> float:
    """Return the seconds without a sight of a class that do not end a segment, when nobody says."""
    return max(LEAST_GAP, FRAMES_BRIDGED * interval)


class Joiner:
    """Puts runs of one class together that are not far apart.

    Args:
        gap: the most seconds between the end of one and the start of the next.
    """

    def __init__(self, gap: float) -> None:
        self._gap = gap
        self._whole: Run | None = None

    def add(self, runs: Iterable[Run]) -> list[Segment]:
        """Return the segments that are whole now; the runs come in order of time."""
        ended = []
        for start, end, conf in runs:
            whole = self._whole
            if whole is not None and start - whole[1] <= self._gap:
                self._whole = (whole[0], end, max(whole[2], conf))
                continue
            if whole is not None:
                ended.append(Segment(*whole))
            self._whole = (start, end, conf)
        return ended

    def end(self) -> list[Segment]:
        """Return the last segment."""
        return [Segment(*self._whole)] if self._whole is not None else []


class _Tally:
    """Counts one class; runs are kept as bare numbers, 24 bytes each."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.runs = array("d")
        self.detections = self.frames = self.most = 0
        self.conf = 0.0
        self._last = -2

    def see(self, index: int, time: float, count: int, conf: float) -> None:
        """Note that it is in a frame, the `index`-th that was looked at."""
        self.detections += count
        self.frames += 1
        self.most = max(self.most, count)
        self.conf = max(self.conf, conf)
        if index == self._last + 1:
            self.runs[-2] = time
            self.runs[-1] = max(self.runs[-1], conf)
        else:
            self.runs.extend((time, time, conf))
        self._last = index

    def summary(self) -> ClassSummary:
        """Return what was counted."""
        first, last = self.runs[0], self.runs[-2]
        return ClassSummary(self.name, self.detections, self.frames, first, last, self.most, self.conf)

    def lines(self) -> Iterator[Runs]:
        """Yield the runs, some at a time."""
        for start in range(0, len(self.runs), 3 * RUNS_AT_ONCE):
            some = self.runs[start : start + 3 * RUNS_AT_ONCE]
            yield Runs(self.name, list(zip(some[::3], some[1::3], some[2::3], strict=True)))


def write_summary(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write `Counted`, then `Runs`, a line each; classes in alphabetical order.

    A frame that could not be looked at says nothing: it ends no run.
    """
    tallies: dict[str, _Tally] = {}
    looked_at = failed = 0
    for row in selection.select(document.rows()):
        if row.error:
            failed += 1
            continue
        _count(row, looked_at, tallies, document.head.video.fps or 1.0)
        looked_at += 1
    ordered = [tallies[name] for name in sorted(tallies)]
    counted = Counted(document.head.interval, looked_at, failed, [each.summary() for each in ordered])
    encoder = msgspec.json.Encoder()
    out.write(encoder.encode(counted) + b"\n")
    for tally in ordered:
        out.writelines(encoder.encode(line) + b"\n" for line in tally.lines())


def _count(row: Row, index: int, tallies: dict[str, _Tally], fps: float) -> None:
    time = row.frame / fps if row.time is None else row.time
    best: dict[str, float] = {}
    for each in row.objects:
        best[each.class_] = max(best.get(each.class_, 0.0), each.conf)
    for name, count in Counter(each.class_ for each in row.objects).items():
        tallies.setdefault(name, _Tally(name)).see(index, time, count, best[name])
