"""Kafka may lose everything, and a worker's table folder may be of another time: no video is lost."""

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import rocksdict
from faust.stores.rocksdb import Store

from app.clients.kafka.broker import open_broker
from app.clients.main_db.video_outbox import open_video_outbox
from app.clients.s3.storage import open_storage
from app.domain.objects import (
    deleted_object,
    detection_object,
    failed_object,
)
from app.local.folder import DataFolder
from app.local.ports import free_ports
from app.local.processes import ROLES, create_processes
from app.local.stack import LocalStack
from app.settings import Settings
from app.topics import REJECTED
from benchmarks.stand_ins import MODULE
from models.shapes import write_clip
from tests.support.backup import Backup, lose_everything
from tests.support.kafka_loss import empty_kafka, recover
from tests.support.pipeline import Pipeline
from tests.support.stack import own_environment

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

FRAMES = 400
EVERY_FIFTH = list(range(0, FRAMES, 5))

RECORDING = ("runner", "results")
"""Roles that write into runner_db."""

CLOCKS = {
    "STALL_AFTER": "15",
    "REDRIVE_AFTER": "3600",
    "SESSION_TIMEOUT": "6",
    "OUTBOX_LEASE": "5",
    "STAND_IN_SECONDS": "0.04",
}
"""No video is published again by itself while a test runs: what comes back is `kadr recover`'s doing.

Frames are counted here, not looked at. A stand-in takes its time for each on every machine; with a model a
video of 80 frames was ready, on a quick one, before a worker had stopped that was to stop in its middle.
"""


