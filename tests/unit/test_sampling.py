"""Every so manieth frame is looked at, counted from frame 0."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.sampling import WHOLE, Window, count_sampled, frame_number, sample_index

strides = st.integers(1, 50)


@given(st.integers(0, 1000), strides)
def test_the_count_is_that_of_the_numbers(frames: int, stride: int) -> None:
    assert count_sampled(frames, stride) == len(range(0, frames, stride))


@given(st.integers(0, 10**8), strides)
def test_number_and_index_belong_together(index: int, stride: int) -> None:
    assert sample_index(frame_number(index, stride), stride) == index


def test_the_first_frame_is_sampled() -> None:
    assert frame_number(0, 5) == 0
    assert count_sampled(1, 5) == 1


@given(st.integers(0, 300), st.sampled_from([5, 24, 25, 30, 29.97]), strides, st.data())
def test_the_count_of_a_window_is_that_of_its_frames(
    frames: int, rate: float, stride: int, data: st.DataObject
) -> None:
    start, length = data.draw(st.integers(0, 2000)), data.draw(st.integers(1, 2000))
    window = Window(start / 100, (start + length) / 100)
    numbers = [number for number in range(0, frames, stride) if window.holds(number / rate)]
    assert window.count_frames(frames, rate, stride) == len(numbers)
    assert WHOLE.count_frames(frames, rate, stride) == count_sampled(frames, stride)


@pytest.mark.parametrize(
    ("start", "end", "count"), [(0.2, 0.4, 5), (0.21, 0.4, 4), (3.0, 9.0, 0), (0.0, 9.0, 50)]
)
def test_a_frame_at_the_border_counts_once(start: float, end: float, count: int) -> None:
    assert Window(start, end).count_frames(50, 25, 1) == count


def test_a_frame_between_has_no_index() -> None:
    with pytest.raises(ValueError, match="frame 7 is not sampled at a stride of 5"):
        sample_index(7, 5)
