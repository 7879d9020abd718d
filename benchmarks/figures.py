"""Medians, percentiles, ratios: from samples to figures."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.findings import Sample, Side

MILLISECONDS = 1000


@dataclass(frozen=True)
class Ratio:
    """How many times as long one side takes as another, per sampled frame.

    Attributes:
        value: of the medians.
        least: of the repetitions, each side against the other's turn of the same repetition.
        most: likewise.
    """

    value: float
    least: float
    most: float


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of the values do not pass; linear between neighbours.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("there is nothing to take a percentile of")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def wall_per_frame(sample: Sample) -> float:
    """Return the milliseconds of the clock per sampled frame."""
    return sample.wall * MILLISECONDS / sample.frames


def cpu_per_frame(sample: Sample) -> float:
    """Return the milliseconds of processor time per sampled frame, all processes of the side together."""
    return sum(sample.cpu.values()) / sample.frames


def of_side(samples: Iterable[Sample], video: str, side: Side) -> list[Sample]:
    """Return the repetitions of one side with one video, in order."""
    found = [sample for sample in samples if (sample.video, sample.side) == (video, side)]
    return sorted(found, key=lambda sample: sample.repetition)


def median_of(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> float | None:
    """Return the median of a figure; None without samples."""
    return median(map(figure, samples)) if samples else None


def median_by_process(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the median processor time per sampled frame of each process, in milliseconds."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for sample in samples:
        for name, used in sample.cpu.items():
            found[name].append(used / sample.frames)
    return {name: median(values) for name, values in found.items()}


def ratio(longer: Sequence[Sample], shorter: Sequence[Sample]) -> Ratio | None:
    """Return how many times as long per frame the first side takes as the second; None without both."""
    if not longer or not shorter:
        return None
    partners = {sample.repetition: wall_per_frame(sample) for sample in shorter}
    each = [
        wall_per_frame(sample) / partners[sample.repetition]
        for sample in longer
        if sample.repetition in partners
    ]
    value = median(map(wall_per_frame, longer)) / median(map(wall_per_frame, shorter))
    return Ratio(value, min(each, default=value), max(each, default=value))
