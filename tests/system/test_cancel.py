"""A video is cancelled in each of its stages on a running Kadr: soon nothing of it moves any more."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.clients.kafka.broker import open_broker
from app.clients.s3.storage import open_storage
from app.domain.objects import (
    detection_object,
    failed_object,
    input_object,
)
from app.topics import INFERENCE_TASKS
from models.shapes import repeat_clip, write_clip
from tests.support.cancelled import PROMISED, Watch
from tests.support.children import padded
from tests.support.pipeline import Pipeline
from tests.support.task_log import TaskLog

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

LONG = 3000
"""Frames of a clip that is decoded for longer than it takes to cancel it."""

MEDIUM = 1000
"""Frames of a clip that does not leave its place for another one before a good part of it was looked at."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder: Path = tmp_path_factory.mktemp("clips")
    for name, frames in (("short", 60), ("part", LONG // 10), ("medium", MEDIUM)):
        write_clip(folder / f"{name}.mp4", seed=7, frames=frames, size=(320, 240))
    repeat_clip(folder / "part.mp4", folder / "long.mp4", 10)
    return {name: folder / f"{name}.mp4" for name in ("short", "medium", "long")}


@pytest.fixture
def watch(pipeline: Pipeline) -> Iterator[Watch]:
    with TaskLog(pipeline.settings) as tasks:
        yield Watch(pipeline, tasks)


class Scene:
    """Videos that are told from each other by their sizes."""

    def __init__(self, watch: Watch, clips: dict[str, Path], folder: Path) -> None:
        self.watch, self.pipeline = watch, watch.pipeline
        self._clips, self._folder = clips, folder
        self.sizes: dict[str, int] = {}

    def submit(self, name: str) -> str:
        path = self._folder / f"{name}-{len(self.sizes)}.mp4"
        size = padded(self._clips[name], path, len(self.sizes))
        video_id = self.pipeline.submit(path)
        self.sizes[video_id] = size
        return video_id

    def wait_for_stage(self, video_id: str, *stages: str) -> None:
        stage = partial(self.watch.stage, video_id, self.sizes[video_id])
        self.pipeline.wait_until(
            lambda: stage() in stages, seconds=60, otherwise=lambda: f"it is {stage()}, not {stages}"
        )

    def ask(self, video_id: str, what: str) -> httpx.Response:
        return self.pipeline.api.post(f"/api/v1/videos/{video_id}/{what}")

    def cancel(self, video_id: str, *stages: str) -> None:
        """Cancel a video that is in one of these stages; nothing of it moves soon afterwards."""
        seen = self.watch.cancel(video_id, self.sizes[video_id])
        assert seen.status == httpx.codes.ACCEPTED
        assert seen.stage in stages
        assert seen.rest < PROMISED, seen

    def comes_to_rest(self, video_id: str, *, seconds: float = 60.0) -> None:
        """The pipeline has noted it, written why there is no result, and kept nothing else."""
        self.pipeline.wait_until(
            lambda: not self.left(video_id), seconds=seconds, otherwise=lambda: str(self.left(video_id))
        )
        assert self.pipeline.result(video_id)["error"]["code"] == "cancelled"

    def left(self, video_id: str) -> list[str]:
        """What is not yet as it is to be."""
        record = self.pipeline.record(video_id) or {}
        page = self.pipeline.page("results", f"/videos/{video_id}")
        names = self.objects(video_id)
        checks = {
            f"the record is {record.get('status')}": record.get("status") != "cancelled",
            f"{page}": bool(page.get("rows")) or page.get("head", {}).get("state") != "cancelled",
            f"there are {names}": names != {input_object(video_id), failed_object(video_id)},
            "it is not confirmed": bool(
                self.pipeline.mongo["main_db"]["commands"].find_one({"video_id": video_id})
            ),
        }
        return [text for text, is_wrong in checks.items() if is_wrong]

    def objects(self, video_id: str) -> set[str]:
        async def look() -> set[str]:
            bucket = self.pipeline.settings.buckets[0]
            async with open_storage(self.pipeline.settings) as storage:
                names = [name(video_id) for name in (input_object, detection_object, failed_object)]
                return {name for name in names if await storage.stat(bucket, name)}

        return asyncio.run(look())


@pytest.fixture
def scene(watch: Watch, clips: dict[str, Path], tmp_path: Path) -> Scene:
    return Scene(watch, clips, tmp_path)


def test_a_video_is_cancelled_before_it_was_published(scene: Scene) -> None:
    stack = scene.pipeline.stack
    stack.stop_program("outbox")
    try:
        video_id = scene.submit("short")
        scene.cancel(video_id, "new")
    finally:
        stack.start_program("outbox")
    scene.comes_to_rest(video_id)
    assert scene.watch.tasks.of(video_id).count == 0


def test_a_video_is_cancelled_that_waits_behind_others(scene: Scene) -> None:
    stack, settings = scene.pipeline.stack, scene.pipeline.settings
    stack.freeze_program("inference")  # so that nobody who has a place gets on
    try:
        # One for each place, one for that of a guest, and one that takes the place of who gets all the room.
        others = [scene.submit("medium") for _ in range(settings.videos_at_once + 2)]
        video_id = scene.submit("medium")
        scene.wait_for_stage(video_id, "queued")
        assert scene.ask(video_id, "cancel").status_code == httpx.codes.ACCEPTED
        for other in others:
            assert scene.ask(other, "cancel").status_code == httpx.codes.ACCEPTED
    finally:
        stack.thaw_program("inference")
    for each in (video_id, *others):
        scene.comes_to_rest(each)
    assert scene.watch.tasks.of(video_id).count == 0


def test_a_video_is_cancelled_while_it_is_fetched_and_s3_hangs(scene: Scene) -> None:
    stack = scene.pipeline.stack
    video_id = scene.submit("long")
    stack.freeze_program("s3")
    try:
        scene.wait_for_stage(video_id, "fetching", "queued", "decoding")
        assert scene.ask(video_id, "cancel").status_code == httpx.codes.ACCEPTED
        assert scene.pipeline.result(video_id)["error"]["code"] == "cancelled"
    finally:
        stack.thaw_program("s3")
    scene.comes_to_rest(video_id)


def test_a_video_is_cancelled_while_it_is_decoded(scene: Scene) -> None:
    video_id = scene.submit("long")
    scene.wait_for_stage(video_id, "decoding")
    scene.pipeline.wait_until(lambda: scene.watch.tasks.of(video_id).count > 0)
    scene.cancel(video_id, "decoding")
    scene.comes_to_rest(video_id)
    assert scene.watch.tasks.of(video_id).count < LONG / 5


def test_a_video_is_cancelled_whose_split_another_runner_may_have(scene: Scene) -> None:
    with scene.pipeline.another_worker("runner", "runner-2", ready_within=90) as other:
        watch = Watch(scene.pipeline, scene.watch.tasks, [other.pid])
        videos = [scene.submit("long") for _ in range(4)]
        with ThreadPoolExecutor() as at_once:
            for seen in at_once.map(lambda each: watch.cancel(each, scene.sizes[each]), videos):
                assert (seen.status, seen.rest < PROMISED) == (httpx.codes.ACCEPTED, True), seen
        for video_id in videos:
            scene.comes_to_rest(video_id)


def test_a_video_is_cancelled_while_its_pictures_wait_to_be_looked_at(scene: Scene) -> None:
    stack = scene.pipeline.stack
    stack.freeze_program("inference")
    try:
        video_id = scene.submit("short")
        scene.wait_for_stage(video_id, "detecting")
        scene.cancel(video_id, "detecting")
    finally:
        stack.thaw_program("inference")
    scene.comes_to_rest(video_id)


def test_a_video_is_cancelled_whose_result_is_about_to_be_written(scene: Scene) -> None:
    stack, settings = scene.pipeline.stack, scene.pipeline.settings
    stack.stop_program("results")
    try:
        video_id = scene.submit("short")
        scene.wait_for_stage(video_id, "detecting")

        async def unread() -> int:
            async with open_broker(settings.kafka_bootstrap_servers) as broker:
                partitions = INFERENCE_TASKS.spread.partitions(settings)
                return await broker.lag("inference", INFERENCE_TASKS.name, partitions)

        scene.pipeline.wait_until(lambda: asyncio.run(unread()) == 0, seconds=60)
        scene.cancel(video_id, "detecting")
    finally:
        stack.start_program("results")
        stack.wait_ready(90)
    scene.comes_to_rest(video_id)


def test_without_kafka_the_status_holds_at_once_and_the_rest_follows(scene: Scene) -> None:
    stack = scene.pipeline.stack
    video_id = scene.submit("long")
    scene.wait_for_stage(video_id, "decoding")
    stack.stop_program("kafka")
    try:
        assert scene.ask(video_id, "cancel").status_code == httpx.codes.ACCEPTED
        assert scene.pipeline.result(video_id)["error"]["code"] == "cancelled"
    finally:
        stack.start_program("kafka")
    scene.comes_to_rest(video_id, seconds=120)


def test_a_cancelled_video_that_is_tried_again_is_looked_at_whole(scene: Scene) -> None:
    expected = scene.pipeline.wait_for(scene.submit("short"))
    video_id = scene.submit("short")
    assert scene.ask(video_id, "cancel").status_code in (httpx.codes.ACCEPTED, httpx.codes.CONFLICT)
    retried = scene.ask(video_id, "retry")
    if retried.status_code == httpx.codes.CONFLICT:
        pytest.skip("it was ready before it could be cancelled")
    assert (retried.status_code, retried.json()["attempt"]) == (httpx.codes.ACCEPTED, 2)
    found: dict[str, Any] = scene.pipeline.wait_for(video_id)
    assert found["prediction"] == expected["prediction"]
    record = scene.pipeline.record(video_id)
    assert record is not None
    assert (record["attempt"], record["status"]) == (2, "ready")
    assert scene.ask(video_id, "retry").json()["code"] == "already_ready"
    scene.pipeline.wait_until(
        lambda: scene.objects(video_id) == {input_object(video_id), detection_object(video_id)}
    )


def test_a_video_whose_file_is_gone_fails_when_it_is_tried_again(scene: Scene) -> None:
    video_id = scene.submit("long")
    assert scene.ask(video_id, "cancel").status_code == httpx.codes.ACCEPTED
    scene.comes_to_rest(video_id)

    async def remove() -> None:
        async with open_storage(scene.pipeline.settings) as storage:
            await storage.delete(scene.pipeline.settings.buckets[0], input_object(video_id))

    asyncio.run(remove())
    assert scene.ask(video_id, "retry").status_code == httpx.codes.ACCEPTED
    assert scene.pipeline.wait_for(video_id)["error"]["code"] == "input_missing"


@pytest.mark.parametrize("is_retried", [False, True])
def test_a_cancelled_video_that_is_deleted_is_gone(scene: Scene, *, is_retried: bool) -> None:
    video_id = scene.submit("long")
    assert scene.ask(video_id, "cancel").status_code == httpx.codes.ACCEPTED
    if is_retried:
        assert scene.ask(video_id, "retry").status_code == httpx.codes.ACCEPTED
    path = f"/api/v1/videos/{video_id}"
    assert scene.pipeline.api.delete(path).status_code == httpx.codes.NO_CONTENT
    assert scene.ask(video_id, "retry").status_code == httpx.codes.NOT_FOUND
    main = scene.pipeline.mongo["main_db"]
    scene.pipeline.wait_until(lambda: main["outbox"].find_one({"_id": video_id}) is None)
    assert main["commands"].find_one({"video_id": video_id}) is None
    scene.pipeline.wait_until(lambda: scene.objects(video_id) == set())
    record = scene.pipeline.record(video_id)
    assert record is not None
    assert record["status"] == "deleted"
