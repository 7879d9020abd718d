"""Each frame is gathered once, and a video is complete when none is missing, in whatever order they come."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import result_aggregator
from app.delivery import CRASHED
from app.domain.failures import failure
from app.domain.messages import FrameResult, FramesDetected, Message, Options
from app.domain.objects import (
    detection_object,
    failed_object,
)
from app.domain.options import listed
from app.domain.progress import CHUNK
from app.errors import Malformed, RetryLater
from app.topics import INFERENCE_RESULTS, VIDEO_GAPS, VIDEO_SPLITS
from tests.support.examples import asked, facts, frame_failed, frames_detected, split_ended
from tests.support.results import Results
from tests.support.streams import delivered, event
from tests.support.workers import MemoryTable


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[int], list[Message]]:
    """The numbers of a video's sampled frames, and its messages in any order, some twice.

    The first frame is any: a window may begin anywhere, also before or within a later chunk of bits.
    """
    stride = draw(st.integers(1, 6))
    total = draw(st.integers(1, 12))
    first = draw(st.sampled_from([0, 0, 1, 7, CHUNK - 3, CHUNK, 3 * CHUNK + 5]))
    sampled = [index * stride for index in range(first, first + total)]
    numbers = draw(st.permutations(sampled))
    cuts = sorted(draw(st.sets(st.integers(1, total - 1), max_size=3))) if total > 1 else []
    groups = [numbers[start:end] for start, end in zip([0, *cuts], [*cuts, total], strict=True)]
    messages: list[Message] = [frames_detected("a", *group, vid_stride=stride) for group in groups]
    messages.append(_ended(total, stride, first))
    repeated = draw(st.lists(st.sampled_from(messages), max_size=4))
    return sampled, draw(st.permutations(messages + repeated))


def _ended(total: int, stride: int, first: int) -> Message:
    options, video = Options(vid_stride=stride), facts(total, vid_stride=stride, first=first)
    return split_ended("a", options=options, video=video)


@settings(max_examples=120, deadline=None)
@given(arrivals(), st.lists(st.booleans(), min_size=20, max_size=20))
def test_any_order_and_any_repetition_gives_one_complete_result(
    arrival: tuple[list[int], list[Message]], acts: list[bool]
) -> None:
    numbers, messages = arrival

    async def run() -> Results:
        results = Results()
        await results.worker.clients.records.accept(asked("a"))
        for message, acts_now in zip(messages, acts, strict=False):
            await results.receive([message])
            if acts_now:
                await results.act()
        await results.act()
        return results

    results = asyncio.run(run())
    document = results.document(detection_object("a"))
    assert [row["frame"] for row in document["prediction"]] == numbers
    assert document["video"]["sampled"] == len(numbers)
    assert results.rows == {}
    head = results.videos.head("a")
    assert head is not None
    assert (head.state, head.is_tombstone) == ("stored", True)
    assert list(results.heads) == [b"a"], "no bits are left"


@settings(max_examples=60, deadline=None)
@given(arrivals(), st.integers(1, 7))
def test_any_batching_gives_the_same_head_and_bits(
    arrival: tuple[list[int], list[Message]], size: int
) -> None:
    numbers, messages = arrival
    of_a = [message for message in messages if isinstance(message, FramesDetected)]
    both = [each for one in of_a for each in (one, msgspec.structs.replace(one, video_id="b"))]

    async def gather(step: int) -> Results:
        results = Results()
        for start in range(0, len(both), step):
            await results.gather(*both[start : start + step])
        return results

    one_by_one, in_batches = asyncio.run(gather(1)), asyncio.run(gather(size))
    assert one_by_one.heads == in_batches.heads
    assert one_by_one.rows == in_batches.rows
    for video_id in ("a", "b"):
        head = in_batches.videos.head(video_id)
        assert head is not None
        assert in_batches.videos.count(video_id, head) == len(numbers)
    assert in_batches.announced() == [], "nobody has said how many frames there are"


async def test_missing_frames_of_a_window_are_asked_for_and_none_before_it(results: Results) -> None:
    ended = split_ended("a", video=facts(4, first=CHUNK - 2))
    begins = (CHUNK - 2) * 5
    await results.receive([ended, frames_detected("a", begins + 5, begins + 15)])
    assert results.announced() == []
    await results.receive([msgspec.structs.replace(ended, kind="checked", round=1)])
    assert [each.frames for each in results.publisher.of(VIDEO_GAPS)] == [[begins, begins + 10]]


async def test_the_result_says_the_options_that_it_was_made_with(results: Results) -> None:
    options = Options(conf=0.5, classes=("cat",), imgsz=320, preprocess=False, start=0.4)
    await results.worker.clients.records.accept(asked("a", options=options))
    ended = split_ended("a", options=options, video=facts(1, first=2))
    await results.receive([ended, frames_detected("a", 10)])
    await results.act()
    document = results.document(detection_object("a"))
    assert document["options"] == listed(options)
    assert document["video"]["first_frame"] == 10


def _of_unknown_class(video_id: str = "a", *numbers: int) -> FramesDetected:
    error = failure("unknown_class", 'It has none called "unicorn".')
    frames = [FrameResult(number, number / 25, error=error) for number in numbers]
    return msgspec.structs.replace(frames_detected(video_id), frames=frames)


@pytest.mark.parametrize("is_split", [True, False])
async def test_a_class_that_the_model_lacks_lets_the_whole_video_fail(
    results: Results, *, is_split: bool
) -> None:
    """Also while it is being split: where the reason goes is known from its record."""
    records = results.worker.clients.records
    await records.accept(asked("a"))
    if is_split:
        await results.receive([split_ended("a", sampled=9)])
    await results.gather(_of_unknown_class("a", 0, 5), frames_detected("b", 0))
    await results.act()
    error = results.document(failed_object("a"))["error"]
    assert error["code"] == "unknown_class"
    assert "unicorn" in error["message"]
    record = await records.get("a")
    assert record is not None
    assert (record.status, record.error and record.error.code) == ("failed", "unknown_class")
    assert {each.video_id for each in results.announced()} == {"a"}, "others go on"
    await results.receive([_of_unknown_class("a", 10), split_ended("a", sampled=9)])
    await results.act()
    assert all(key.startswith(b"b/") for key in results.rows)


async def test_a_video_that_cannot_be_found_out_about_is_asked_for_again(results: Results) -> None:
    """Nothing is acknowledged while runner_db does not answer; then its end is told once."""
    records = results.worker.clients.records
    await records.accept(asked("a"))
    results.worker.mongo.documents.is_away = True
    with pytest.raises(RetryLater):
        await results.gather(_of_unknown_class("a", 0))
    results.worker.mongo.documents.is_away = False
    await results.gather(_of_unknown_class("a", 0))
    assert [each.kind for each in results.announced()] == ["failed"]


async def test_a_class_that_another_attempt_asked_for_fails_nothing(results: Results) -> None:
    await results.worker.clients.records.accept(asked("a", attempt=2))
    await results.gather(_of_unknown_class("a", 0))
    assert results.announced() == []


async def test_videos_of_several_partitions_that_come_in_one_batch_are_all_complete(
    results: Results,
) -> None:
    await results.receive([split_ended("a"), split_ended("b")])
    await results.gather(frames_detected("a", 0, 5, 10), frames_detected("b", 0, 5, 10))
    assert sorted(each.video_id for each in results.announced()) == ["a", "b"]


async def test_nothing_is_announced_before_the_rows_are_durable(results: Results) -> None:
    seen: list[bool] = []
    publish = results.publisher.publish_all

    async def note(contract: Any, messages: Any) -> None:  # noqa: ANN401
        seen.append(results.rows.is_durable and results.heads.is_durable)
        await publish(contract, messages)

    results.publisher.publish_all = note  # type: ignore[method-assign]  # a look between
    await results.receive([split_ended("a"), frames_detected("a", 0, 5, 10)])
    assert seen == [True]


async def test_a_complete_video_is_predictable(results: Results) -> None:
    records = results.worker.clients.records
    await records.accept(asked("a"))
    await results.receive([frames_detected("a", 0, 5), split_ended("a"), frames_detected("a", 10)])
    record = await records.get("a")
    assert record is not None
    assert (record.status, record.received_frames) == ("predictable", 3)


async def test_a_bit_beyond_the_end_does_not_make_a_video_complete(results: Results) -> None:
    await results.receive([split_ended("a", sampled=3), frames_detected("a", 0, 5, 40)])
    assert results.announced() == []
    await results.receive([frames_detected("a", 10)])
    assert [each.kind for each in results.announced()] == ["complete"]


async def test_frames_of_an_older_attempt_are_dropped(results: Results) -> None:
    await results.receive([frames_detected("a", 0, attempt=2), frames_detected("a", 5, attempt=1)])
    head = results.videos.head("a")
    assert head is not None
    assert (head.attempt, list(results.videos.present("a", head))) == (2, [0])


@pytest.mark.parametrize("newer", [frames_detected("a", 0, attempt=2), split_ended("a", attempt=2)])
async def test_a_newer_attempt_begins_from_nothing(results: Results, newer: Message) -> None:
    await results.receive([frames_detected("a", *range(0, 5 * 5000, 5), attempt=1), newer])
    assert all(b"/2/" in key for key in results.rows)
    assert b"a/000001" not in results.heads, "bits of the older attempt's second chunk are gone too"


@pytest.mark.parametrize("kind", ["failed", "cancelled", "deleted"])
async def test_frames_that_come_after_the_end_are_dropped(results: Results, kind: str) -> None:
    await results.receive([frames_detected("a", 0), split_ended("a", kind, sampled=None)])
    await results.receive([frames_detected("a", 5, 10), split_ended("a")])
    assert {each.kind for each in results.announced()} == {kind}
    assert len(results.rows) == 1


@pytest.mark.parametrize("late", [frames_detected("a", 0, attempt=2), split_ended("a", attempt=2)])
async def test_a_deleted_video_never_comes_back(results: Results, late: Message) -> None:
    await results.receive([split_ended("a", "deleted", sampled=None), late])
    head = results.videos.head("a")
    assert head is not None
    assert head.state == "deleted"
    assert results.rows == {}


async def test_a_deletion_wins_over_whatever_attempt_runs(results: Results) -> None:
    await results.receive([frames_detected("a", 0, attempt=3), split_ended("a", "deleted", attempt=1)])
    head = results.videos.head("a")
    assert head is not None
    assert head.state == "deleted"


async def test_an_end_that_is_told_again_is_announced_again_until_it_is_stored(results: Results) -> None:
    whole: list[Message] = [split_ended("a"), frames_detected("a", 0, 5, 10)]
    await results.receive([*whole, split_ended("a", "checked", round=1)])
    assert [each.kind for each in results.announced()] == ["complete", "complete"]
    await results.act()
    await results.receive([split_ended("a", "checked", round=2)])
    assert len(results.announced()) == 2


async def test_missing_frames_are_asked_for(results: Results) -> None:
    await results.receive([split_ended("a"), frames_detected("a", 5), split_ended("a", "checked", round=1)])
    asked_for = results.publisher.of(VIDEO_GAPS)
    assert [(each.frames, each.round) for each in asked_for] == [([0, 10], 1)]
    assert results.announced() == []


@pytest.mark.usefixtures("expects_errors")
async def test_after_three_rounds_the_video_fails_and_names_what_was_lost(results: Results) -> None:
    await results.receive([split_ended("a"), frames_detected("a", 5)])
    await results.receive([split_ended("a", "checked", round=number) for number in (1, 2, 3, 4)])
    await results.act()
    error = results.document(failed_object("a"))["error"]
    assert error["code"] == "frames_lost"
    assert error["message"].endswith("Frames 0, 10.")
    assert len(results.publisher.of(VIDEO_GAPS)) == 3


@pytest.mark.usefixtures("expects_errors")
async def test_the_sentence_of_many_lost_frames_stays_short(results: Results) -> None:
    await results.receive([split_ended("a", sampled=5000)])
    await results.receive([split_ended("a", "checked", sampled=5000, round=4)])
    head = results.videos.head("a")
    assert head is not None
    assert head.error is not None
    assert head.error.message.endswith("90, 95 and 4980 more.")


async def test_a_frame_that_is_not_sampled_is_refused(results: Results) -> None:
    with pytest.raises(Malformed):
        await results.gather(frames_detected("a", 7))
    assert results.rows == {}


async def test_progress_is_noted_best_effort(results: Results) -> None:
    await results.receive([frames_detected("a", 0, 5), frames_detected("b", 0)])
    assert results.aggregator.received == {("a", 1): 2, ("b", 1): 1}
    await results.receive([split_ended("b", sampled=1)])
    await results.end_split(split_ended("a", sampled=2))
    assert results.aggregator.received == {}, "what is complete has been said already"


async def test_the_frames_of_a_video_are_counted_now_and_then_until_its_split_has_ended(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    for frame in (0, 5):
        await results.receive([frames_detected("a", frame)])
    assert results.aggregator.received == {("a", 1): 1}
    monkeypatch.setattr(result_aggregator, "REPORT_EVERY", 0.0)
    await results.receive([frames_detected("a", 10)])
    assert results.aggregator.received == {("a", 1): 3}
    monkeypatch.undo()
    await results.receive([split_ended("a", sampled=5)])
    await results.receive([frames_detected("a", 15)])
    assert results.aggregator.received == {("a", 1): 4}


async def test_a_frame_whose_row_is_lost_is_asked_for_although_its_bit_is_set(results: Results) -> None:
    records = results.worker.clients.records
    await records.accept(asked("a"))
    await results.receive([split_ended("a"), frames_detected("a", 0, 5, 10)])
    results.rows.clear()
    await results.receive([split_ended("a", "checked")])
    assert [each.frames for each in results.publisher.of(VIDEO_GAPS)] == [[0, 5, 10]]
    await results.receive([frames_detected("a", 0, 5), frames_detected("a", 10)])
    assert [each.kind for each in results.announced()] == ["complete", "complete"]
    assert len(results.rows) == 3


@pytest.mark.parametrize("message", [frames_detected("a", 0), split_ended("a"), split_ended("a", "failed")])
async def test_a_message_that_comes_again_is_written_again_for_its_worker_may_have_been_killed(
    results: Results, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the store need not be in the changelog: what was on its way there died with the worker."""
    written: list[bytes] = []
    monkeypatch.setattr(MemoryTable, "__setitem__", _noting(written))
    await results.receive([message])
    first, written[:] = list(written), []
    await results.receive([message])
    assert set(written) == set(first)


