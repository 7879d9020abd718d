"""A stack starts, watches and stops programs, and leaves nothing behind; shown with stand-ins."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import EXIT_MISCONFIGURED
from app.local.credentials import load_credentials
from app.local.failures import FolderInUse, NotReady, PortTaken, ProgramRefused, SupervisorGone
from app.local.foreground import stop_running
from app.local.mongo import ensure_user
from app.local.ports import Ports, free_ports
from app.local.stack import LocalStack
from tests.support.stack import create_stand_in, open_stack, own_environment, wait_until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

SECONDS = 30.0


@pytest.fixture
def ports() -> Iterator[Ports]:
    with free_ports() as found:
        yield found


@pytest.fixture
def stack(ports: Ports) -> Iterator[LocalStack]:
    """Two stand-ins, running; no server."""
    processes = (create_stand_in("api", ports.api), create_stand_in("runner", ports.runner))
    with open_stack(processes=processes, ports=ports) as opened:
        opened.start(only=["api", "runner"])
        opened.wait_ready(SECONDS)
        yield opened


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pids_of(stack: LocalStack) -> list[int]:
    return [now.pid for now in stack.status() if now.pid]


def ask(port: int, variable: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{variable}", timeout=5) as answer:
        return str(answer.read().decode())


def test_a_killed_program_comes_back_and_its_neighbour_stays(stack: LocalStack) -> None:
    neighbour = stack.pid_of("runner")
    killed = stack.kill_program("api")
    wait_until(lambda: stack.pid_of("api") not in {0, killed})
    stack.wait_ready(SECONDS)
    assert stack.pid_of("runner") == neighbour


def test_a_stopped_program_stays_stopped_until_it_is_started(stack: LocalStack) -> None:
    before = stack.pid_of("api")
    stack.stop_program("api")
    assert stack.pid_of("api") == 0
    assert not is_alive(before)
    stack.start_program("api")
    stack.wait_ready(SECONDS)
    assert stack.pid_of("api")


def test_processes_are_told_where_the_servers_are(stack: LocalStack) -> None:
    for setting in ("KAFKA_BOOTSTRAP_SERVERS", "MONGO_URI", "RUNNER_MONGO_URI", "MINIO_SECRET_KEY"):
        assert ask(stack.ports.api, setting) == stack.environment()[setting] != ""


def test_each_program_has_its_own_log(stack: LocalStack) -> None:
    expected = f"stand-in {stack.pid_of('api')}"
    wait_until(lambda: expected in stack.folder.log("api").read_text(encoding="utf-8"))
    assert expected not in stack.folder.log("runner").read_text(encoding="utf-8")


def test_nothing_is_left_after_a_stop(stack: LocalStack) -> None:
    running = pids_of(stack)
    stack.stop()
    assert len(running) == 2
    assert not any(map(is_alive, running))
    assert not stack.folder.is_held()


def test_nothing_is_left_after_a_killed_supervisor(stack: LocalStack) -> None:
    running = pids_of(stack)
    os.kill(int(stack.folder.pid.read_text(encoding="ascii")), signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, running)))


def test_a_frozen_program_does_not_keep_the_stack_from_stopping(ports: Ports) -> None:
    with open_stack(processes=(create_stand_in("api", ports.api),), ports=ports) as stack:
        stack.start(only=["api"])
        stack.wait_ready(SECONDS)
        pid = stack.freeze_program("api")
        stack.stop()
        assert not is_alive(pid)


def test_a_folder_in_use_is_refused_in_one_line(stack: LocalStack) -> None:
    second = LocalStack.from_environment(own_environment(), data_dir=stack.folder.root, processes=())
    with pytest.raises(FolderInUse, match="already runs on"):
        second.start(only=[])
    assert len(pids_of(stack)) == 2


def test_a_taken_port_is_refused_with_its_setting_and_its_owner(stack: LocalStack, ports: Ports) -> None:
    with (
        open_stack(processes=stack.processes, ports=ports) as second,
        pytest.raises(PortTaken, match=f"port {ports.api} is taken by .*{stack.pid_of('api')}.*API_PORT"),
    ):
        second.start(only=["api"])
    assert len(pids_of(stack)) == 2


def test_two_stacks_run_side_by_side(stack: LocalStack) -> None:
    with (
        free_ports() as ports,
        open_stack(processes=(create_stand_in("api", ports.api),), ports=ports) as second,
    ):
        second.start(only=["api"])
        second.wait_ready(SECONDS)
        assert second.pid_of("api") != stack.pid_of("api")
    assert len(pids_of(stack)) == 2


def test_a_stack_can_be_stopped_from_elsewhere(stack: LocalStack) -> None:
    running = pids_of(stack)
    assert stop_running(stack.folder.root)
    assert not any(map(is_alive, running))
    assert not stop_running(stack.folder.root)


def test_a_program_that_an_operator_must_help_ends_the_wait_with_its_last_line(ports: Ports) -> None:
    script = f"import sys; print('MODEL=x.pt is not there'); sys.exit({EXIT_MISCONFIGURED})"
    refusing = create_stand_in("inference", ports.inference, script=script)
    with open_stack(processes=(refusing,), ports=ports) as stack:
        stack.start(only=["inference"])
        with pytest.raises(ProgramRefused, match=r"inference stopped: MODEL=x\.pt is not there"):
            stack.wait_ready(SECONDS)


def test_a_program_that_fails_at_once_is_tried_about_every_second(ports: Ports) -> None:
    failing = create_stand_in(
        "runner", ports.runner, script="print('failed', flush=True); raise SystemExit(1)"
    )
    with open_stack(processes=(failing,), ports=ports) as stack:
        stack.start(only=["runner"])
        log = stack.folder.log("runner")
        started = time.monotonic()
        wait_until(lambda: log.exists() and log.read_text(encoding="utf-8").count("failed") == 4)
        # Three pauses of a second between four tries; the upper bound leaves room for a busy machine.
        assert 2.5 < time.monotonic() - started < 15
        with pytest.raises(NotReady, match=r"runner.*log: .*runner\.log"):
            stack.wait_ready(0.1)


def test_a_program_that_ends_again_and_again_ends_the_wait_with_its_last_line(ports: Ports) -> None:
    script = "raise ModuleNotFoundError('No module named faust')"
    processes = (
        create_stand_in("api", ports.api),
        create_stand_in("runner", ports.runner, script=script),
    )
    with open_stack(processes=processes, ports=ports) as stack:
        stack.start(only=["api", "runner"])
        started = time.monotonic()
        with pytest.raises(
            NotReady, match=r"runner.*ended 5 times.*No module named faust.*log: .*runner\.log"
        ):
            stack.wait_ready(3 * SECONDS)
        assert time.monotonic() - started < SECONDS


def test_a_database_whose_first_start_fails_says_why_and_where_its_log_is(
    tmp_path: Path, ports: Ports
) -> None:
    credentials = load_credentials(tmp_path / "credentials.json")
    folder = tmp_path / "mongo"
    folder.mkdir()
    (folder / "data").write_text("a file where the server's folder should be")
    with pytest.raises(NotReady, match=r"mongo.*FileExistsError.*data.*log: .*first-start\.log"):
        ensure_user(folder=folder, port=ports.mongo, credentials=credentials)


def test_a_data_folder_with_a_long_path_and_odd_letters_works(ports: Ports, tmp_path: Path) -> None:
    root = tmp_path / ("long %(name)s; 'x' " + "y" * 120)
    processes = (create_stand_in("api", ports.api),)
    stack = LocalStack.from_environment(own_environment(), data_dir=root, ports=ports, processes=processes)
    stack.start(only=["api"])
    try:
        stack.wait_ready(SECONDS)
    finally:
        stack.stop()
    assert stack.folder.sockets != stack.folder.run
    assert not stack.folder.sockets.exists()


UP = """
import sys
from pathlib import Path
from app.local.foreground import run_in_foreground
from app.local.ports import Ports
from app.local.stack import LocalStack
from tests.support.stack import create_stand_in, own_environment

