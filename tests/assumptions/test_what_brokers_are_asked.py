"""What Kadr asks of brokers, itself and through Faust: noted on the way, and compared with the list."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol import admin, commit, coordination, fetch, group, metadata, offset, produce
from aiokafka.protocol.api import Request

from app.clients.kafka.broker import Broker, Partition, SetAside
from app.clients.kafka.versions import NEEDS, unmet_by
from app.topics import REJECTED
from tests.assumptions.conftest import Role, end, gap, until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

HEARTBEAT = 12
"""Sent every few seconds."""

MODULES = (admin, commit, coordination, fetch, group, metadata, offset, produce)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[int, set[int]]:
    """Which requests go to brokers, and in which versions, while the test runs."""
    found: dict[int, set[int]] = defaultdict(set)
    send = AIOKafkaConnection.send

    def noting(self: AIOKafkaConnection, request: Request[Any], *args: Any, **more: Any) -> Any:  # noqa: ANN401 - aiokafka's
        found[request.API_KEY].add(request.prepare(self._versions).API_VERSION)
        return send(self, request, *args, **more)

    monkeypatch.setattr(AIOKafkaConnection, "send", noting)
    return found


async def test_the_requests_that_doctor_looks_for_are_those_that_are_made(
    role: Role, broker: Broker, asked: dict[int, set[int]]
) -> None:
    async with role.running():
        await role.send(role.gaps, gap("a", 5))
        await role.send(role.ends, end("a"))
        await until(lambda: len(role.delivered) == 2)
        assert await broker.members(role.group) == 1
        await until(lambda: HEARTBEAT in asked)
    await ask_everything(broker, role)
    assert asked.keys() == {each.key for each in NEEDS}
    for key, versions in asked.items():
        spoken = [range(each.oldest, each.newest + 1) for each in NEEDS if each.key == key]
        assert all(any(version in each for each in spoken) for version in versions), (key, versions)


async def ask_everything(broker: Broker, role: Role) -> None:
    """Call what a worker, the outbox and an operator call."""
    topic = role.gaps.name
    fresh = {f"{topic}-fresh": (1, {"cleanup.policy": "delete"})}
    await broker.ping()
    await broker.ensure_topics(fresh, replication_factor=1)
    await broker.topic_ids([topic])
    await broker.topic_facts([topic])
    await broker.cluster_facts()
    await broker.lag(role.group, topic, 2)
    await broker.trim({Partition(topic, 0): 1})
    await broker.remove_member(role.group, "nobody")
    message = SetAside(f"{topic}/0/0", None, gap("a", 5), {"at": datetime.now(UTC).isoformat()})
    await broker.set_aside(REJECTED, message=message)
    assert message in await broker.rejected(REJECTED)
    await broker.resend(REJECTED, message)


async def test_the_broker_of_this_session_knows_all_of_them(broker: Broker) -> None:
    (versions,) = (await broker.versions()).values()
    assert list(unmet_by(versions)) == []


def test_the_versions_in_the_list_are_those_that_aiokafka_speaks() -> None:
    every: set[Any] = {each for module in MODULES for each in vars(module).values() if isinstance(each, type)}
    spoken = {
        each.API_KEY: {struct.API_VERSION for struct in each._CLASSES}
        for each in every
        if issubclass(each, Request) and each is not Request
    }
    for need in NEEDS:
        if need.oldest == need.newest == 10:
            continue  # the one that we have written ourselves
        assert need.newest == max(spoken[need.key]), need.name
        assert need.oldest in spoken[need.key] or need.oldest == 0, need.name