def _noting(written: list[bytes]) -> Callable[[MemoryTable, bytes, bytes], None]:
    write = MemoryTable.__setitem__

    def note(table: MemoryTable, key: bytes, value: bytes) -> None:
        written.append(key)
        write(table, key, value)

    return note


async def test_the_end_of_a_split_that_is_told_again_changes_nothing(results: Results) -> None:
    await results.receive([split_ended("a")])
    before = dict(results.heads)
    await results.receive([split_ended("a")])
    assert results.heads == before


async def test_an_error_that_comes_later_does_not_take_the_place_of_a_result(results: Results) -> None:
    await results.receive([frames_detected("a", 0)])
    before = dict(results.rows)
    failed = msgspec.structs.replace(frames_detected("a", 0), frames=[frame_failed(0)])
    await results.receive([failed])
    assert results.rows == before


async def test_frames_whose_message_kills_its_worker_count_as_errors_and_the_video_ends(
    results: Results,
) -> None:
    await results.receive([split_ended("a"), frames_detected("a", 0)])
    (fatal,) = delivered(INFERENCE_RESULTS, frames_detected("a", 5, 10))
    await results.aggregator.count_as_errors(fatal.event, CRASHED)
    assert [ended.kind for ended in results.announced()] == ["complete"]
    rows = [msgspec.json.decode(results.rows[key]) for key in sorted(results.rows)]
    assert [row.get("error", {}).get("code") for row in rows] == [None, "worker_crashed", "worker_crashed"]
    assert rows[1]["time"] == 0.2


