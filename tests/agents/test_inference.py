"""What was found in a batch is told once per video; a frame that cannot be looked at is told too."""

import pytest

from agents.inference import publish, publish_unreadable
from app.domain.messages import FrameResult, decode, encode
from app.errors import Malformed, Rejected
from app.topics import INFERENCE_RESULTS, INFERENCE_TASKS, STRIDE_HEADER
from tests.support.examples import MODEL, frame_failed, frame_sampled
from tests.support.streams import KeptPublisher, event

CRASHED = Rejected("worker_crashed", "it crashed three times")


@pytest.fixture
def publisher() -> KeptPublisher:
    return KeptPublisher()


async def test_one_message_tells_of_all_frames_of_a_video(publisher: KeptPublisher) -> None:
    tasks = [frame_sampled("a", 0), frame_sampled("b", 5), frame_sampled("a", 5)]
    await publish(publisher, MODEL, tasks, [FrameResult(task.frame, task.time) for task in tasks])
    told = publisher.of(INFERENCE_RESULTS)
    assert [(each.video_id, [frame.frame for frame in each.frames]) for each in told] == [
        ("a", [0, 5]),
        ("b", [5]),
    ]
    assert {key for _, key, _ in publisher.published} == {"a", "b"}
    assert {each.model for each in told} == {MODEL}


async def test_videos_of_another_stride_are_told_apart(publisher: KeptPublisher) -> None:
    await publish(publisher, MODEL, [frame_sampled("a", 0, vid_stride=2)], [FrameResult(0, 0.0)])
    assert publisher.of(INFERENCE_RESULTS)[0].vid_stride == 2


async def test_a_result_for_each_task_is_insisted_on(publisher: KeptPublisher) -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        await publish(publisher, MODEL, [frame_sampled("a", 0), frame_sampled("a", 5)], [frame_failed(0)])
    assert publisher.published == []


async def test_a_task_that_cannot_be_read_counts_as_an_error_of_its_frame(publisher: KeptPublisher) -> None:
    broken = event(INFERENCE_TASKS, b"{", key=b"a/2/35", headers={STRIDE_HEADER: b"7"})
    await publish_unreadable(publisher, MODEL, broken, CRASHED)
    (told,) = publisher.of(INFERENCE_RESULTS)
    assert (told.video_id, told.attempt, told.vid_stride) == ("a", 2, 7)
    assert told.frames == [FrameResult(35, error=told.frames[0].error)]
    assert decode(encode(told), type(told)) == told


@pytest.mark.parametrize("key", [None, b"", b"a", b"a/1", b"a/1/x", b"a/1/2/3", b"\xff/1/2"])
async def test_a_task_whose_key_names_no_frame_is_told_to_nobody(
    publisher: KeptPublisher, key: bytes | None
) -> None:
    await publish_unreadable(publisher, MODEL, event(INFERENCE_TASKS, b"{", key=key), Malformed("task", "?"))
    assert publisher.published == []


async def test_a_header_that_is_no_number_stops_nothing(publisher: KeptPublisher) -> None:
    broken = event(INFERENCE_TASKS, b"{", key=b"a/1/5", headers={STRIDE_HEADER: b"five"})
    await publish_unreadable(publisher, MODEL, broken, CRASHED)
    assert publisher.published == []
