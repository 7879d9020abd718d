"""The whole of Kadr on real servers: three servers and five processes, started once for this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local.ports import free_ports
from app.local.stack import LocalStack
from app.settings import Settings
from tests.support.pipeline import Pipeline
from tests.support.stack import own_environment
from tests.support.trace_collector import TraceCollector, trace_collector

READY_SECONDS = 180.0
"""Five processes on two busy cores; the model is exported on the first start."""

QUICK = {
    "STALL_AFTER": "20",
    "REDRIVE_AFTER": "60",
    "SESSION_TIMEOUT": "10",
    "MODEL": "",
}
"""Shorter clocks than an operator would set, so that a test sees the watchdogs at work."""


TOLD: dict[str, str] = {"LOG_FORMAT": "json", "OTEL_BSP_SCHEDULE_DELAY": "200"}
"""Logs and traces for programs: these tests are some. Spans wait for 0.2 s, and not for five."""


@pytest.fixture(scope="session")
def collector() -> Iterator[TraceCollector]:
    """Where the traces of the pipeline go."""
    with trace_collector() as running:
        yield running


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, collector: TraceCollector) -> Iterator[Pipeline]:
    """Kadr with its demo model, ready for videos."""
    root: Path = tmp_path_factory.mktemp("kadr", numbered=True)
    environment = own_environment() | QUICK | TOLD | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    with free_ports() as ports:
        stack = LocalStack.from_environment(environment, data_dir=root / "data", ports=ports)
        with stack:
            stack.wait_ready(READY_SECONDS)
            settings = Settings.model_validate(
                {name.lower(): value for name, value in stack.environment().items()}
            )
            with Pipeline.connect(stack, settings) as connected:
                yield connected
