"""Rates and remaining times follow what happens, and do not jump about while it goes on as before."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.estimates import STEADY_FOR, WINDOW, Trail, follow, frames_per_second, seconds_left


def seen(*points: tuple[float, int], attempt: int = 1) -> Trail:
    """What is known after these looks."""
    trail: Trail | None = None
    for at, frames in points:
        trail = follow(trail, attempt=attempt, at=at, frames=frames)
    assert trail is not None
    return trail


def left(trail: Trail, *, at: float, total: int | None, average: float | None = None) -> float | None:
    rate = frames_per_second(trail, at=at, average=average)
    return seconds_left(trail, at=at, rate=rate, total=total)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    slow = [(float(at), at * 10) for at in range(60)]
    fast = [(60.0 + at, 600 + at * 40) for at in range(20)]
    assert frames_per_second(seen(*slow), at=59.0, average=None) == pytest.approx(10)
    assert frames_per_second(seen(*slow, *fast), at=79.0, average=None) == pytest.approx(40)


def test_at_first_the_average_since_decoding_began_counts() -> None:
    trail = seen((100.0, 50))
    assert frames_per_second(trail, at=100.0, average=5.0) == 5.0
    assert left(trail, at=100.0, total=100, average=5.0) == pytest.approx(10)


def test_nothing_is_known_before_the_first_frame_or_without_a_total() -> None:
    trail = seen((100.0, 0))
    assert left(trail, at=100.0, total=100) is None
    assert left(seen((0.0, 0), (5.0, 50)), at=5.0, total=None) is None


def test_between_two_changes_the_time_left_falls_as_the_clock_goes_on() -> None:
    trail = seen((0.0, 0), (5.0, 50))
    assert left(trail, at=5.0, total=100) == pytest.approx(5)
    assert left(trail, at=6.0, total=100) == pytest.approx(4)
    assert left(trail, at=7.5, total=100) == pytest.approx(2.5)


def test_who_stands_still_gets_slower_and_at_last_nobody_knows() -> None:
    trail = seen((0.0, 0), (5.0, 50))
    soon = left(trail, at=5.0 + STEADY_FOR + 0.1, total=100)
    later = left(trail, at=5.0 + 2 * STEADY_FOR, total=100)
    assert soon is not None
    assert later is not None
    assert 5 < soon < later
    gone = 5.0 + WINDOW + 1
    assert frames_per_second(trail, at=gone, average=None) == 0.0
    assert left(trail, at=gone, total=100) is None


def test_when_all_frames_are_done_nothing_is_left() -> None:
    assert left(seen((0.0, 0), (5.0, 100)), at=5.0, total=100) == 0.0
    assert left(seen((0.0, 0), (5.0, 110)), at=5.0, total=100) == 0.0, "the container has said too few"


def test_another_attempt_begins_anew() -> None:
    before = seen((0.0, 0), (5.0, 50))
    assert follow(before, attempt=2, at=6.0, frames=60).points == ((6.0, 60),)
    assert follow(before, attempt=1, at=6.0, frames=10).points == ((6.0, 10),)


@given(
    rate=st.floats(5, 500),
    gaps=st.lists(st.floats(0.85, 1.6), min_size=25, max_size=40),
    written_every=st.floats(0.9, 1.1),
)
def test_of_a_steady_video_the_time_left_falls_steadily(
    rate: float, gaps: list[float], written_every: float
) -> None:
    """Looks come at any time; the count is as old as its last writing."""
    total = int(rate * 100)
    at, trail, shown = 0.0, None, []
    for gap in gaps:
        at += gap
        written = int(at / written_every) * written_every
        trail = follow(trail, attempt=1, at=at, frames=int(rate * written))
        if at > WINDOW and (found := left(trail, at=at, total=total)) is not None:
            shown.append((at, found))
    for (before, first), (after, second) in itertools.pairwise(shown):
        assert second - first <= 0.15 * first, "it does not jump up"
        assert first - second <= (after - before) + 0.15 * first, "it does not jump down"
    for when, found in shown:
        assert found == pytest.approx(100 - when, rel=0.2, abs=3)


@given(st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 10_000)), min_size=1, max_size=60))
def test_a_trail_is_bounded_and_never_runs_backwards(looks: list[tuple[float, int]]) -> None:
    trail = seen(*sorted(looks))
    times = [at for at, _ in trail.points]
    frames = [count for _, count in trail.points]
    assert times == sorted(times)
    assert frames == sorted(set(frames))
    assert sum(1 for at in times if at < times[-1] - WINDOW) <= 1