port = int(sys.argv[2])
given = {**own_environment(), "KAFKA_BOOTSTRAP_SERVERS": "k", "MONGO_URI": "m", "MINIO_ENDPOINT": "s"}
api = create_stand_in("api", port)
stack = LocalStack.from_environment(given, data_dir=Path(sys.argv[1]), processes=(api,))
run_in_foreground(stack, on_ready=lambda: print("ready", stack.pid_of("api"), flush=True), on_trouble=print)
print("stopped", flush=True)
"""


@contextlib.contextmanager
def foreground(folder: Path, ports: Ports) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`up` in a process of its own, and the pid of the program that it runs."""
    command = (sys.executable, "-c", UP, str(folder), str(ports.api))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        word, pid = up.stdout.readline().split()
        assert word == "ready"
        try:
            yield up, int(pid)
        finally:
            up.kill()


@pytest.mark.usefixtures("in_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_stops_everything_when_it_is_told_to(number: signal.Signals, ports: Ports, tmp_path: Path) -> None:
    with foreground(tmp_path, ports) as (up, pid):
        up.send_signal(number)
        output, _ = up.communicate(timeout=SECONDS)
        assert output == "stopped\n"
        assert up.returncode == 0
        assert not is_alive(pid)


def test_up_that_is_killed_leaves_no_process(ports: Ports, tmp_path: Path) -> None:
    with foreground(tmp_path, ports) as (up, pid):
        up.kill()
        wait_until(lambda: not is_alive(pid))


def test_up_ends_when_another_terminal_says_down(ports: Ports, tmp_path: Path) -> None:
    with foreground(tmp_path, ports) as (up, pid):
        assert stop_running(tmp_path)
        assert not is_alive(pid)
        output, _ = up.communicate(timeout=SECONDS)
        assert output == "stopped\n"


def test_a_stack_that_is_stopping_is_gone_to_whoever_asks(ports: Ports) -> None:
    stubborn = create_stand_in(
        "api", ports.api, script=f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STUBBORN}"
    )
    with open_stack(processes=(stubborn,), ports=ports) as stack:
        stack.start(only=["api"])
        wait_until(
            lambda: (
                stack.folder.log("api").exists()
                and "deaf" in stack.folder.log("api").read_text(encoding="utf-8")
            )
        )
        os.kill(int(stack.folder.pid.read_text(encoding="ascii")), signal.SIGTERM)
        with pytest.raises(SupervisorGone, match="stopping"):
            wait_until(lambda: not stack.status())


STUBBORN = "print('deaf', flush=True); signal.pause()"
