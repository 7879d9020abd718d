"""Ports of the local stack: each can be moved, a taken one is named, tests get sets of their own."""

import os
import socket

import pytest

from app.local.failures import PortInvalid, PortTaken
from app.local.ports import S3_BLOCK, Listening, Ports, free_ports, require_free


def test_the_documented_ports_are_the_default() -> None:
    ports = Ports.from_environment({})
    assert (ports.api, ports.outbox, ports.runner, ports.inference, ports.results) == (
        8080,
        8001,
        8002,
        8003,
        8004,
    )
    assert (ports.kafka, ports.mongo, ports.s3) == (9092, 27017, 9000)


def test_no_default_port_is_used_twice() -> None:
    ports = Ports()
    wanted = [listening.port for name in vars(ports) for listening in ports.listening(name)]
    assert len(wanted) == len(set(wanted))


@pytest.mark.parametrize("name", list(vars(Ports())))
def test_every_port_has_a_setting(name: str) -> None:
    assert getattr(Ports.from_environment({f"{name.upper()}_PORT": "12345"}), name) == 12345


def test_the_settings_of_a_set_of_ports_give_it_back() -> None:
    ports = Ports(api=1, s3=2)
    assert Ports.from_environment(ports.settings()) == ports


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "8080.0", "٣"])
def test_a_setting_that_is_no_port_is_refused_by_name(text: str) -> None:
    with pytest.raises(PortInvalid, match="API_PORT="):
        Ports.from_environment({"API_PORT": text})


def test_the_whole_block_of_s3_must_fit() -> None:
    with pytest.raises(PortInvalid, match="S3_PORT=60000"):
        Ports.from_environment({"S3_PORT": "60000"})


def test_an_empty_setting_means_the_default() -> None:
    assert Ports.from_environment({"API_PORT": ""}) == Ports()


def test_a_taken_port_is_named_with_its_setting_and_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} is taken by .*{os.getpid()}.* set KAFKA_PORT to"):
            require_free([Listening(port, "KAFKA_PORT")])


def test_a_port_that_somebody_has_left_is_free_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            # The side that closes first keeps the port in TIME_WAIT.
            accepted.close()
            client.recv(1)
    require_free([Listening(port, "API_PORT")])


def test_two_sessions_get_sets_that_do_not_touch() -> None:
    with free_ports() as one, free_ports() as other:
        first, second = ({n.port for name in vars(p) for n in p.listening(name)} for p in (one, other))
    assert first.isdisjoint(second)
    assert len(first) == len(second) == 8 + len(S3_BLOCK)
    assert max(first | second) < 32_768