@pytest.mark.parametrize("kind", ["split", "checked"])
async def test_a_video_the_end_of_whose_split_kills_its_worker_fails(results: Results, kind: str) -> None:
    await results.receive([frames_detected("a", 0)])
    (fatal,) = delivered(VIDEO_SPLITS, split_ended("a", kind))
    await results.aggregator.give_up(fatal.event, CRASHED)
    head = results.videos.head("a")
    assert head is not None
    assert (head.state, head.error, head.bucket) == ("failed", failure("worker_crashed"), "videos")
    assert [ended.kind for ended in results.announced()] == ["failed"]


async def test_a_deletion_that_kills_its_worker_is_noted_while_it_is_set_aside(results: Results) -> None:
    await results.receive([frames_detected("a", 0)])
    (fatal,) = delivered(VIDEO_SPLITS, split_ended("a", "deleted"))
    await results.aggregator.give_up(fatal.event, CRASHED)
    assert [ended.kind for ended in results.announced()] == ["deleted"]


async def test_what_cannot_be_read_ends_no_video(results: Results) -> None:
    await results.receive([split_ended("a"), frames_detected("a", 0)])
    before = dict(results.rows), dict(results.heads)
    await results.aggregator.count_as_errors(event(INFERENCE_RESULTS, b"{"), Malformed("x", "y"))
    await results.aggregator.give_up(event(VIDEO_SPLITS, b"{"), Malformed("x", "y"))
    assert (dict(results.rows), dict(results.heads)) == before
    assert results.announced() == []