@pytest.fixture(scope="module")
def kadr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A Kadr of its own, because its Kafka loses everything."""
    root: Path = tmp_path_factory.mktemp("recovery")
    with free_ports() as ports:
        stack = LocalStack.from_environment(
            own_environment() | CLOCKS,
            data_dir=root / "data",
            ports=ports,
            processes=create_processes(DataFolder(root / "data"), ports, modules={"inference": MODULE}),
        )
        with stack:
            stack.wait_ready()
            given = {name.lower(): value for name, value in stack.environment().items()}
            with Pipeline.connect(stack, Settings.model_validate(given)) as connected:
                yield connected


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(path, seed=4, frames=FRAMES, fps=25, size=(320, 240))
    return path


def begin(kadr: Pipeline, clip: Path, *, count: int) -> list[str]:
    """Submit a clip several times and return when frames of each are on their way and some have arrived."""
    video_ids = [kadr.submit(clip) for _ in range(count)]

    def is_under_way() -> bool:
        records = [kadr.record(video_id) or {} for video_id in video_ids]
        has_begun = all(each.get("split_frames") or each.get("split_ended") for each in records)
        return has_begun and any(each["received_frames"] for each in records)

    kadr.wait_until(is_under_way, seconds=60)
    return video_ids


def frames_of(kadr: Pipeline, video_id: str) -> list[int]:
    found = kadr.wait_for(video_id, seconds=150)
    return [frame["frame"] for frame in found["prediction"]] if found["status"] == "ready" else []


def delete(kadr: Pipeline, video_id: str) -> None:
    """Delete a video and return when that was published."""

    async def ask() -> None:
        async with open_video_outbox(kadr.settings) as outbox:
            assert await outbox.delete_one(video_id)

    asyncio.run(ask())
    command = kadr.mongo["main_db"]["commands"]
    kadr.wait_until(
        lambda: (command.find_one({"video_id": video_id}) or {}).get("status") == "sent", seconds=30
    )


def is_forgotten(kadr: Pipeline, video_id: str) -> bool:
    return kadr.mongo["main_db"]["outbox"].find_one({"_id": video_id}) is None


def objects_of(kadr: Pipeline, video_id: str) -> list[str]:
    names = [
        f"input/{video_id}.mp4",
        *(make(video_id) for make in (detection_object, failed_object, deleted_object)),
    ]

    async def look() -> list[str]:
        async with open_storage(kadr.settings) as storage:
            return [name for name in names if await storage.stat("videos", name) is not None]

    return asyncio.run(look())


def rejected(kadr: Pipeline) -> list[str]:
    async def look() -> list[str]:
        async with open_broker(kadr.settings.kafka_bootstrap_servers) as broker:
            return [each.position for each in await broker.rejected(REJECTED)]

    return asyncio.run(look())


def log_of(kadr: Pipeline, role: str) -> str:
    return kadr.stack.folder.log(role).read_text(encoding="utf-8", errors="replace")


def test_a_table_folder_of_an_earlier_time_is_brought_up_to_date(
    kadr: Pipeline, clip: Path, tmp_path: Path
) -> None:
    folder, copy = kadr.stack.folder.root / "faust" / "results", tmp_path / "results"
    (early,) = begin(kadr, clip, count=1)
    kadr.stack.stop_program("results")
    shutil.copytree(folder, copy)
    kadr.stack.start_program("results")
    assert frames_of(kadr, early) == EVERY_FIFTH
    (late,) = begin(kadr, clip, count=1)

    kadr.stack.stop_program("results")
    shutil.rmtree(folder)
    copy.rename(folder)
    kadr.stack.start_program("results")
    kadr.stack.wait_ready(60, only=["results"])
    pid = kadr.stack.pid_of("results")

    assert frames_of(kadr, late) == EVERY_FIFTH
    assert kadr.stack.pid_of("results") == pid, "what waited while the rows came back was forgotten"
    kadr.wait_until(lambda: kadr.page("results", f"/videos/{early}")["head"]["state"] == "stored", seconds=10)
    assert kadr.page("results", f"/videos/{early}")["rows"] == []


def test_a_table_folder_that_is_ahead_of_its_changelog_is_recovered_from_there(
    kadr: Pipeline, clip: Path
) -> None:
    (video_id,) = begin(kadr, clip, count=1)
    kadr.stack.stop_program("results")
    for store in (kadr.stack.folder.root / "faust" / "results").rglob("*.db"):
        database = rocksdict.Rdict(str(store), rocksdict.Options(raw_mode=True))
        database[Store.offset_key] = b"1000000"
        database.close()

    kadr.stack.start_program("results")
    kadr.stack.wait_ready(60, only=["results"])

    assert frames_of(kadr, video_id) == EVERY_FIFTH
    assert log_of(kadr, "results").count("its changelog ends before it") == 2  # one line for each table


@pytest.mark.long  # a round of `tests/faults` does the same
def test_after_kafka_has_lost_everything_workers_come_back_and_every_video_ends(
    kadr: Pipeline, clip: Path
) -> None:
    *kept, deleted = begin(kadr, clip, count=4)
    kadr.stack.freeze_program("runner")  # so that the deletion is on its way and not yet done
    try:
        delete(kadr, deleted)
        kadr.stack.stop_program("kafka")
    finally:
        kadr.stack.thaw_program("runner")
    before = {role: kadr.stack.pid_of(role) for role in ROLES}
    empty_kafka(kadr.stack)
    kadr.stack.start_program("kafka")

    # How many videos: one or the other may have ended before Kafka did.
    assert "and 1 deletion would be asked for again" in recover(kadr, "--dry-run")
    assert "and 1 deletion asked for again" in recover(kadr)

    assert [frames_of(kadr, video_id) for video_id in kept] == [EVERY_FIFTH] * 3
    kadr.wait_until(lambda: is_forgotten(kadr, deleted), seconds=60)
    kadr.wait_until(lambda: objects_of(kadr, deleted) == [], seconds=10)
    assert {(kadr.record(video_id) or {})["status"] for video_id in kept} == {"ready"}
    assert rejected(kadr) == []
    assert all(kadr.stack.pid_of(role) != pid for role, pid in before.items())


def test_without_runner_db_what_has_ended_stays_and_the_rest_is_begun_anew(
    kadr: Pipeline, clip: Path
) -> None:
    (done,) = begin(kadr, clip, count=1)
    assert frames_of(kadr, done) == EVERY_FIFTH
    (working,) = begin(kadr, clip, count=1)
    with ThreadPoolExecutor() as at_once:
        list(at_once.map(kadr.stack.stop_program, RECORDING))
    kadr.mongo.drop_database("runner_db")

    for role in RECORDING:
        kadr.stack.start_program(role)
    kadr.stack.wait_ready(60, only=RECORDING)
    recover(kadr)

    assert frames_of(kadr, working) == EVERY_FIFTH
    assert frames_of(kadr, done) == EVERY_FIFTH
    delete(kadr, done)
    kadr.wait_until(lambda: is_forgotten(kadr, done), seconds=60)
    kadr.wait_until(lambda: objects_of(kadr, done) == [], seconds=10)
    assert len(kadr.mongo["runner_db"]["runner_predictions"].index_information()) > 1
    assert rejected(kadr) == []


@pytest.mark.long
def test_from_a_backup_every_video_comes_back_and_what_was_in_work_is_finished(
    kadr: Pipeline, clip: Path
) -> None:
    (done,) = begin(kadr, clip, count=1)
    assert frames_of(kadr, done) == EVERY_FIFTH
    before = kadr.result(done)
    (working,) = begin(kadr, clip, count=1)
    backup = Backup.take(kadr)
    late = kadr.submit(clip)

    with ThreadPoolExecutor() as at_once:
        list(at_once.map(kadr.stack.stop_program, ("api", *ROLES)))
    kadr.stack.stop_program("kafka")
    lose_everything(kadr)
    empty_kafka(kadr.stack)
    backup.restore(kadr)
    for name in ("kafka", *ROLES, "api"):
        kadr.stack.start_program(name)
    kadr.stack.wait_ready(90)
    recover(kadr)

    assert frames_of(kadr, working) == EVERY_FIFTH
    assert kadr.result(done) == before
    assert kadr.api.get(f"/api/v1/videos/{late}").status_code == 404
    assert rejected(kadr) == []
