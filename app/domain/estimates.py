"""How fast a video is looked at, and how long the rest will take, from what was seen of it now and then.

The count of finished frames is written at most once a second and seen at some other time, so that it stands
still and jumps. What is remembered are therefore the times at which it was seen to have changed, and between
two changes the rest of the time falls as the clock goes on. All functions are pure; times are seconds of any
one clock that never goes back.
"""

from dataclasses import dataclass
from typing import Final

WINDOW: Final = 15.0
"""Seconds over which a rate is measured: it evens out the steps and still notices a change."""

STEADY_FOR: Final = 3.0
"""Seconds without a change after which it is slower than it was: longer than two writes and two looks."""

FEWEST: Final = 2.0
"""Seconds that a trail has to cover before its rate is better than the average since decoding began."""


@dataclass(frozen=True)
class Trail:
    """What was seen of one attempt at a video.

    Attributes:
        attempt: which one.
        points: (time, finished frames) whenever that number had changed, oldest first.
    """

    attempt: int
    points: tuple[tuple[float, int], ...] = ()


def follow(trail: Trail | None, *, attempt: int, at: float, frames: int) -> Trail:
    """Return the trail with one more look; that of another attempt, or of fewer frames, begins anew."""
    points = trail.points if trail is not None and trail.attempt == attempt else ()
    if points and frames < points[-1][1]:
        points = ()
    if points and frames == points[-1][1]:
        return Trail(attempt, points)
    points = (*points, (at, frames))
    # The last one before the window stays: what came since is divided by the time since it.
    first = max((i for i, (time, _) in enumerate(points) if time <= at - WINDOW), default=0)
    return Trail(attempt, points[first:])


def frames_per_second(trail: Trail, *, at: float, average: float | None) -> float | None:
    """Return the rate of late; None when nothing is known.

    Args:
        trail: what was seen.
        at: the time.
        average: since decoding began, which counts as long as the trail is short.
    """
    if not trail.points:
        return average
    (begun, before), (last, after) = trail.points[0], trail.points[-1]
    end = at if at - last > STEADY_FOR else last
    if end - begun < FEWEST:
        return average
    if end - last > WINDOW:
        return 0.0
    return (after - before) / (end - begun)


def seconds_left(trail: Trail, *, at: float, rate: float | None, total: int | None) -> float | None:
    """Return how long the frames that are missing will take; None when nobody knows.

    Args:
        trail: what was seen.
        at: the time.
        rate: in frames per second, of late.
        total: frames that there will be.
    """
    if total is None or not trail.points:
        return None
    last, done = trail.points[-1]
    missing = max(0, total - done)
    if missing == 0:
        return 0.0
    if not rate:
        return None
    since = at - last
    passed = since if since <= STEADY_FOR else 0.0
    return max(0.0, missing / rate - passed)
