"""What a worker's disk holds of topics that are gone is removed before anybody reads it."""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from faust.stores.rocksdb import Store

from app.clients.kafka.broker import Broker, Partition
from app.settings import Settings
from app.streaming.durable_table import DurableTable, persisted_offset
from app.streaming.local_state import HEAD, NOTE, LocalState
from app.suspects import Suspects
from app.worker import create_worker

CHANGELOG = "role-rows-changelog"
IDS = {CHANGELOG: "first", "video_gaps": "second"}


@dataclass
class Disk:
    """A worker's folder with one table, and where its changelog ends."""

    folder: Path
    table: DurableTable
    ends: dict[int, int] = field(default_factory=dict)

    async def log_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return {each: self.ends[each.number] for each in partitions}

    def write(self, partition: int, offset: int | None) -> None:
        """Write a row that stands for a changelog up to an offset."""
        path = self.table.data.partition_path(partition)
        database = self.table.data.rocksdb_options.open(path)
        database.put(b"row", b"value")
        if offset is not None:
            database.put(Store.offset_key, str(offset).encode())
        database.close()

    async def reconcile(self, ids: Mapping[str, str] = IDS, *suspects: Suspects) -> list[int]:
        """Return the partitions of the stores that are left."""
        await LocalState(self.folder, [self.table], suspects).reconcile(cast("Broker", self), ids)
        return sorted(self.table.stores())


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    @asynccontextmanager
    async def open_nothing(_settings: Settings) -> AsyncIterator[None]:
        yield None

    worker = create_worker("role", Settings(data_dir=tmp_path), open_nothing)
    table = worker.durable_table("rows", description="rows")
    return Disk(tmp_path / "faust" / "role", table)


async def test_a_store_that_its_changelog_bears_out_stays(disk: Disk) -> None:
    await disk.reconcile()
    disk.ends = {0: 8, 3: 4, 11: 0}
    for partition, offset in {0: 7, 3: 0, 11: None}.items():
        disk.write(partition, offset)

    assert await disk.reconcile() == [0, 3, 11]
    assert await disk.reconcile() == [0, 3, 11]


async def test_a_store_that_holds_more_than_its_changelog_is_removed_with_a_warning(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    await disk.reconcile()
    disk.ends = {0: 7, 1: 8, 2: 0, 3: 1}
    for partition in disk.ends:
        disk.write(partition, 7)

    with caplog.at_level(logging.WARNING):
        assert await disk.reconcile() == [1]
    (record,) = caplog.records
    assert "its changelog ends before it" in record.getMessage()
    assert (record.__dict__["table"], record.__dict__["partitions"]) == ("rows", [0, 2, 3])


async def test_a_store_whose_changelog_was_made_anew_is_removed_although_that_is_longer(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    await disk.reconcile()
    disk.ends = {0: 5000}
    disk.write(0, 1000)

    with caplog.at_level(logging.WARNING):
        assert await disk.reconcile(IDS | {CHANGELOG: "another"}) == []
    assert "its changelog was made anew" in caplog.text
    disk.write(0, 0)
    assert await disk.reconcile(IDS | {CHANGELOG: "another"}) == [0]


@pytest.mark.parametrize("note", [None, b"", b"[]", b"\xff", b'{"role-rows-changelog": 7}'])
async def test_a_store_of_which_nobody_knows_the_changelog_is_removed(disk: Disk, note: bytes | None) -> None:
    disk.ends = {0: 5000}
    disk.write(0, 1000)
    if note is not None:
        (disk.folder / NOTE).write_bytes(note)

    assert await disk.reconcile() == []


async def test_what_is_left_of_a_removal_that_was_cut_short_is_no_store(disk: Disk) -> None:
    await disk.reconcile()
    disk.write(0, 7)
    (disk.table.stores()[0] / HEAD).unlink()

    assert await disk.reconcile() == []


async def test_a_store_is_read_as_it_was_when_its_process_died(disk: Disk) -> None:
    path = disk.table.data.partition_path(0)
    database = disk.table.data.rocksdb_options.open(path)
    database.put(Store.offset_key, b"41")
    assert persisted_offset(path) == 41, "nothing was flushed yet"
    database.close()


async def test_what_was_in_hand_of_a_topic_that_was_made_anew_is_no_suspect(
    disk: Disk, tmp_path: Path
) -> None:
    path = tmp_path / "suspects.json"
    Suspects(path).take(["video_gaps/0/7", "inference_tasks/0/7"])
    suspects = Suspects(path)
    ids = IDS | {"inference_tasks": "third"}
    await disk.reconcile(ids)

    await disk.reconcile(ids | {"video_gaps": "another"}, suspects)

    assert (suspects.deaths("video_gaps/0/7"), suspects.deaths("inference_tasks/0/7")) == (0, 1)
    assert Suspects(path).deaths("video_gaps/0/7") == 0
