"""A disk that does not do its work is no fault of a message, and no row is in the changelog only."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from app.errors import StartAgain, Unavailable
from app.settings import Settings
from app.streaming import table_store
from app.streaming.durable_table import DurableTable, on_behalf_of
from app.worker import Worker, create_worker
from tests.support.streams import StreamEvent, StreamMessage

EVENT = StreamEvent(StreamMessage("source", 3, 0, b"a", b""))
CHANGELOG = TP("changelog", 3)


async def nothing(_settings: Settings) -> None:
    """Open nothing."""


@pytest.fixture
def sent() -> list[bytes]:
    """The keys that were sent to the changelog."""
    return []


@pytest.fixture
def table(tmp_path: Path, sent: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[DurableTable]:
    def send(_table: DurableTable, _partition: int, key: bytes, *_args: object, **_kwargs: object) -> Any:  # noqa: ANN401  # Faust's
        sent.append(key)
        return EVENT

    monkeypatch.setattr(DurableTable, "send_changelog", send)
    worker: Worker[None] = create_worker("assume", Settings(data_dir=tmp_path), nothing)  # type: ignore[arg-type]  # never opened
    worker.conf.tabledir.mkdir(parents=True)
    made = worker.durable_table("rows", description="rows")
    made._verified_source_topics_for_partitions.add("source")  # no broker is asked
    with on_behalf_of(EVENT):
        made[b"before"] = b"1"
        yield made
    made.data._dbs.clear()


@contextmanager
def log_goes_to(device: str, flags: int, table: DurableTable) -> Iterator[None]:
    """Let the log of the open store end in a device that does not take it."""
    folder = str(table.data.partition_path(3))
    opened = {int(each.name): os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()}
    (log,) = [fd for fd, path in opened.items() if path.startswith(folder) and path.endswith(".log")]
    bad = os.open(device, flags)
    os.dup2(bad, log)
    try:
        yield
    finally:
        os.close(bad)


def test_a_row_that_a_full_disk_refuses_is_not_in_the_changelog_either(
    table: DurableTable, sent: list[bytes]
) -> None:
    with log_goes_to("/dev/full", os.O_WRONLY, table), pytest.raises(Unavailable, match="No space left"):
        table[b"row"] = b"2"
    assert sent == [b"before"]
    assert table.get(b"row") is None
    assert table.get(b"before") == b"1"


def test_a_row_that_a_full_disk_does_not_let_go_stays_in_the_changelog(
    table: DurableTable, sent: list[bytes]
) -> None:
    with log_goes_to("/dev/full", os.O_WRONLY, table), pytest.raises(Unavailable):
        del table[b"before"]
    assert sent == [b"before"]
    assert table.get(b"before") == b"1"


def test_an_offset_that_cannot_be_noted_stops_nothing_and_the_older_one_stays(table: DurableTable) -> None:
    table.data.set_persisted_offset(CHANGELOG, 7)
    with log_goes_to("/dev/full", os.O_WRONLY, table):
        table.data.set_persisted_offset(CHANGELOG, 8)
    assert table.data.persisted_offset(CHANGELOG) == 7


def test_a_store_that_still_refuses_although_there_is_room_wants_a_new_process(
    table: DurableTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_store, "REFUSES_FOR", 0.0)
    with log_goes_to("/dev/null", os.O_RDONLY, table):
        with pytest.raises(Unavailable, match="Bad file descriptor"):
            table[b"row"] = b"2"
        with pytest.raises(StartAgain):
            table[b"row"] = b"2"

    table.data._dbs.clear()  # what the end of the process does
    gc.collect()

    table[b"row"] = b"2"
    assert table.get(b"before") == b"1"


def test_while_there_is_no_room_a_store_may_refuse_for_ever(
    table: DurableTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_store, "REFUSES_FOR", 0.0)
    monkeypatch.setattr(table_store, "ROOM", 1 << 60)
    with log_goes_to("/dev/null", os.O_RDONLY, table):
        for _ in range(3):
            with pytest.raises(Unavailable):
                table[b"row"] = b"2"


def test_a_deletion_reaches_the_changelog_also_of_a_row_that_the_store_has_lost(
    table: DurableTable, sent: list[bytes]
) -> None:
    del table[b"gone"]
    assert sent == [b"before", b"gone"]
