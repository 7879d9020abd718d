"""A worker that dies abruptly goes on at once; more of that is in `tests/faults`."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from app.local.ports import free_ports
from app.local.processes import ROLES
from app.local.stack import LocalStack
from tests.support.plain_http import PLAIN
from tests.support.stack import own_environment

pytestmark = [pytest.mark.long, pytest.mark.servers, pytest.mark.timeout(300)]

READY_SECONDS: Final = 180.0

SESSION: Final = 30.0
"""Seconds; the default of an operator."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A Kadr with the default session timeout."""
    root: Path = tmp_path_factory.mktemp("crashes")
    given = own_environment() | {"SESSION_TIMEOUT": str(SESSION), "MODEL": ""}
    with free_ports() as ports:
        running = LocalStack.from_environment(given, data_dir=root / "data", ports=ports)
        with running:
            running.wait_ready(READY_SECONDS)
            yield running


def is_ready(stack: LocalStack, role: str) -> bool:
    port = getattr(stack.ports, role)
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5, trust_env=False, verify=PLAIN)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_worker_has_its_partitions_again_long_before_its_session_is_over(
    stack: LocalStack, role: str
) -> None:
    pid = stack.kill_program(role)
    began = time.monotonic()
    while stack.pid_of(role) in (0, pid) or not is_ready(stack, role):
        assert time.monotonic() < began + SESSION / 2, "some 6 s are usual"
        time.sleep(0.1)
