"""How two models differ on the same pictures, in their boxes and in their time."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from statistics import median
from typing import Final, TypeAlias

import numpy as np

from app.detection.boxes import Boxes, Floats
from app.detection.pictures import Pixels

PARTNERS: Final = 0.5
"""IoU from which boxes of one class are the same object seen twice."""

Look: TypeAlias = Callable[[Pixels], Boxes]


@dataclass
class Agreement:
    """How a second model's boxes differ from the first one's.

    Attributes:
        pictures: how many were looked at.
        boxes: of the first model.
        lost: confidences of the first model's boxes that have no partner.
        new: confidences of the second model's boxes that have no partner.
        changes: of the confidence between partners, the second model's less the first's.
    """

    pictures: int = 0
    boxes: int = 0
    lost: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)

    def add(self, first: Boxes, second: Boxes) -> None:
        """Count one more picture; the more confident of the first's boxes choose their partners first."""
        self.pictures += 1
        self.boxes += len(first.scores)
        shares = overlaps(first.corners, second.corners) * (first.classes[:, None] == second.classes)
        is_free = np.ones(len(second.scores), dtype=bool)
        for one, score in enumerate(first.scores.tolist()):
            open_shares = shares[one] * is_free
            partner = int(open_shares.argmax()) if len(open_shares) else 0
            if not len(open_shares) or open_shares[partner] < PARTNERS:
                self.lost.append(score)
                continue
            is_free[partner] = False
            self.changes.append(float(second.scores[partner]) - score)
        self.new += second.scores[is_free].tolist()


@dataclass(frozen=True)
class Race:
    """How many times as fast a second model is, measured side by side.

    Attributes:
        wall: median over the rounds, by the clock.
        slowest: the least of any round.
        fastest: the most of any round.
        processor: median over the rounds, by the processor time of this process; other processes disturb
            it less.
    """

    wall: float
    slowest: float
    fastest: float
    processor: float


def overlaps(one: Floats, other: Floats) -> Floats:
    """Return the IoU of each box with each; shape (n, m). Empty boxes overlap with nothing."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area, other_area = ((box[:, 2:] - box[:, :2]).prod(axis=1) for box in (one, other))
    union = area[:, None] + other_area[None] - shared
    shares: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return shares


def race(first: Look, second: Look, pictures: Sequence[Pixels], *, rounds: int, threads: Executor) -> Race:
    """Let both models look at all pictures in turn, the one that begins changing from round to round.

    Args:
        first: the model that the ratio refers to.
        second: the model whose speed is asked for.
        pictures: that both look at; a first look at each shape should have been taken.
        rounds: how often.
        threads: that look, as many at a time as in a worker.
    """
    walls, processors = [], []
    for number in range(rounds):
        order = (first, second) if number % 2 == 0 else (second, first)
        spent = {look: _spent(look, pictures, threads) for look in order}
        walls.append(spent[first][0] / spent[second][0])
        processors.append(spent[first][1] / spent[second][1])
    return Race(median(walls), min(walls), max(walls), median(processors))


def _spent(look: Look, pictures: Sequence[Pixels], threads: Executor) -> tuple[float, float]:
    """Return seconds by the clock and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    for _ in threads.map(look, pictures):
        pass
    return time.perf_counter() - wall, time.process_time() - processor
