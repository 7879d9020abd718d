"""What every test may ask for: the three real servers, and that nothing goes wrong unseen."""

import gc
import logging
import os
import signal
from collections.abc import Iterator

import pytest
import pytest_timeout

from app.settings import Settings
from tests.support.stack import open_servers

OURS = frozenset({"app", "agents", "api", "tables", "asyncio"})
"""Loggers whose errors are ours; other libraries call an error what they try again by themselves."""


def pytest_configure() -> None:
    """Let a test that hangs end, and say where it was, on Python 3.11 too.

    There `sys._current_frames`, with which pytest-timeout looks, may wait for ever when the collector runs in
    it (python/cpython#106883, mended in 3.12).
    """
    dump = pytest_timeout.dump_stacks

    def dump_without_collector(terminal: object) -> None:
        gc.disable()
        try:
            dump(terminal)
        finally:
            gc.enable()

    pytest_timeout.dump_stacks = dump_without_collector


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what takes long, unless it is asked for."""
    if not os.environ.get("KADR_LONG_TESTS"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes long: KADR_LONG_TESTS=1 runs it"))


@pytest.fixture
def in_terminal() -> Iterator[None]:
    """Signals as in a terminal, here and in what is started: also where `nohup` or a `&` runs the tests."""
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGHUP, hangup)


@pytest.fixture(scope="session")
def server_environment() -> Iterator[dict[str, str]]:
    """The environment that leads to the real servers of this session: started once, stopped at its end."""
    with open_servers() as stack:
        yield stack.environment()


@pytest.fixture(scope="session")
def servers(server_environment: dict[str, str]) -> Settings:
    """The settings that lead to the real servers of this session."""
    given = {name.lower(): value for name, value in server_environment.items()}
    return Settings.model_validate(given)


@pytest.fixture
def expects_errors() -> None:
    """A test that asks for this logs errors on purpose."""


@pytest.fixture(autouse=True)
def _no_unexpected_errors(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let a test fail that logged an error without having said so: silence is not success."""
    yield
    if "expects_errors" in request.fixturenames:
        return
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    ours = [record for record in errors if record.name.partition(".")[0] in OURS]
    assert not [f"{record.name}: {record.getMessage()}" for record in ours]
