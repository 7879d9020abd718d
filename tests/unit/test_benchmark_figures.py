"""From samples to figures, and what they are compared with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import (
    cpu_per_frame,
    median_by_process,
    median_of,
    of_side,
    percentile,
    ratio,
    wall_per_frame,
)
from benchmarks.findings import Sample, Side
from benchmarks.targets import Target


def sample(side: Side, wall: float, *, repetition: int = 0, frames: int = 10, **cpu: float) -> Sample:
    """A sample with one video."""
    return Sample(side, "vtest", repetition, frames, wall, cpu, others=0.0)


def test_times_are_milliseconds_per_sampled_frame() -> None:
    one = sample("kadr", 2.0, frames=100, inference=3000, kafka=500)
    assert wall_per_frame(one) == 20
    assert cpu_per_frame(one) == 35


def test_half_of_the_values_do_not_pass_the_median() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile([4, 1, 2, 3], 50) == 2.5


def test_a_percentile_lies_between_its_neighbours() -> None:
    assert percentile(list(range(21)), 95) == 19
    assert percentile(list(range(20)), 95) == pytest.approx(18.05)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_never_beyond_the_values(values: list[float], percent: float) -> None:
    tolerance = 1e-9 * max(values)
    assert min(values) - tolerance <= percentile(values, percent) <= max(values) + tolerance


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_a_ratio_is_that_of_the_medians_with_the_spread_of_the_repetitions() -> None:
    torch = [sample("torch", wall, repetition=number) for number, wall in enumerate([8, 6, 9])]
    kadr = [sample("kadr", wall, repetition=number) for number, wall in enumerate([4, 2, 5])]
    found = ratio(torch, kadr)
    assert found is not None
    assert [found.value, found.least, found.most] == pytest.approx([2.0, 1.8, 3.0])


def test_a_ratio_is_per_frame_and_so_fair_to_who_looks_at_one_frame_less() -> None:
    found = ratio([sample("torch", 9.9, frames=99)], [sample("kadr", 5.0, frames=100)])
    assert found is not None
    assert found.value == pytest.approx(2.0)


def test_there_is_no_ratio_without_both() -> None:
    assert ratio([], [sample("kadr", 1)]) is None
    assert ratio([sample("torch", 1)], []) is None


def test_each_process_has_its_own_median() -> None:
    samples = [
        sample("kadr", 1, repetition=number, kafka=kafka, s3=s3)
        for number, (kafka, s3) in enumerate([(10, 300), (20, 100), (90, 200)])
    ]
    assert median_by_process(samples) == {"kafka": 2, "s3": 20}


def test_the_samples_of_a_side_are_in_order_and_of_that_side_only() -> None:
    first, second = sample("kadr", 1, repetition=0), sample("kadr", 2, repetition=1)
    assert of_side([second, sample("torch", 3), first], "vtest", "kadr") == [first, second]
    assert of_side([first], "car", "kadr") == []
    assert median_of([], wall_per_frame) is None


@pytest.mark.parametrize(
    ("value", "verdict"), [(1.9, "missed"), (2.0, "reached"), (2.29, "reached"), (2.3, "goal reached")]
)
def test_where_more_is_better_the_target_is_reached_from_the_bound_on(value: float, verdict: str) -> None:
    assert Target(2.0, 2.3, is_least=True).verdict(value) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(1.41, "missed"), (1.4, "reached"), (1.2, "goal reached")])
def test_where_less_is_better_the_target_is_reached_up_to_the_bound(value: float, verdict: str) -> None:
    assert Target(1.4, 1.2).verdict(value) == verdict


def test_a_target_without_a_goal_is_reached_at_best() -> None:
    assert Target(0.8).verdict(0.0) == "reached"
    assert Target(0.8).text(" s") == "≤ 0.8 s"
