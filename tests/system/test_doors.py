"""Where a running Kadr listens: on this machine only, every process and every child of it."""

import os
import socket

import pytest

from tests.support.pipeline import Pipeline
from tests.support.processes import descendants, doors

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]


def test_every_socket_that_listens_is_on_loopback(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    running = descendants(int(stack.folder.pid.read_text(encoding="ascii")))
    found = doors(running)

    assert [door for door in found if not door.is_loopback] == []
    wanted = {listening.port for name in stack.names for listening in stack.ports.listening(name)}
    assert wanted <= {door.port for door in found}
    # All programs were looked at, and so were the children of one that has some.
    assert {now.pid for now in stack.status()} <= running
    runner = stack.pid_of("runner")
    assert descendants(runner) - {runner} <= running
    assert descendants(runner) - {runner}


def test_a_socket_that_listens_everywhere_would_be_seen() -> None:
    with (
        socket.create_server(("", 0)) as server,
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.create_server(("127.0.0.1", 0)) as ours,
    ):
        datagrams.bind(("", 0))
        wide = {each.getsockname()[1] for each in (server, both, datagrams)}
        found = {door.port: door.is_loopback for door in doors([os.getpid()])}
        assert {port: found.get(port) for port in wide} == dict.fromkeys(wide, False)
        assert found[ours.getsockname()[1]]
