"""What is in a video, and when."""

import io
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.messages import Detection, FrameResult
from app.domain.results import Document
from app.exports.selection import Selection
from app.exports.summary import Counted, Joiner, Runs, Segment, default_gap, write_summary
from tests.support.made_results import result_of, undecodable


def frame(index: int, **confs: float) -> FrameResult:
    objects = [Detection(name.rstrip("_"), (0, 0, 1, 1), conf) for name, conf in confs.items()]
    return FrameResult(index * 5, index / 5, objects)


async def summary(frames: list[FrameResult]) -> tuple[Counted, list[Runs]]:
    out = io.BytesIO()
    write_summary(Document(io.BytesIO(await result_of(frames))), Selection(), out)
    first, *rest = out.getvalue().splitlines()
    return msgspec.json.decode(first, type=Counted), [msgspec.json.decode(each, type=Runs) for each in rest]


def joined(runs: Iterable[tuple[float, float, float]], gap: float) -> list[Segment]:
    joiner = Joiner(gap)
    return joiner.add(runs) + joiner.end()


async def test_each_class_is_counted() -> None:
    frames = [frame(0, car=0.5, car_=0.9), frame(1), frame(2, cat=0.3), frame(3, car=0.6)]
    counted, runs = await summary([*frames, undecodable(4)])
    assert (counted.looked_at, counted.not_looked_at) == (4, 1)
    assert counted.interval == pytest.approx(0.2)
    assert [msgspec.to_builtins(each) for each in counted.classes] == [
        {
            "class": "car",
            "detections": 3,
            "frames": 2,
            "first": 0,
            "last": 0.6,
            "most_at_once": 2,
            "conf": 0.9,
        },
        {
            "class": "cat",
            "detections": 1,
            "frames": 1,
            "first": 0.4,
            "last": 0.4,
            "most_at_once": 1,
            "conf": 0.3,
        },
    ]
    assert runs == [Runs("car", [(0, 0, 0.9), (0.6, 0.6, 0.6)]), Runs("cat", [(0.4, 0.4, 0.3)])]


async def test_a_frame_that_could_not_be_looked_at_ends_no_run() -> None:
    _, runs = await summary([frame(0, car=0.5), undecodable(1), frame(2, car=0.7)])
    assert runs == [Runs("car", [(0, 0.4, 0.7)])]


async def test_runs_come_some_at_a_time() -> None:
    _, runs = await summary([frame(index, **({"car": 0.5} if index % 2 else {})) for index in range(5000)])
    assert [len(each.runs) for each in runs] == [1000, 1000, 500]


def test_runs_that_are_no_further_apart_than_the_gap_are_one_segment() -> None:
    runs = [(0.0, 1.0, 0.5), (2.0, 3.0, 0.9), (4.5, 5.0, 0.4)]
    assert joined(runs, 1.0) == [Segment(0.0, 3.0, 0.9), Segment(4.5, 5.0, 0.4)]
    assert joined(runs, 1.5) == [Segment(0.0, 5.0, 0.9)]
    assert joined(runs, 0.0) == [Segment(*each) for each in runs]
    assert joined([], 1.0) == []


@given(st.lists(st.floats(0, 100), max_size=30, unique=True).map(sorted), st.floats(0, 10), st.integers(1, 5))
def test_segments_are_the_same_however_the_runs_come(times: list[float], gap: float, size: int) -> None:
    runs = [(time, time, 0.5) for time in times]
    joiner, found = Joiner(gap), []
    for start in range(0, len(runs), size):
        found += joiner.add(runs[start : start + size])
    assert found + joiner.end() == joined(runs, gap)


def test_a_gap_that_nobody_names_bridges_a_frame_however_far_they_are_apart() -> None:
    assert default_gap(0.2) == 1.0
    assert default_gap(5.0) == 10.0
