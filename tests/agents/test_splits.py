"""A video becomes tasks, from where the broker has confirmed them; its end is told once all are there."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from agents import places
from agents import splits as splits_stage
from agents.places import LONG
from agents.splits import TRIES, Splits
from app import backpressure
from app.backpressure import Backlog, Gate
from app.clients.s3.storage import ObjectFacts
from app.decoding.process import DecoderCrashed
from app.decoding.protocol import Job, frame_key
from app.domain.failures import failure
from app.domain.messages import Failure, VideoFacts
from app.domain.records import Record
from app.errors import Unavailable
from app.settings import Settings
from app.topics import INFERENCE_TASKS, VIDEO_SPLITS
from app.work_folder import WorkFolder
from app.worker import Worker
from tests.support.examples import asked, facts
from tests.support.streams import KeptPublisher
from tests.support.workers import MemoryMongo, MemoryWorker, memory_records


class Child:
    """A decoding child that gives so many frames and then ends as it was told."""

    def __init__(self, job: Job, pool: "Pool") -> None:
        self.outcome: VideoFacts | Failure | None = None
        self.expected = pool.expected.get(job.video_id)
        self.more_at_once = False
        self._job, self._pool = job, pool

    async def frames(self) -> AsyncIterator[tuple[bytes, bytes, int]]:
        job, stride = self._job, self._job.options.vid_stride
        wanted = job.only or [index * stride for index in range(job.start_index, self._pool.sampled)]
        for count, number in enumerate(wanted):
            if self._pool.crash_after == count:
                raise DecoderCrashed("decoder_memory", "was ended by SIGKILL")
            if count >= self._pool.hold_at:
                await self._pool.may_decode.wait()
            self.more_at_once = (count + 1) % self._pool.together != 0
            yield frame_key(job.video_id, job.attempt, number), b"task", number // stride
        if self._pool.crash_after == len(wanted):
            raise DecoderCrashed("decoder_memory", "was ended by SIGKILL")
        self.outcome = self._pool.outcome or facts(self._pool.sampled)


class Pool:
    """Decoding children in memory.

    Attributes:
        crash_after: frames after which each child dies; None means never.
        outcome: how decoding ends, if not well.
        jobs: what the children were told.
        hold_at: frames after which each child waits until it may go on.
        expected: how many frames each video says it has.
        together: how many frames each child hands over at once.
    """

    def __init__(self) -> None:
        self.sampled = 3
        self.crash_after: int | None = None
        self.outcome: Failure | None = None
        self.jobs: list[Job] = []
        self.may_decode = asyncio.Event()
        self.may_decode.set()
        self.hold_at = 0
        self.expected: dict[str, int] = {}
        self.together = 1
        self.open = 0

    @asynccontextmanager
    async def decode(self, job: Job) -> AsyncIterator[Child]:
        self.jobs.append(job)
        self.open += 1
        try:
            yield Child(job, self)
        finally:
            self.open -= 1


class Runner:
    """Splits on records, storage and children in memory."""

    def __init__(self) -> None:
        self.worker, self.pool, self.publisher = MemoryWorker(), Pool(), KeptPublisher()
        self.worker.clients.pool = self.pool
        self.records = self.worker.clients.records
        self.gate = Gate(self._look, bound=1000)
        self.elsewhere = 0
        self.splits = Splits(cast("Worker[Any]", self.worker), self.gate)
        self.splits._publisher = self.publisher

    async def _look(self) -> Backlog:
        return Backlog(self.elsewhere + len(self.frames), 1)

    async def accept(self, video_id: str = "a", *, has_input: bool = True, size: int = 5) -> None:
        request = asked(video_id)
        if has_input:
            storage = self.worker.clients.storage
            await storage.put("videos", request.object, bytes(size), content_type="video/mp4")
        await self.records.accept(request)
        self.splits.look_at(video_id)

    async def record(self, video_id: str = "a") -> Record:
        record = await self.records.get(video_id)
        assert record is not None
        return record

    @property
    def frames(self) -> list[str]:
        return [key for topic, key, _ in self.publisher.published if topic == INFERENCE_TASKS.name]

    @property
    def ends(self) -> list[str]:
        return [each.kind for each in self.publisher.of(VIDEO_SPLITS)]


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


@pytest.fixture
async def runner(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runner]:
    monkeypatch.setattr(splits_stage, "LOOK_EVERY", 0.005)
    monkeypatch.setattr(splits_stage, "RENEW_EVERY", 0.005)
    monkeypatch.setattr(splits_stage, "PAUSE", 0.005)
    made = Runner()
    tasks = [asyncio.create_task(made.gate.run()), asyncio.create_task(made.splits.run())]
    yield made
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert made.pool.open == 0, "no child outlives its split"


async def test_frames_that_come_together_are_counted_at_once_and_sent_together(runner: Runner) -> None:
    runner.pool.sampled, runner.pool.together, runner.pool.hold_at = 5, 4, 3
    runner.pool.may_decode.clear()
    await runner.accept()
    await until(lambda: runner.splits.unconfirmed == 3)
    assert runner.frames == []
    assert runner.splits.open["a"].share == 3
    runner.pool.may_decode.set()
    await until(lambda: runner.ends == ["split"])
    assert runner.frames == ["a/1/0", "a/1/5", "a/1/10", "a/1/15", "a/1/20"]


async def test_frames_do_not_wait_for_others_while_their_video_waits_for_room(runner: Runner) -> None:
    runner.pool.sampled, runner.pool.together = 12, 12
    runner.elsewhere = 997
    await runner.accept()
    await until(lambda: len(runner.frames) == 3)
    runner.elsewhere = 0
    await until(lambda: runner.ends == ["split"])
    assert len(runner.frames) == 12


async def test_a_video_becomes_a_task_for_each_frame_and_then_its_end(runner: Runner) -> None:
    await runner.accept()
    await until(lambda: runner.ends == ["split"] and not runner.splits.open)
    assert [key for _, key, _ in runner.publisher.published] == ["a/1/0", "a/1/5", "a/1/10", "a"]
    record = await runner.record()
    assert (record.split_ended, record.total_frames, record.video) == (True, 3, facts(3))


async def test_several_videos_are_open_at_once(runner: Runner) -> None:
    runner.pool.may_decode.clear()
    for number in range(3):
        await runner.accept(f"v{number}")
    await until(lambda: runner.pool.open == 3)
    runner.pool.may_decode.set()
    await until(lambda: runner.ends == ["split"] * 3)


async def test_a_split_goes_on_where_the_broker_has_confirmed(runner: Runner) -> None:
    runner.pool.sampled = 5
    runner.pool.crash_after = 2
    await runner.accept()
    await until(lambda: len(runner.pool.jobs) >= 2)
    assert runner.pool.jobs[1].start_index == 2
    await until(lambda: runner.ends == ["split"])
    assert runner.frames == [f"a/1/{number}" for number in (0, 5, 10, 15, 20)]


async def test_a_split_that_is_claimed_again_before_its_last_task_has_ended_goes_on(runner: Runner) -> None:
    release = runner.records.release_split

    async def slowly(record: Record, split_frames: int, **more: object) -> bool:
        """Answer after somebody has looked: a look may come right between this and the end of the task."""
        released = await release(record, split_frames, **more)  # type: ignore[arg-type]  # handed on
        await asyncio.sleep(0.05)
        return released

    runner.records.release_split = slowly  # type: ignore[method-assign]  # to wait
    runner.pool.sampled = 5
    runner.pool.crash_after = 2
    await runner.accept()
    await until(lambda: runner.ends == ["split"])
    assert runner.frames == [f"a/1/{number}" for number in (0, 5, 10, 15, 20)]


async def test_a_video_whose_children_die_four_times_fails_with_how_they_died(runner: Runner) -> None:
    runner.pool.crash_after = 0
    await runner.accept()
    await until(lambda: runner.ends == ["failed"] and not runner.splits.open)
    assert len(runner.pool.jobs) == TRIES
    record = await runner.record()
    assert record.status == "failed"
    assert record.error is not None
    assert record.error.code == "decoder_memory"


async def test_a_runner_that_was_frozen_while_its_last_child_died_fails_no_video_of_another(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew = runner.records.renew_split

    async def lost_at_last(record: Record, split_frames: int, *, expected: int | None = None) -> bool:
        """Somebody else has claimed it since."""
        return len(runner.pool.jobs) < TRIES and await renew(record, split_frames, expected=expected)

    monkeypatch.setattr(runner.records, "renew_split", lost_at_last)
    runner.pool.crash_after = 0
    await runner.accept()
    await until(lambda: len(runner.pool.jobs) == TRIES and not runner.splits.open)
    assert runner.ends == []
    assert (await runner.record()).status == "processing"


async def test_a_world_that_is_away_is_no_death_of_a_child(runner: Runner) -> None:
    runner.worker.s3.is_away = False
    await runner.worker.clients.storage.put("videos", "input/a.mp4", b"bytes", content_type="video/mp4")
    runner.worker.s3.is_away = True
    await runner.records.accept(asked("a"))
    waits = [0]
    release = runner.records.release_split

    async def count(record: Record, split_frames: int, **more: object) -> bool:
        waits[0] += 1
        return await release(record, split_frames, **more)  # type: ignore[arg-type]  # handed on

    runner.records.release_split = count  # type: ignore[method-assign]  # to count
    await until(lambda: waits[0] > TRIES)
    runner.worker.s3.is_away = False
    await until(lambda: runner.ends == ["split"])
    assert (await runner.record()).split_tries == 1


async def test_a_video_whose_file_is_gone_fails(runner: Runner) -> None:
    await runner.accept(has_input=False)
    await until(lambda: runner.ends == ["failed"])
    (ended,) = runner.publisher.of(VIDEO_SPLITS)
    assert ended.error == failure("input_missing")


async def test_what_is_no_video_fails_with_its_reason(runner: Runner) -> None:
    runner.pool.sampled, runner.pool.outcome = 0, failure("not_a_video")
    await runner.accept()
    await until(lambda: runner.ends == ["failed"] and not runner.splits.open)
    assert (await runner.record()).error == failure("not_a_video")


async def test_a_cancelled_video_stops_at_once_and_nothing_more_of_it_is_told(runner: Runner) -> None:
    runner.pool.may_decode.clear()
    await runner.accept()
    await until(lambda: runner.pool.open == 1)
    await runner.records.withdraw(asked("a", "cancel"), "cancelled", None)
    await runner.splits.stop("a")
    runner.pool.may_decode.set()
    assert runner.pool.open == 0
    assert runner.splits.open == {}
    assert (runner.frames, runner.ends) == ([], [])


async def test_a_runner_that_does_not_hear_of_a_cancel_stops_when_it_renews_its_lease(runner: Runner) -> None:
    runner.pool.may_decode.clear()
    await runner.accept()
    await until(lambda: runner.pool.open == 1)
    await runner.records.withdraw(asked("a", "delete"), "deleted", None)
    await until(lambda: not runner.splits.open)
    assert (runner.frames, runner.ends) == ([], [])


async def test_a_video_that_is_cancelled_while_it_is_fetched_gets_no_child(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits_stage, "RENEW_EVERY", 60.0)  # also where its lease is not renewed meanwhile
    began, goes_on = asyncio.Event(), asyncio.Event()
    stat = runner.worker.clients.storage.stat

    async def slow(bucket: str, name: str) -> ObjectFacts | None:
        began.set()
        await goes_on.wait()
        return await stat(bucket, name)

    monkeypatch.setattr(runner.worker.clients.storage, "stat", slow)
    await runner.accept()
    await began.wait()
    await runner.records.withdraw(asked("a", "cancel"), "cancelled", None)
    goes_on.set()
    await until(lambda: not runner.splits.open)
    assert runner.pool.jobs == []
    assert (runner.frames, runner.ends) == ([], [])
    assert (await runner.record()).status == "cancelled"


async def test_another_attempt_makes_the_one_before_stop_at_once(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits_stage, "RENEW_EVERY", 60.0)
    runner.pool.may_decode.clear()
    await runner.accept()
    await until(lambda: runner.pool.open == 1)
    await runner.records.withdraw(asked("a", "cancel"), "cancelled", None)
    await runner.records.accept(asked("a", attempt=2))
    runner.splits.look_at("a")
    await until(lambda: len(runner.pool.jobs) == 2)
    assert (runner.pool.open, [job.attempt for job in runner.pool.jobs]) == (1, [1, 2])
    runner.pool.may_decode.set()
    await until(lambda: runner.ends == ["split"] and not runner.splits.open)
    assert runner.frames == ["a/2/0", "a/2/5", "a/2/10"]


async def test_a_retry_whose_file_is_gone_fails_with_that_reason(runner: Runner) -> None:
    await runner.accept(has_input=False)
    await until(lambda: runner.ends == ["failed"] and not runner.splits.open)
    await runner.records.accept(asked("a", attempt=2))
    runner.splits.look_at("a")
    await until(lambda: runner.ends == ["failed", "failed"] and not runner.splits.open)
    record = await runner.record()
    assert (record.attempt, record.status, record.error) == (2, "failed", failure("input_missing"))


async def test_a_split_that_is_stopped_before_it_began_leaves_its_place_free(runner: Runner) -> None:
    runner.pool.may_decode.clear()
    await runner.records.accept(asked("a"))
    await runner.splits._claim("a")
    await runner.splits.stop("a")
    assert runner.splits.open == {}


async def test_only_the_frames_that_are_missing_are_decoded_again_and_the_facts_stay(runner: Runner) -> None:
    await runner.accept()
    await until(lambda: runner.ends == ["split"] and not runner.splits.open)
    await runner.records.reopen_split("a", 1, [5])
    await until(lambda: runner.ends == ["split", "split"] and not runner.splits.open)
    assert runner.frames[3:] == ["a/1/5"]
    record = await runner.record()
    assert (record.only, record.video, record.split_frames) == (None, facts(3), 3)


async def test_a_stop_gives_the_split_back_and_counts_no_death(runner: Runner) -> None:
    runner.pool.may_decode.clear()
    await runner.accept()
    await until(lambda: runner.pool.open == 1)
    await runner.splits.stop("a")
    runner.pool.may_decode.set()
    await until(lambda: runner.ends == ["split"])
    assert (await runner.record()).split_tries == 1


async def test_a_short_video_does_not_wait_for_the_long_ones_that_fill_every_place(runner: Runner) -> None:
    runner.worker.settings = Settings(open_videos=1)
    runner.pool.sampled, runner.pool.hold_at = 9, 5
    runner.pool.may_decode.clear()
    await runner.accept("long")
    await until(lambda: len(runner.frames) == 5)

    await runner.accept("short")
    await until(lambda: "short/1/20" in runner.frames)

    assert [job.video_id for job in runner.pool.jobs] == ["long", "short"]
    runner.pool.may_decode.set()
    await until(lambda: runner.ends == ["split"] * 2)
    assert sorted(runner.frames) == sorted(f"{v}/1/{5 * n}" for v in ("long", "short") for n in range(9))


async def test_of_long_videos_that_come_together_each_says_so_and_leaves_its_place_to_the_next(
    runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "agents.splits")
    runner.worker.settings = Settings(open_videos=1)
    runner.pool.sampled, runner.pool.hold_at = 9, 2
    runner.pool.may_decode.clear()
    names = ["first", "second", "third"]
    runner.pool.expected = dict.fromkeys(names, LONG)
    await runner.accept("first")
    await until(lambda: runner.pool.open == 1)
    for name in ("second", "third"):
        await runner.accept(name)
        await until(lambda name=name: name in [job.video_id for job in runner.pool.jobs])  # type: ignore[misc]  # bound here

    await runner.accept("short")
    await until(lambda: "short/1/5" in runner.frames)

    assert [job.video_id for job in runner.pool.jobs] == [*names, "short"]
    parked = [record for record in caplog.records if record.getMessage() == "split parked"]
    assert [record.__dict__["video_id"] for record in parked] == ["second", "third"]
    assert sorted(runner.splits.open) == ["first", "short"]
    runner.pool.may_decode.set()
    await until(lambda: runner.ends == ["split"] * 4)
    assert sorted(set(runner.frames)) == sorted(f"{v}/1/{5 * n}" for v in (*names, "short") for n in range(9))


async def test_long_videos_that_come_together_are_split_one_after_the_other(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = 200
    monkeypatch.setattr(places, "LONG", length)
    monkeypatch.setattr(places, "PARK_AFTER", length // 8)
    monkeypatch.setattr(backpressure, "LOOK_EVERY", 0.001)
    runner.worker.settings = Settings(open_videos=1)
    runner.pool.sampled = length
    names = ["first", "second", "third", "fourth"]
    runner.pool.expected = dict.fromkeys(names, length)
    for name in names:
        await runner.accept(name)

    def have_ended() -> bool:
        runner.elsewhere = 992 - len(runner.frames)  # there is always room for 8: inference has no end
        return runner.ends == ["split"] * len(names)

    have_ended()
    await until(have_ended)

    ends = sorted(runner.frames.index(f"{name}/1/{5 * (length - 1)}") for name in names)
    assert [end < (number + 1.5) * length for number, end in enumerate(ends)] == [True] * len(names), ends
    assert len(runner.frames) < 1.1 * length * len(names), "and are hardly ever begun again"


async def test_a_long_video_makes_room_for_one_that_has_had_far_less(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "PARK_AFTER", 4)
    runner.worker.settings = Settings(open_videos=1)
    runner.pool.sampled, runner.pool.hold_at = 9, 5
    runner.pool.may_decode.clear()
    for name in ("first", "second", "third"):
        await runner.accept(name)
        await until(lambda name=name: f"{name}/1/20" in runner.frames)  # type: ignore[misc]  # bound here

    assert sorted(runner.splits.open) == ["second", "third"]
    runner.pool.may_decode.set()
    await until(lambda: runner.ends == ["split"] * 3)


async def test_a_long_video_is_not_parked_for_one_that_has_had_nearly_as_much(runner: Runner) -> None:
    runner.worker.settings = Settings(open_videos=1)
    runner.pool.sampled, runner.pool.hold_at = 9, 5
    runner.pool.may_decode.clear()
    for name in ("first", "second"):
        await runner.accept(name)
        await until(lambda name=name: f"{name}/1/20" in runner.frames)  # type: ignore[misc]  # bound here
    await runner.accept("third")

    assert await runner.splits._free() == 0

    runner.pool.may_decode.set()
    await until(lambda: runner.ends == ["split"] * 3)
    assert [job.video_id for job in runner.pool.jobs] == ["first", "second", "third"]


async def test_looks_that_take_long_are_few(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits_stage, "LOOK_WHILE_CROWDED", 0.005)
    looks = 0
    look = runner.records.next_waiting

    async def slow() -> Record | None:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0.02)
        return await look()

    monkeypatch.setattr(runner.records, "next_waiting", slow)
    runner.worker.settings = Settings(open_videos=1)
    runner.pool.sampled, runner.pool.hold_at = 3, 1
    runner.pool.may_decode.clear()
    for name in ("first", "guest", "waits"):
        await runner.accept(name)
    await until(lambda: runner.pool.open == 2)
    before = looks
    await asyncio.sleep(0.5)
    assert 1 <= looks - before <= 4, "some 20 in the time if they came as often as quick ones"
    runner.pool.may_decode.set()
    await until(lambda: runner.ends == ["split"] * 3)


async def test_a_place_is_taken_as_soon_as_it_is_free(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits_stage, "LOOK_EVERY", 60)
    monkeypatch.setattr(splits_stage, "LOOK_WHILE_CROWDED", 60)
    runner.worker.settings = Settings(open_videos=1)
    names = [f"v{number}" for number in range(5)]
    for name in names:
        await runner.accept(name)
    await until(lambda: runner.ends == ["split"] * 5)


async def test_deaths_at_different_places_are_no_property_of_the_video(runner: Runner) -> None:
    runner.pool.sampled, runner.pool.crash_after = 2 * TRIES + 1, 2
    await runner.accept()
    await until(lambda: len(runner.pool.jobs) > TRIES)
    runner.pool.crash_after = None
    await until(lambda: runner.ends == ["split"])


class Disk(WorkFolder):
    """A disk on which files have no room unless they are small."""

    is_full = True

    @contextlib.contextmanager
    def filling(self, file: Path, size: int) -> Iterator[None]:
        if self.is_full and size > 1000:
            raise Unavailable("the work folder", f"{size} bytes are needed, 1000 are free")
        with super().filling(file, size):
            yield


async def test_a_video_that_does_not_fit_on_the_disk_waits_and_the_others_go_on(
    runner: Runner, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, "agents.waits")
    runner.worker.settings = Settings(open_videos=1)
    disk = runner.worker.clients.work_folder = Disk(tmp_path)
    releases = [0]
    release = runner.records.release_split

    async def count(record: Record, split_frames: int, **more: object) -> bool:
        releases[0] += 1
        return await release(record, split_frames, **more)  # type: ignore[arg-type]  # handed on

    runner.records.release_split = count  # type: ignore[method-assign]  # to count
    await runner.accept("large", size=5000)
    await until(lambda: releases[0] > TRIES)
    await runner.accept("small")
    await until(lambda: runner.ends == ["split"])
    assert runner.pool.jobs[0].video_id == "small"
    assert len(runner.pool.jobs) == 1, "nothing is fetched or decoded in vain"

    disk.is_full = False

    await until(lambda: runner.ends == ["split"] * 2)
    assert (await runner.record("large")).split_tries == 1
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "5000 bytes are needed" in caplog.text


async def test_a_video_whose_folder_cannot_be_made_waits(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    runner.worker.clients.work_folder = WorkFolder(tmp_path / "file")
    await runner.accept()
    await until(lambda: "a" in runner.splits._waits._first)
    runner.worker.clients.work_folder = WorkFolder(tmp_path)
    await until(lambda: runner.ends == ["split"])
    assert runner.worker.stopped == []


async def test_nothing_is_begun_beside_a_split_that_may_have_killed_its_runner(runner: Runner) -> None:
    runner.pool.may_decode.clear()
    for video_id in ("bad", "good"):
        await leave_behind(runner, video_id, tries=2)
    await until(lambda: len(runner.pool.jobs) == 1)
    await runner.accept("new")
    await asyncio.sleep(0.05)
    begun = [job.video_id for job in runner.pool.jobs]

    runner.pool.may_decode.set()

    await until(lambda: runner.ends.count("split") == 3)
    assert len(begun) == 1


async def leave_behind(runner: Runner, video_id: str, *, tries: int) -> None:
    """Leave a split as a process does that died: claimed, not given back, and its lease has run out."""
    elsewhere, request = MemoryMongo(), asked(video_id)
    await runner.worker.clients.storage.put("videos", request.object, b"video", content_type="video/mp4")
    await memory_records(elsewhere).accept(request)
    (document,) = elsewhere.documents.documents.values()
    left = {"split_owner": "dead", "split_tries": tries}
    runner.worker.mongo.documents.documents[video_id] = document | left
