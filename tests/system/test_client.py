"""The Python client against the whole of Kadr: every call says what the service means."""

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.client import (
    AsyncKadr,
    Conflict,
    Kadr,
    KadrError,
    NotFound,
    NotReady,
    Refused,
    StoredObject,
    Video,
    VideoFailed,
)
from models.shapes import repeat_clip, write_clip
from tests.support.pipeline import DONE_SECONDS, Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

FRAMES = 60
STRIDE = 5


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "shapes.mp4"
    write_clip(path, seed=3, frames=FRAMES, size=(480, 270), objects=3)
    return path


@pytest.fixture(scope="module")
def kadr(pipeline: Pipeline) -> Iterator[Kadr]:
    with Kadr(pipeline.settings.api_url, key="") as opened:
        yield opened


@pytest.fixture(scope="module")
def ready(pipeline: Pipeline, kadr: Kadr, clip: Path) -> Video:
    """A video with a result."""
    return kadr.wait(pipeline.submit(clip), within=DONE_SECONDS)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that is not done before a test has asked for what it wants."""
    folder: Path = tmp_path_factory.mktemp("long")
    write_clip(folder / "part.mp4", seed=4, frames=200, size=(480, 270), objects=3)
    repeat_clip(folder / "part.mp4", folder / "long.mp4", 10)
    return folder / "long.mp4"


def test_a_video_is_submitted_with_options_and_followed_to_its_result(kadr: Kadr, clip: Path) -> None:
    sent: list[int] = []
    video = kadr.submit(clip, vid_stride=10, conf=0.3, tags=["a", "b"], on_sent=sent.append)
    assert (video.status, video.filename, video.tags) == ("queued", "shapes.mp4", ["a", "b"])
    assert (video.options["vid_stride"], video.options["conf"]) == (10, 0.3)
    assert sent[-1] == clip.stat().st_size
    seen: list[Video] = []
    ended = kadr.wait(video.id, on_progress=seen.append, within=DONE_SECONDS)
    assert (ended.status, ended.tags, seen[-1]) == ("ready", ["a", "b"], ended)
    assert [frame.frame for frame in kadr.result(video.id).prediction] == list(range(0, FRAMES, 10))


def test_the_same_submission_is_the_same_video(kadr: Kadr, clip: Path) -> None:
    first, second = (kadr.submit(clip, idempotency_key="one") for _ in range(2))
    assert first.id == second.id
    with pytest.raises(Conflict):
        kadr.submit(clip, idempotency_key="one", conf=0.9)


def test_a_stored_object_is_submitted_by_its_name(kadr: Kadr, ready: Video) -> None:
    stored = StoredObject(ready.object, ready.bucket)
    video = kadr.submit(stored, vid_stride=20, classes=["circle"], preprocess=False)
    assert kadr.wait(video.id, within=DONE_SECONDS).status == "ready"
    found = {each.class_ for frame in kadr.detections(video.id) for each in frame.objects}
    assert found <= {"circle"}


def test_a_refusal_names_the_field(kadr: Kadr, clip: Path) -> None:
    with pytest.raises(Refused) as raised:
        kadr.submit(clip, conf=7)
    assert set(raised.value.fields) == {"conf"}
    with pytest.raises(Refused) as raised:
        kadr.submit(StoredObject("x"), imgsz=33)
    assert set(raised.value.fields) == {"imgsz"}


@pytest.mark.parametrize("size", [100_000, (16 << 20) + 1], ids=["one piece", "parts"])
def test_a_file_goes_to_the_storage_directly(kadr: Kadr, size: int) -> None:
    sent: list[int] = []
    video = kadr.upload_directly(b"\0" * size, filename="nothing.mp4", on_sent=sent.append)
    assert sent[-1] == size
    ended = kadr.wait(video.id, within=DONE_SECONDS)
    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.filename) == ("failed", "not_a_video", "nothing.mp4")
    with pytest.raises(VideoFailed) as raised:
        kadr.result(video.id)
    assert raised.value.code == "not_a_video"


def test_videos_are_listed_page_by_page(kadr: Kadr, ready: Video) -> None:
    everything = [video.id for video in kadr.list(page=1)]
    assert ready.id in everything
    assert len(everything) == len(set(everything))
    assert ready.id in [video.id for video in kadr.list(status=["ready"], created_after=None)]
    assert list(kadr.list(tags=["nobody has this"])) == []
    assert list(kadr.list(created_before=ready.created_at, status=["queued"], page=200)) == []
    assert ready.id in {each.video_id for each in kadr.statuses(limit=1000).operations}


def test_a_video_tells_where_it_has_been(kadr: Kadr, ready: Video) -> None:
    video = kadr.get(ready.id)
    assert video == msgspec.structs.replace(ready, progress=video.progress, times=video.times)
    assert video.times is not None
    assert video.created_at is not None
    assert video.ended_at is not None
    assert video.times.created == video.created_at < video.ended_at


def test_detections_are_those_of_the_result(kadr: Kadr, ready: Video) -> None:
    result = kadr.result(ready.id)
    frames = list(kadr.detections(ready.id))
    assert [(each.frame, len(each.objects)) for each in frames] == [
        (each.frame, len(each.objects)) for each in result.prediction
    ]
    some = list(kadr.detections(ready.id, classes=["circle"], min_conf=0.5, start=0.5, end=1.5))
    assert all(0.5 <= (each.time or 0) < 1.5 for each in some)
    assert {found.class_ for each in some for found in each.objects} <= {"circle"}
    assert all(found.conf >= 0.5 for each in some for found in each.objects)


def test_a_summary_counts_what_is_in_the_result(kadr: Kadr, ready: Video) -> None:
    result, summary = kadr.result(ready.id), kadr.summary(ready.id, gap=0.5)
    assert (summary.looked_at, summary.gap) == (len(result.prediction), 0.5)
    assert sum(each.detections for each in summary.classes) == result.objects
    assert all(each.segments for each in summary.classes)


def test_objects_are_followed(kadr: Kadr, ready: Video) -> None:
    tracks = list(kadr.tracks(ready.id))
    assert [track.track for track in tracks] == sorted(track.track for track in tracks)
    numbers = {found.track for frame in kadr.detections(ready.id, tracks=True) for found in frame.objects} - {
        None
    }
    assert {track.track for track in tracks} == numbers


def test_a_result_is_exported_in_every_form(kadr: Kadr, ready: Video, tmp_path: Path) -> None:
    kadr.save_result(ready.id, tmp_path / "whole.json")
    for form in ("json", "jsonl", "csv", "coco", "yolo", "mot", "vtt", "parquet"):
        size = kadr.export(ready.id, tmp_path / form, format=form)
        assert size == (tmp_path / form).stat().st_size > 0
    whole, again = (json.loads((tmp_path / name).read_bytes()) for name in ("whole.json", "json"))
    assert again["prediction"] == whole["prediction"]
    assert len((tmp_path / "jsonl").read_text().splitlines()) >= FRAMES / STRIDE
    assert list(csv.DictReader(io.StringIO((tmp_path / "csv").read_text())))
    assert json.loads((tmp_path / "coco").read_bytes())["annotations"]
    assert zipfile.ZipFile(tmp_path / "yolo").testzip() is None
    assert (tmp_path / "vtt").read_text().startswith("WEBVTT")
    assert (tmp_path / "parquet").read_bytes().startswith(b"PAR1")


def test_a_video_comes_back_as_it_was_sent_and_with_its_boxes(
    kadr: Kadr, ready: Video, clip: Path, tmp_path: Path
) -> None:
    kadr.download(ready.id, tmp_path / "media.mp4")
    assert (tmp_path / "media.mp4").read_bytes() == clip.read_bytes()
    for what in ("annotated", "preview"):
        kadr.make(ready.id, what=what, within=DONE_SECONDS)
        assert kadr.download(ready.id, tmp_path / what, what=what) > 1000
    plain, drawn = (kadr.frame(ready.id, 5, boxes=boxes) for boxes in (False, True))
    assert plain.startswith(b"\xff\xd8")
    assert plain != drawn


def test_a_cancelled_video_is_tried_again(pipeline: Pipeline, kadr: Kadr, long_clip: Path) -> None:
    video_id = pipeline.submit(long_clip)
    with pytest.raises(NotReady):
        kadr.result(video_id)
    assert kadr.cancel(video_id).status == "cancelled"
    assert kadr.wait(video_id, within=10).status == "cancelled"
    again = kadr.retry(video_id)
    assert (again.attempt, again.status in {"queued", "processing"}) == (2, True)
    with pytest.raises(Conflict):
        kadr.retry(video_id)
    kadr.cancel(video_id)


def test_what_is_ready_is_not_cancelled(kadr: Kadr, ready: Video) -> None:
    with pytest.raises(Conflict) as raised:
        kadr.cancel(ready.id)
    assert raised.value.code == "already_ended"


def test_a_deleted_video_is_unknown_to_every_call(pipeline: Pipeline, kadr: Kadr, long_clip: Path) -> None:
    video_id = pipeline.submit(long_clip)
    kadr.delete(video_id)
    asked = (kadr.get, kadr.wait, kadr.cancel, kadr.retry, kadr.delete, kadr.result, kadr.summary)
    for ask in (*asked, kadr.deliveries):
        with pytest.raises(NotFound):
            ask(video_id)
    for each in (kadr.events, kadr.detections, kadr.tracks):
        with pytest.raises(NotFound):
            list(each(video_id))


def test_deleting_ends_the_waiting_of_others(pipeline: Pipeline, kadr: Kadr, long_clip: Path) -> None:
    video_id = pipeline.submit(long_clip)

    async def wait_and_delete() -> None:
        async with AsyncKadr(kadr.url, key="") as other:
            waiting = asyncio.create_task(other.wait(video_id))
            async for _ in other.events(video_id):
                break
            await other.delete(video_id)
            with pytest.raises(NotFound):
                await waiting

    asyncio.run(wait_and_delete())


def test_without_a_webhook_there_are_no_deliveries(kadr: Kadr, ready: Video) -> None:
    assert kadr.deliveries(ready.id) == []
    with pytest.raises(KadrError):
        kadr.redeliver(ready.id, "nothing")
