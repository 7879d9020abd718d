"""Every so manieth frame is looked at, counted from frame 0."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.sampling import count_sampled, frame_number, sample_index

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


def test_a_frame_between_has_no_index() -> None:
    with pytest.raises(ValueError, match="frame 7 is not sampled at a stride of 5"):
        sample_index(7, 5)
