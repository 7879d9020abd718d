"""`kadr demo`, as somebody runs it who has nothing but a checkout: all servers, all five processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.local.folder import DataFolder
from app.local.ports import Ports, free_ports
from tests.support.stack import own_environment, wait_until

CHECKOUT = Path(__file__).parents[2]
SECONDS = 240
"""For a cold start of everything on a busy machine; 20 are usual."""

pytestmark = [pytest.mark.servers, pytest.mark.timeout(SECONDS + 60)]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Free ports, an empty data folder, and the demo model."""
    with free_ports() as ports:
        ours = {"DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(CHECKOUT), "MODEL": ""}
        theirs = {"API_URL", "RUNNER_URL", "OUTBOX_URL"}
        given = {name: value for name, value in own_environment().items() if name not in theirs}
        yield {**given, **ports.settings(), **ours}


@contextmanager
def running(environment: dict[str, str], *arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that is stopped, and with it all it has started, whatever happens to the test."""
    command = (sys.executable, "-m", "app.cli", *arguments)
    with subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=60)


def processes_of(data: Path) -> list[str]:
    """The command lines that name a data folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if os.fsencode(data) in line:
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_a_demo_shows_what_it_found_and_leaves_nothing_running(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with running(environment, "demo", folder=tmp_path) as process:
        output, notes = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, notes
    document = json.loads((tmp_path / "results" / "shapes.json").read_bytes())
    assert [frame["frame"] for frame in document["prediction"]] == list(range(0, 150, 5))
    assert all(frame["objects"] for frame in document["prediction"])
    assert {"circle", "square", "triangle"} <= set(output.split())
    assert "demo model" in output
    assert "MODEL=yolo11n.pt" in output
    assert "results/shapes.json" in output
    assert processes_of(tmp_path / "data") == []


def test_an_interrupted_demo_leaves_nothing_running(environment: dict[str, str], tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    with running(environment, "demo", folder=tmp_path) as process:
        wait_until(folder.is_held, seconds=60)
        process.send_signal(signal.SIGINT)
        _, notes = process.communicate(timeout=60)
    assert process.returncode == 130, notes
    assert "Traceback" not in notes
    assert not folder.is_held()
    assert processes_of(folder.root) == []


def test_a_taken_port_is_one_line_that_names_the_setting(
    environment: dict[str, str], tmp_path: Path
) -> None:
    ports = Ports.from_environment(environment)
    doubled = {**environment, "KAFKA_PORT": str(ports.api), "API_PORT": str(ports.api)}
    with running(doubled, "up", folder=tmp_path) as process:
        _, notes = process.communicate(timeout=SECONDS)
    assert process.returncode == 78, notes
    assert notes.count("\n") == 1
