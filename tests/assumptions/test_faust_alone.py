"""What we rely on in Faust without a broker: names of options, and which one wins."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types.settings import Settings as FaustSettings

from app.delivery import Delivered, Route
from app.durable_table import DurableTable
from app.settings import Settings
from app.topics import VIDEO_GAPS
from app.worker import Worker, create_worker


async def nothing(_settings: Settings) -> None:
    """Open nothing."""


async def handle(_batch: Sequence[Delivered[Any]]) -> None:
    """Handle by doing nothing."""


def create(tmp_path: Path, **changes: object) -> Worker[Any]:
    return create_worker("assume", Settings(data_dir=tmp_path), nothing, **changes)  # type: ignore[arg-type]  # never opened


def test_every_option_that_we_set_is_one_that_faust_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {}

    def note(_self: object, _role: str, **options: object) -> None:
        given.update(options)
        raise LookupError

    with monkeypatch.context() as patch:
        patch.setattr(faust.App, "__init__", note)
        with pytest.raises(LookupError):
            create(tmp_path)
    known = set(FaustSettings.SETTINGS)
    assert len(given) > 20
    assert given.keys() <= known


def test_the_options_reach_the_app(tmp_path: Path) -> None:
    conf = create(tmp_path, buffer=256).conf
    assert (conf.id, conf.Table) == ("assume", DurableTable)
    assert conf.stream_wait_empty is False
    assert conf.stream_buffer_maxsize == 256
    assert conf.broker_max_poll_interval == 1_000_000
    assert conf.producer_acks == -1
    assert conf.consumer_auto_offset_reset == "earliest"
    assert conf.web_bind == "127.0.0.1"


def test_a_replica_keeps_its_tables_and_suspects_in_the_folder_given_on_its_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--datadir` sets this variable; an option given to the app would win over it."""
    monkeypatch.setenv("F_DATADIR", str(tmp_path / "second"))
    worker = create(tmp_path)
    assert worker.conf.datadir == tmp_path / "second"
    worker.deliver("agent", Route(VIDEO_GAPS, handle))
    worker.deliveries["agent"].suspects.take(["tasks/0/5"])
    assert (tmp_path / "second" / "suspects-agent.json").exists()


def test_a_table_takes_raw_bytes(tmp_path: Path) -> None:
    worker = create(tmp_path)
    table = worker.durable_table("rows", description="rows")
    assert isinstance(table, DurableTable)
    assert (table.key_serializer, table.value_serializer) == ("raw", "raw")


def test_a_table_is_written_only_while_an_event_is_handled(tmp_path: Path) -> None:
    worker = create(tmp_path)
    table = worker.durable_table("rows", description="rows")
    with pytest.raises(TypeError, match="outside of stream iteration"):
        table[b"a"] = b"b"
