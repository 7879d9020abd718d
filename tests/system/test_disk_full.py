"""A full disk loses nothing: work waits for room and goes on, and the log says so once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.shapes import write_clip
from tests.support.pipeline import Pipeline
from tests.support.small_disk import MEBIBYTE, SmallDisk, obstacle

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(240),
    pytest.mark.skipif(obstacle() is not None, reason=str(obstacle())),
]

FRAMES = 300
MOST_VIDEOS = 20
EVERY_FIFTH = list(range(0, FRAMES, 5))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("disk") / "clip.mp4"
    write_clip(path, seed=22, frames=FRAMES, fps=25, size=(640, 360))
    return path


class Log:
    """What a program writes into its log from now on."""

    def __init__(self, pipeline: Pipeline, role: str) -> None:
        self._path = pipeline.stack.folder.log(role)
        self._start = self._path.stat().st_size

    def lines(self, text: str) -> list[str]:
        with self._path.open("rb") as file:
            file.seek(self._start)
            return [line for line in file.read().decode(errors="replace").splitlines() if text in line]


@pytest.fixture
def work_disk(pipeline: Pipeline) -> Iterator[SmallDisk]:
    """The runner's work folder on a disk of its own."""
    yield from _on_a_disk(pipeline, "runner", "work")


@pytest.fixture
def table_disk(pipeline: Pipeline) -> Iterator[SmallDisk]:
    """The folder of the role `results`, tables and notes, on a disk of its own."""
    yield from _on_a_disk(pipeline, "results", "faust/results")


def _on_a_disk(pipeline: Pipeline, role: str, name: str) -> Iterator[SmallDisk]:
    pipeline.stack.stop_program(role)
    with SmallDisk.over(pipeline.stack.folder.root / name, size=96 * MEBIBYTE) as disk:
        pipeline.stack.start_program(role)
        pipeline.stack.wait_ready(60)
        yield disk
        pipeline.stack.stop_program(role)
    pipeline.stack.start_program(role)
    pipeline.stack.wait_ready(60)


def numbers_of(pipeline: Pipeline, video_id: str) -> list[int]:
    found = pipeline.wait_for(video_id)
    assert found["status"] == "ready", found
    return [frame["frame"] for frame in found["prediction"]]


def test_an_input_waits_for_room_in_the_work_folder_and_nothing_is_counted_against_it(
    pipeline: Pipeline, clip: Path, work_disk: SmallDisk
) -> None:
    log, pid = Log(pipeline, "runner"), pipeline.stack.pid_of("runner")
    work_disk.fill(leave=clip.stat().st_size // 2)
    waiting, other = pipeline.submit(clip), pipeline.submit(clip)
    pipeline.wait_until(lambda: len(log.lines("split waits")) == 2, seconds=30)
    assert all("bytes are needed" in line for line in log.lines("split waits"))

    work_disk.fill()  # not even a folder can be made
    leases = {(pipeline.record(waiting) or {})["split_lease_until"]}

    def was_tried_again() -> bool:  # taken, given back with a pause, and perhaps once before it was full
        leases.add((pipeline.record(waiting) or {})["split_lease_until"])
        return len(leases) > 2

    pipeline.wait_until(was_tried_again, seconds=60)
    assert (pipeline.record(waiting) or {})["split_tries"] == 0
    work_disk.free()

    assert [numbers_of(pipeline, each) for each in (waiting, other)] == [EVERY_FIFTH] * 2
    assert len(log.lines("split waits")) == 2
    assert len(log.lines("split goes on after a wait")) == 2
    assert pipeline.stack.pid_of("runner") == pid


def test_rows_wait_for_room_in_the_table_folder_in_place(
    pipeline: Pipeline, clip: Path, table_disk: SmallDisk
) -> None:
    log, pid = Log(pipeline, "results"), pipeline.stack.pid_of("results")
    video_ids: list[str] = []

    def waits() -> bool:
        return bool(log.lines("waiting: the table folder is not available"))

    def last_is_ready() -> bool:
        return bool(pipeline.result(video_ids[-1])["status"] == "ready")

    # A store that holds rows already has room of its own, but not all of them do: the disk is too small.
    while not waits() and len(video_ids) < MOST_VIDEOS:
        table_disk.fill()  # RocksDB frees some room when it puts a log away
        video_ids.append(pipeline.submit(clip))
        pipeline.wait_until(lambda: waits() or last_is_ready(), seconds=60)
    assert waits()
    table_disk.free()

    assert [numbers_of(pipeline, each) for each in video_ids] == [EVERY_FIFTH] * len(video_ids)
    assert pipeline.stack.pid_of("results") == pid
    assert log.lines("going on after a wait")
    assert not log.lines("set aside")


@pytest.mark.long
def test_a_worker_that_starts_on_a_full_disk_says_so_and_is_started_again_until_there_is_room(
    pipeline: Pipeline, clip: Path, table_disk: SmallDisk
) -> None:
    log = Log(pipeline, "results")
    video_id = pipeline.submit(clip)
    pipeline.wait_until(lambda: (pipeline.record(video_id) or {}).get("received_frames", 0) > 0, seconds=60)
    table_disk.fill()
    first = pipeline.stack.kill_program("results")

    def was_refused_twice() -> bool:
        table_disk.fill()  # RocksDB frees some room before it takes new
        return len(log.lines("No space left on device")) > 1 and pipeline.stack.pid_of("results") != first

    pipeline.wait_until(was_refused_twice, seconds=60)
    table_disk.free()
    assert numbers_of(pipeline, video_id) == EVERY_FIFTH
    assert not log.lines("set aside")
