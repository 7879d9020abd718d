"""What a result says, by class."""

import pytest

from app.cli.findings import ClassFound, summarise
from app.client.core import read_answer
from app.client.findings import Result
from app.client.steps import Answer
from app.domain.messages import Detection, FrameResult
from app.errors import Malformed


def seen(name: str, conf: float = 0.5) -> Detection:
    return Detection(name, (0, 0, 10, 10), conf)


def test_a_class_is_counted_in_detections_and_in_frames() -> None:
    frames = [
        FrameResult(0, 0.0, [seen("car", 0.6), seen("car", 0.4)]),
        FrameResult(5, 0.2, []),
        FrameResult(10, 0.4, [seen("car", 0.9)]),
    ]
    assert summarise(frames) == [ClassFound("car", 3, 2, 0.0, 0.4, 0.9)]


def test_the_most_frequent_class_comes_first_and_equals_are_in_alphabetical_order() -> None:
    frames = [FrameResult(0, 0.0, [seen("dog"), seen("cat"), seen("bus"), seen("dog")])]
    assert [found.name for found in summarise(frames)] == ["dog", "bus", "cat"]


def test_a_frame_without_a_time_counts_and_leaves_first_and_last_alone() -> None:
    frames = [FrameResult(0, None, [seen("car")]), FrameResult(5, 0.2, [seen("car")])]
    assert summarise(frames) == [ClassFound("car", 2, 2, 0.2, 0.2, 0.5)]


def test_a_video_of_empty_frames_has_no_findings() -> None:
    assert summarise([FrameResult(0, 0.0), FrameResult(5, 0.2)]) == []


def test_a_result_with_fields_of_a_later_release_is_read() -> None:
    car = b'{"class": "car", "box": [1, 2, 3, 4], "conf": 0.5, "later": 1}'
    body = b"""{"status": "ready", "event_id": "v", "later": 1,
        "video": {"width": 6, "height": 4, "fps": 25.0, "duration": 0.4, "frames": 10, "sampled": 2},
        "model": {"name": "m", "sha256": "ab", "backend": "b"},
        "prediction": [{"frame": 0, "time": 0.0, "objects": [%b]},
                       {"frame": 5, "objects": [], "error": {"code": "c", "message": "m"}}]}"""
    result = read_answer(Answer(200, body=body % car), Result)
    assert (result.objects, result.frame_errors, result.video.sampled) == (1, 1, 2)


def test_what_is_no_result_is_malformed() -> None:
    with pytest.raises(Malformed, match="the answer cannot be read"):
        read_answer(Answer(200, body=b'{"status": "sent"}'), Result)
