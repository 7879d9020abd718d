"""What we rely on in Faust without a broker: names of options, and which one wins."""

import asyncio
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types.settings import Settings as FaustSettings

from app.delivery import Delivered
from app.settings import Settings
from app.streaming.durable_table import DurableTable
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


@pytest.mark.parametrize("option", ["--datadir", "--datadir=", "-D"])
def test_a_replica_keeps_its_tables_and_suspects_in_the_folder_given_on_its_command_line(
    tmp_path: Path, option: str
) -> None:
    """Faust itself reads the option only after it has imported the app: so the command is run for real."""
    own = tmp_path / "second"
    own.mkdir()
    script = Path(sysconfig.get_path("scripts")) / "faust"
    given = [option + str(own)] if option.endswith("=") else [option, str(own)]
    show = "from app.roles.results import worker; print(worker.conf.datadir, worker.suspects_of('x').path)"
    hook = tmp_path / "shown.py"
    hook.write_text(f"{show}\napp = worker\n")

    done = subprocess.run(
        [str(script), *given, "-A", "shown", "agents"],
        env=os.environ | {"DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.splitlines()[0] == f"{own} {own / 'suspects-x.json'}"
    assert not (tmp_path / "data" / "faust").exists()


def test_a_role_runs_on_uvloop() -> None:
    show = "import asyncio, app.roles; print(type(asyncio.new_event_loop()).__module__)"
    command = [sys.executable, "-c", show]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "uvloop\n"


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


async def test_who_waits_for_room_in_a_channel_is_cancelled_when_partitions_are_given_out_anew(
    tmp_path: Path,
) -> None:
    """So nobody of ours waits there."""
    app = create(tmp_path)
    app.flow_control.resume()
    queue = app.channel(maxsize=1).queue
    await queue.put("first")
    waiting = asyncio.create_task(queue.put("second"))
    await asyncio.sleep(0)
    app.flow_control.clear()
    with pytest.raises(asyncio.CancelledError):
        await waiting
