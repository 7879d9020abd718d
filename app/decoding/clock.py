"""Seconds since the container's first timestamp."""

from fractions import Fraction
from typing import Final

DECIMALS: Final = 6
"""Microseconds: finer than any container's timestamps, coarser than the noise of floating point."""

FALLBACK_RATE: Final = Fraction(25)
"""Frames per second of a stream that has neither timestamps nor a rate: what FFmpeg assumes of raw H.264."""


class Clock:
    """Tells the time of each frame, also of those without a timestamp; it never runs backwards.

    Args:
        time_base: seconds per unit of a timestamp.
        origin: the container's first timestamp, in seconds.
        rate: frames per second, for frames without a timestamp; None when the container does not say.
    """

    def __init__(self, *, time_base: Fraction, origin: float, rate: Fraction | None) -> None:
        self._time_base = time_base
        self._origin = origin
        self.step = float(1 / (rate or FALLBACK_RATE))
        self._last: float | None = None

    def seconds(self, pts: int) -> float:
        """Return the seconds that a timestamp stands for, also negative ones."""
        return float(pts * self._time_base) - self._origin

    def ticks(self, seconds: float) -> int:
        """Return the timestamp that is shown after so many seconds, or the nearest one."""
        return round((seconds + self._origin) / self._time_base)

    def length(self, duration: int | None) -> float:
        """Return how many seconds a frame lasts; the average when the file does not say."""
        return float(duration * self._time_base) if duration else self.step

    def tell(self, pts: int | None) -> float:
        """Return the time of the next frame in order of presentation, at least 0."""
        if pts is None:
            guessed = 0.0 if self._last is None else self._last + self.step
        self._last = max(guessed if pts is None else self.seconds(pts), self._last or 0.0, 0.0)
        return self._last
