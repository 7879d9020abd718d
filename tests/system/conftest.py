"""The whole of Kadr on real servers: three servers and five processes, started once for this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local.ports import free_ports
from app.local.stack import LocalStack
from app.settings import Settings
from tests.support.pipeline import Pipeline
from tests.support.stack import own_environment

READY_SECONDS = 180.0
"""Five processes on two busy cores; the model is exported on the first start."""

QUICK = {
    "STALL_AFTER": "20",
    "REDRIVE_AFTER": "60",
    "SESSION_TIMEOUT": "10",
    "MODEL": "",
}
"""Shorter clocks than an operator would set, so that a test sees the watchdogs at work."""


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Kadr with its demo model, ready for videos."""
    root: Path = tmp_path_factory.mktemp("kadr", numbered=True)
    with free_ports() as ports:
        stack = LocalStack.from_environment(own_environment() | QUICK, data_dir=root / "data", ports=ports)
        with stack:
            stack.wait_ready(READY_SECONDS)
            settings = Settings.model_validate(
                {name.lower(): value for name, value in stack.environment().items()}
            )
            with Pipeline.connect(stack, settings) as connected:
                yield connected
