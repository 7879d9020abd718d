"""Building blocks of fixtures: the three real servers on free ports, and stand-ins for our processes."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from app.local.ports import Listening, Ports, free_ports
from app.local.processes import probe_health
from app.local.program import Program
from app.local.stack import SETTING_OF_SERVER, LocalStack

SERVERS_SECONDS = 90.0
"""How long the three servers may take on a busy machine; 8 to 10 s are usual."""

_STAND_IN = """
import http.server, os, pathlib, signal, sys

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get(self.path.strip("/"), "").encode())

print("stand-in", os.getpid(), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""


@contextlib.contextmanager
def open_stack(*, processes: tuple[Program, ...] = (), ports: Ports | None = None) -> Iterator[LocalStack]:
    """A stack on free ports and a temporary data folder: not started; stopped and removed at the end.

    Args:
        processes: beside the servers; none, unless a test brings some.
        ports: where they were taken before, because the processes had to know them.
    """
    with contextlib.ExitStack() as opened:
        found = opened.enter_context(free_ports()) if ports is None else ports
        root = opened.enter_context(tempfile.TemporaryDirectory(prefix="kadr-test-"))
        stack = LocalStack.from_environment(
            own_environment(), data_dir=Path(root), ports=found, processes=processes
        )
        opened.callback(stack.stop)
        yield stack


@contextlib.contextmanager
def open_servers() -> Iterator[LocalStack]:
    """Kafka, Mongo and S3, ready; `stack.environment()` leads to them."""
    with open_stack() as stack:
        stack.prepare()
        stack.start()
        stack.wait_ready(SERVERS_SECONDS)
        yield stack


def own_environment() -> dict[str, str]:
    """This process's environment without the servers it may name: a test never touches an operator's data."""
    ours = {*SETTING_OF_SERVER.values(), "RUNNER_MONGO_URI", "DATA_DIR"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def create_stand_in(name: str, port: int, *, script: str = _STAND_IN) -> Program:
    """A small program instead of one of our processes: `GET /NAME` answers its variable NAME."""
    return Program(
        name=name,
        command=(sys.executable, "-c", script, str(port)),
        listens=(Listening(port, f"{name.upper()}_PORT"),),
        probe=lambda: probe_health(port, "/health"),
        stop_wait=timedelta(seconds=2),
    )


def wait_until(is_so: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Return as soon as something is so; fail when it is not so in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
