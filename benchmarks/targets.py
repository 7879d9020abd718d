"""What must be reached on two cores, warm, in one run."""

from dataclasses import dataclass
from typing import Final

from app.domain.precision import Precision


@dataclass(frozen=True)
class Target:
    """A bound that must be reached, and a goal beyond it.

    Attributes:
        must: the bound.
        goal: beyond it; None where there is none.
        is_least: whether more is better; otherwise less is.
    """

    must: float
    goal: float | None = None
    is_least: bool = False

    def verdict(self, value: float) -> str:
        """Say how far a value gets."""
        if not self._holds(value, self.must):
            return "missed"
        return "goal reached" if self.goal is not None and self._holds(value, self.goal) else "reached"

    def _holds(self, value: float, bound: float) -> bool:
        return value >= bound if self.is_least else value <= bound

    def text(self, unit: str = "") -> str:
        """Return the target in words, such as `≥ 2x, goal 2.3x`."""
        sign = "≥" if self.is_least else "≤"
        goal = "" if self.goal is None else f", goal {self.goal:g}{unit}"
        return f"{sign} {self.must:g}{unit}{goal}"


SPEEDUPS: Final[dict[tuple[Precision, str], Target]] = {
    ("f32", "vtest"): Target(2.0, 2.3, is_least=True),
    ("f32", "car"): Target(1.85, 2.1, is_least=True),
    ("f32", "1080p"): Target(1.6, 1.9, is_least=True),
    ("int8", "vtest"): Target(3.3, 4.0, is_least=True),
    ("int8", "car"): Target(3.3, 4.0, is_least=True),
}
"""How many times as fast as Ultralytics' loop on torch, end to end."""

FLOOR: Final = Target(1.4, 1.2)
"""How many times the floor's time Kadr takes at f32, with every video."""

LATENCY: Final = {50: Target(0.8), 95: Target(1.2)}
"""Seconds from submit to the result of a clip of 10 sampled frames on an idle service, by percentile."""

OVERHEAD: Final = Target(8, 4)
"""Milliseconds of processor time per sampled frame, of everything that neither decodes nor looks."""

PARITY: Final = Target(98, is_least=True)
"""Percent of the reference's confident boxes that have a partner; promised at f32."""
