"""`kadr demo`, as somebody runs it who has nothing but a checkout: all servers, all five processes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.errors import EXIT_MISCONFIGURED
from app.local.folder import DataFolder
from app.local.ports import Ports, free_ports
from models.shapes import write_clip
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


def run(environment: dict[str, str], *arguments: str, folder: Path) -> str:
    """What a command that succeeds writes to standard output."""
    with running(environment, *arguments, folder=folder) as process:
        output, notes = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, notes
    return output


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
    assert "results/shapes.mp4" in output
    assert (tmp_path / "results" / "shapes.mp4").stat().st_size > 0
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


@pytest.mark.long
def test_a_demo_beside_a_running_stack_uses_it_and_leaves_it_running(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with running(environment, "up", folder=tmp_path) as stack:
        assert stack.stdout is not None
        assert stack.stdout.readline().startswith("Kadr is running")
        assert run(environment, "demo", folder=tmp_path).startswith("shapes.mp4: 640x360, 6.0 s, 150 frames")
        assert "ready" in run(environment, "submit", "--wait", "results/shapes.mp4", folder=tmp_path)
        assert run(environment, "status", folder=tmp_path).count("Result saved") == 2
        assert run(environment, "rejected", "list", folder=tmp_path) == ""
        assert stack.poll() is None
        assert run(environment, "down", folder=tmp_path).startswith("Stopped")
        _, notes = stack.communicate(timeout=60)
    assert (stack.returncode, notes) == (0, "")
    assert processes_of(tmp_path / "data") == []


def test_detecting_without_a_kadr_starts_one_and_leaves_results_alone(
    environment: dict[str, str], tmp_path: Path
) -> None:
    for folder, seed in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        write_clip(tmp_path / folder / "x.mp4", seed=seed, frames=20, size=(480, 270), objects=3)
    (tmp_path / "no.mp4").write_bytes(b"no video")
    files = ("a/x.mp4", "no.mp4", "b/x.mp4")
    with running(environment, "detect", *files, "-o", "out", "--json", folder=tmp_path) as process:
        output, notes = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, notes
    told = {facts["file"]: facts for facts in map(json.loads, output.splitlines())}
    assert [told[file]["status"] for file in files] == ["ready", "failed", "ready"]
    assert told["no.mp4"]["error"]["code"] == "not_a_video"
    for file, name in (("a/x.mp4", "x.json"), ("b/x.mp4", "x-2.json")):
        document = json.loads((tmp_path / "out" / name).read_bytes())
        assert (document["event_id"], len(document["prediction"])) == (told[file]["id"], told[file]["frames"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x-2.json", "x.json"]
    assert processes_of(tmp_path / "data") == []


@pytest.mark.long
def test_an_interrupted_detection_cancels_what_it_began_and_leaves_nothing_running(
    environment: dict[str, str], tmp_path: Path
) -> None:
    write_clip(tmp_path / "long.mp4", seed=1, frames=2000, size=(480, 270), objects=3)
    with running(environment, "up", folder=tmp_path) as stack:
        assert stack.stdout is not None
        assert stack.stdout.readline().startswith("Kadr is running")

        def statuses() -> list[str]:
            listed = run(environment, "ls", "--json", folder=tmp_path)
            return [json.loads(line)["status"] for line in listed.splitlines()]

        with running(environment, "detect", "long.mp4", folder=tmp_path) as process:
            wait_until(lambda: statuses() == ["processing"], seconds=60)
            process.send_signal(signal.SIGINT)
            _, notes = process.communicate(timeout=60)
        assert process.returncode == 130, notes
        assert statuses() == ["cancelled"]
        assert stack.poll() is None
        assert list((tmp_path / "results").iterdir()) == []
        run(environment, "down", folder=tmp_path)
        stack.communicate(timeout=60)


def test_a_taken_port_is_one_line_that_names_the_setting(environment: dict[str, str], tmp_path: Path) -> None:
    taken = Ports.from_environment(environment).results
    with socket.create_server(("127.0.0.1", taken)), running(environment, "up", folder=tmp_path) as process:
        _, notes = process.communicate(timeout=SECONDS)
    assert process.returncode == EXIT_MISCONFIGURED
    assert re.fullmatch(rf"kadr: port {taken} is taken by .* set RESULTS_PORT to another port\n", notes)
