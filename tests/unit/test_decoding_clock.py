"""Seconds since the container's first timestamp."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decoding.clock import Clock


def create_clock(*, origin: float = 0.0, rate: Fraction | None = Fraction(25)) -> Clock:
    return Clock(time_base=Fraction(1, 1000), origin=origin, rate=rate)


def test_time_is_counted_from_the_containers_first_timestamp() -> None:
    clock = create_clock(origin=0.5)
    assert [clock.tell(pts) for pts in (511, 551)] == pytest.approx([0.011, 0.051])


def test_a_frame_without_a_timestamp_follows_at_the_average_rate() -> None:
    clock = create_clock()
    assert [clock.tell(pts) for pts in (None, None, 500, None, 600)] == pytest.approx(
        [0, 0.04, 0.5, 0.54, 0.6]
    )


def test_without_a_rate_25_frames_a_second_are_assumed() -> None:
    clock = create_clock(rate=None)
    assert [clock.tell(None), clock.tell(None)] == pytest.approx([0, 0.04])


@given(st.lists(st.none() | st.integers(-(10**9), 10**9), max_size=30), st.floats(-1000, 1000))
def test_time_never_runs_backwards_nor_begins_before_zero(stamps: list[int | None], origin: float) -> None:
    clock = create_clock(origin=origin)
    times = [clock.tell(pts) for pts in stamps]
    assert times == sorted(times)
    assert all(time >= 0 for time in times)
