"""A result is written whole or not at all, and afterwards nothing of it but a tombstone is kept."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import pytest

from app.clients.s3.storage import ObjectFacts
from app.delivery import CRASHED
from app.domain.failures import failure
from app.domain.messages import Message, VideoEnded
from app.domain.objects import (
    deleted_object,
    derived_object,
    detection_object,
    failed_object,
    input_object,
)
from app.errors import Rejected, Unavailable
from app.streaming.durable_table import on_behalf_of
from app.topics import VIDEO_GAPS, VIDEO_RESULTS, VIDEO_SPLITS
from tests.support.examples import MODEL, asked, facts, frames_detected, split_ended, video_ended
from tests.support.results import Results
from tests.support.streams import delivered, event

COMPLETE: list[Message] = [split_ended("a"), frames_detected("a", 0, 5, 10)]


async def test_a_result_names_every_model_that_has_looked(results: Results) -> None:
    """Inference was given another model while the video was in work, and was restarted worker by worker."""
    second, third = (msgspec.structs.replace(MODEL, name=name, demo=False) for name in ("b", "c"))
    await results.worker.clients.records.accept(asked("a"))
    await results.receive([split_ended("a", video=facts(5))])
    for frame, model in ((0, MODEL), (5, second), (10, MODEL), (15, third), (20, second)):
        await results.receive([msgspec.structs.replace(frames_detected("a", frame), model=model)])
    await results.act()
    document = results.document(detection_object("a"))
    assert document["model"]["name"] == MODEL.name
    assert [each["name"] for each in document["other_models"]] == ["b", "c"]
    assert list(document)[-1] == "prediction"


async def test_a_complete_video_becomes_ready(results: Results) -> None:
    records = results.worker.clients.records
    await records.accept(asked("a"))
    await results.receive(COMPLETE)
    await results.act()
    assert results.document(detection_object("a")) == {
        "status": "ready",
        "event_id": "a",
        "video": {
            "width": 512,
            "height": 288,
            "fps": 25.0,
            "duration": 0.44,
            "frames": 11,
            "sampled": 3,
            "truncated": False,
        },
        "model": {"name": "demo.pt", "sha256": "5e884898", "backend": "openvino", "demo": True},
        "options": {
            "conf": 0.25,
            "iou": 0.45,
            "vid_stride": 5,
            "max_det": 300,
            "classes": None,
            "imgsz": 640,
            "preprocess": {"blur": 3, "alpha": 1.3, "beta": 5.0},
            "start": None,
            "end": None,
        },
        "prediction": [
            {
                "frame": frame,
                "time": frame / 25,
                "objects": [{"class": "cat", "box": [10, 20, 110, 220], "conf": 0.8765}],
            }
            for frame in (0, 5, 10)
        ],
    }
    record = await records.get("a")
    assert record is not None
    assert record.status == "ready"
    kept = results.worker.mongo.documents.documents["a"]
    assert kept["output_s3"] == {"bucket": "videos", "object": "detection/a.json"}


async def test_the_tombstone_is_small(results: Results) -> None:
    await results.receive(COMPLETE)
    await results.act()
    assert list(results.heads) == [b"a"]
    assert len(results.heads[b"a"]) <= 200


async def test_a_result_of_many_rows_is_written_in_pieces(results: Results) -> None:
    numbers = list(range(0, 5000, 5))
    await results.receive([split_ended("a", sampled=1000), frames_detected("a", *numbers)])
    await results.act()
    document = results.document(detection_object("a"))
    assert [row["frame"] for row in document["prediction"]] == numbers
    assert results.rows == {}


async def test_a_message_that_comes_again_changes_nothing(results: Results) -> None:
    await results.receive(COMPLETE)
    await results.act()
    before = dict(results.heads)
    del results.worker.s3.buckets["videos"][detection_object("a")]
    await results.act(video_ended("a"))
    assert results.heads == before
    assert results.worker.s3.objects("videos") == {}


async def test_nothing_is_written_of_a_video_that_is_not_complete_or_not_known(results: Results) -> None:
    await results.receive([split_ended("a"), frames_detected("a", 0)])
    await results.act(video_ended("a"))
    await results.act(video_ended("nobody"))
    assert results.worker.s3.objects("videos") == {}


async def test_when_a_row_is_missing_no_short_result_is_written_and_the_frame_is_asked_for(
    results: Results,
) -> None:
    await results.receive(COMPLETE)
    results.rows.popitem()
    await results.act()
    assert results.worker.s3.objects("videos") == {}
    (checked,) = results.publisher.of(VIDEO_SPLITS)
    await results.receive([checked])
    assert [each.frames for each in results.publisher.of(VIDEO_GAPS)] == [[10]]
    await results.receive([frames_detected("a", 10)])
    await results.act()
    assert [row["frame"] for row in results.document(detection_object("a"))["prediction"]] == [0, 5, 10]


async def test_one_of_our_buckets_that_is_gone_is_waited_for(results: Results) -> None:
    await results.receive(COMPLETE)
    kept = results.worker.s3.buckets.pop("videos")
    with pytest.raises(Unavailable):
        await results.act(video_ended("a"))
    results.worker.s3.buckets["videos"] = kept
    await results.act(video_ended("a"))
    assert detection_object("a") in kept


@pytest.mark.parametrize("kind", ["split", "failed", "deleted"])
async def test_a_video_whose_bucket_is_gone_for_good_ends_all_the_same(results: Results, kind: str) -> None:
    records = results.worker.clients.records
    await records.accept(asked("a", bucket="theirs"))
    await results.receive([split_ended("a", kind, bucket="theirs"), frames_detected("a", 0, 5, 10)])
    (ended,) = results.announced()
    with pytest.raises(Rejected) as refused:
        await results.act(ended)
    (aside,) = delivered(VIDEO_RESULTS, ended)
    await results.outbox.give_up(aside.event, refused.value)
    assert refused.value.code == "bucket_missing"
    assert results.rows == {}
    assert list(results.heads) == [b"a"]
    record = await records.get("a")
    assert record is not None
    if kind == "split":
        assert (record.status, record.error) == ("failed", failure("bucket_missing"))


@pytest.mark.parametrize("kind", ["split", "failed"])
async def test_what_a_frozen_process_writes_after_the_deletion_of_its_video_is_taken_back(
    results: Results, kind: str
) -> None:
    records = results.worker.clients.records
    await records.accept(asked("a"))
    await results.receive([split_ended("a", kind), frames_detected("a", 0, 5, 10)])
    await records.withdraw(asked("a", "delete"), "deleted", None)
    await results.act()
    assert results.worker.s3.objects("videos") == {}


async def test_what_was_written_late_goes_with_the_tombstone_of_a_deleted_video(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = results.worker.clients.storage
    await results.receive([split_ended("a", "deleted", sampled=None)])
    await results.act()
    late = (
        *(detection_object("a"), failed_object("a")),
        *(derived_object("a", "tracks.v1.json"), derived_object("a", "preview.mp4")),
    )
    for name in (*late, input_object("b")):
        await storage.put("videos", name, b"late", content_type="application/json")
    later = time.time() + (results.worker.settings.tombstone_days + 1) * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    await results.act(VideoEnded("a", "expired", 1))
    assert set(results.worker.s3.objects("videos")) == {deleted_object("a"), input_object("b")}
    assert results.heads == {}


async def test_the_result_of_a_video_that_is_not_deleted_stays_when_its_tombstone_goes(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    await results.receive(COMPLETE)
    await results.act()
    later = time.time() + (results.worker.settings.tombstone_days + 1) * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    await results.act(VideoEnded("a", "expired", 1))
    assert detection_object("a") in results.worker.s3.objects("videos")


async def test_nothing_is_written_once_the_partition_is_somebody_elses(results: Results) -> None:
    await results.receive(COMPLETE)
    results.worker.is_owner = False
    await results.act()
    assert results.worker.s3.objects("videos") == {}
    assert len(results.rows) == 3


async def test_a_put_that_failed_is_done_again_from_the_same_rows(results: Results) -> None:
    await results.receive(COMPLETE)
    results.worker.s3.is_away = True
    with pytest.raises(Unavailable):
        await results.act(video_ended("a"))
    assert len(results.rows) == 3
    results.worker.s3.is_away = False
    await results.act(video_ended("a"))
    assert len(results.document(detection_object("a"))["prediction"]) == 3


async def test_what_was_stored_but_not_cleared_is_cleared_without_another_put(results: Results) -> None:
    await results.receive(COMPLETE)
    head = results.videos.head("a")
    assert head is not None
    (ended,) = delivered(VIDEO_RESULTS, video_ended("a"))
    with on_behalf_of(ended.event):
        results.videos.put_head("a", msgspec.structs.replace(head, state="stored"))
    await results.act()
    assert results.worker.s3.objects("videos") == {}
    assert results.rows == {}
    assert list(results.heads) == [b"a"]


async def test_a_failed_video_has_its_reason_in_s3(results: Results) -> None:
    records = results.worker.clients.records
    await records.accept(asked("a"))
    broken = split_ended("a", "failed", sampled=None, error=failure("not_a_video"))
    await results.receive([frames_detected("a", 0), broken])
    await results.act()
    assert results.document(failed_object("a")) == {
        "status": "failed",
        "event_id": "a",
        "error": {"code": "not_a_video", "message": failure("not_a_video").message},
    }
    record = await records.get("a")
    assert record is not None
    assert record.status == "failed"
    assert results.rows == {}


async def test_a_cancelled_video_is_failed_with_that_reason(results: Results) -> None:
    await results.receive([split_ended("a", "cancelled", sampled=None, error=failure("cancelled"))])
    await results.act()
    assert results.document(failed_object("a"))["error"]["code"] == "cancelled"


@pytest.mark.parametrize("is_owned", [True, False])
async def test_a_deleted_video_leaves_only_what_is_not_ours(results: Results, *, is_owned: bool) -> None:
    derived = {derived_object("a", name) for name in ("annotated.mp4", "preview.state.json")}
    theirs = derived_object("ab", "annotated.mp4")
    for name in (input_object("a"), theirs, *derived):
        await results.worker.clients.storage.put("videos", name, b"bytes", content_type="video/mp4")
    await results.receive(COMPLETE)
    await results.act()
    others = {derived_object("ab", "tracks.v1.json"), "derived/a"}
    for name in (derived_object("a", "summary.v1.jsonl"), derived_object("a", "later.v7.bin"), *others):
        await results.worker.clients.storage.put("videos", name, b"{}", content_type="application/json")
    await results.receive([split_ended("a", "deleted", sampled=None, input_owned=is_owned)])
    await results.act()
    left = {deleted_object("a"), theirs, *others} | (set() if is_owned else {input_object("a")})
    assert set(results.worker.s3.objects("videos")) == left


async def test_rows_of_a_video_that_is_deleted_while_it_runs_are_gone(results: Results) -> None:
    await results.receive([frames_detected("a", 0, 5), split_ended("a", "deleted", sampled=None)])
    await results.act()
    assert results.rows == {}
    assert list(results.heads) == [b"a"]


def once(
    do: Callable[[], Awaitable[None]], then: Callable[[], Awaitable[None]]
) -> Callable[[], Coroutine[Any, Any, None]]:
    """Call `do`, and before the first one `then`: something that happens meanwhile."""
    happened: list[bool] = []

    async def call() -> None:
        if not happened:
            happened.append(True)
            await then()
        await do()

    return call


async def test_a_deletion_that_comes_while_rows_are_cleared_is_not_forgotten(results: Results) -> None:
    await results.receive(COMPLETE)

    async def delete() -> None:
        await results.receive([split_ended("a", "deleted", sampled=None)])

    results.rows.durable = once(results.rows.durable, delete)  # type: ignore[method-assign]  # meanwhile
    await results.act()
    await results.act()
    assert set(results.worker.s3.objects("videos")) == {deleted_object("a")}


async def test_another_try_that_begins_while_rows_are_cleared_keeps_its_frames(results: Results) -> None:
    await results.receive([frames_detected("a", 0), split_ended("a", "failed", sampled=None)])

    async def begin() -> None:
        await results.receive([frames_detected("a", 5, attempt=2)])

    results.rows.durable = once(results.rows.durable, begin)  # type: ignore[method-assign]  # meanwhile
    await results.act()
    head = results.videos.head("a")
    assert head is not None
    assert (head.attempt, head.state) == (2, "open")
    assert list(results.videos.present("a", head)) == [1]


async def test_only_an_old_tombstone_is_removed(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    await results.receive(COMPLETE)
    await results.act()
    expired = VideoEnded("a", "expired", 1)
    await results.act(expired)
    assert list(results.heads) == [b"a"]
    later = time.time() + (results.worker.settings.tombstone_days + 1) * 86400
    assert results.videos.tombstones_before(time.time() - 1) == []
    assert results.videos.tombstones_before(later) == [("a", 1)]
    monkeypatch.setattr(time, "time", lambda: later)
    await results.act(expired)
    assert results.heads == {}


async def test_a_complete_video_whose_document_kills_its_worker_fails(results: Results) -> None:
    records = results.worker.clients.records
    await records.accept(asked("a"))
    await results.receive(COMPLETE)
    (fatal,) = delivered(VIDEO_RESULTS, video_ended("a"))
    with on_behalf_of(fatal.event):
        await results.outbox.give_up(fatal.event, CRASHED)
    assert results.document(failed_object("a"))["error"]["code"] == "worker_crashed"
    record = await records.get("a")
    assert record is not None
    assert record.status == "failed"
    assert results.rows == {}
    assert list(results.heads) == [b"a"]


async def test_a_video_that_is_given_up_fails_although_its_head_changes_meanwhile(results: Results) -> None:
    await results.receive(COMPLETE)
    (fatal,) = delivered(VIDEO_RESULTS, video_ended("a"))
    storage, changes = results.worker.clients.storage, iter([1.0])
    stat = storage.stat

    async def stat_meanwhile(bucket: str, name: str) -> ObjectFacts | None:
        head = results.videos.head("a")
        for changed_at in changes:
            assert head is not None
            results.videos.put_head("a", msgspec.structs.replace(head, changed_at=changed_at))
        return await stat(bucket, name)

    storage.stat = stat_meanwhile  # type: ignore[method-assign]  # meanwhile
    with on_behalf_of(fatal.event):
        await results.outbox.give_up(fatal.event, CRASHED)
    assert next(changes, None) is None
    assert results.document(failed_object("a"))["error"]["code"] == "worker_crashed"
    assert results.rows == {}


async def test_a_document_that_was_stored_before_its_worker_was_killed_stays(results: Results) -> None:
    records = results.worker.clients.records
    await records.accept(asked("a"))
    await results.receive(COMPLETE)
    await results.worker.clients.storage.put(
        "videos", detection_object("a"), b"{}", content_type="application/json"
    )
    (fatal,) = delivered(VIDEO_RESULTS, video_ended("a"))
    with on_behalf_of(fatal.event):
        await results.outbox.give_up(fatal.event, CRASHED)
    assert set(results.worker.s3.objects("videos")) == {detection_object("a")}
    record = await records.get("a")
    assert record is not None
    assert record.status == "ready"
    assert results.rows == {}


async def test_a_deletion_that_kills_its_worker_is_done_while_it_is_set_aside(results: Results) -> None:
    await results.receive([*COMPLETE, split_ended("a", "deleted")])
    (fatal,) = delivered(VIDEO_RESULTS, video_ended("a", "deleted"))
    with on_behalf_of(fatal.event):
        await results.outbox.give_up(fatal.event, CRASHED)
    assert set(results.worker.s3.objects("videos")) == {deleted_object("a")}
    assert results.rows == {}


async def test_a_message_about_a_video_that_is_not_complete_fails_nobody(results: Results) -> None:
    await results.receive([split_ended("a"), frames_detected("a", 0)])
    for fatal in (event(VIDEO_RESULTS, video_ended("a")), event(VIDEO_RESULTS, b"{")):
        with on_behalf_of(fatal):
            await results.outbox.give_up(fatal, CRASHED)
    assert results.worker.s3.objects("videos") == {}
