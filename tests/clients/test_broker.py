"""Kafka beside the streams, on the real server: topics, offsets, trimming and what was set aside."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from app.clients.kafka.broker import Broker, Partition, SetAside, open_broker
from app.errors import Misconfigured, Unavailable
from app.settings import Settings
from app.topics import KEPT, PICTURES, STREAM, required_topics

pytestmark = pytest.mark.servers

METADATA = 3
"""Kafka's number of the request that tells of topics."""


@pytest.fixture
def address(servers: Settings) -> str:
    return servers.kafka_bootstrap_servers


@pytest.fixture
async def broker(address: str) -> AsyncIterator[Broker]:
    async with open_broker(address) as opened:
        yield opened


@pytest.fixture
async def topic(broker: Broker) -> str:
    """A stream with two partitions that no other test uses."""
    name = f"stream-{uuid4().hex}"
    await broker.ensure_topics({name: (2, STREAM)}, replication_factor=1)
    return name


async def send(address: str, topic: str, *values: bytes, partition: int = 0) -> None:
    async with AIOKafkaProducer(bootstrap_servers=address, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=partition)


async def read_and_commit(address: str, topic: str, group: str, offset: int) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False)
    async with consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.commit({TopicPartition(topic, 0): offset})


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Return as soon as the broker shows something; fail when it does not in time."""
    deadline = time.monotonic() + 20
    while not await look():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_broker_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        async with open_broker("127.0.0.1:1"):
            pass


async def test_a_broker_that_is_there_answers(broker: Broker) -> None:
    await broker.ping()


async def test_topics_of_the_contract_are_made_once_and_found_as_they_were_made(broker: Broker) -> None:
    settings = Settings(video_partitions=2, task_partitions=3)
    name = uuid4().hex
    wanted = {f"{topic}-{name}": facts for topic, facts in required_topics(settings).items()}
    for _ in range(2):
        await broker.ensure_topics(wanted, replication_factor=1)
    counts = await broker.partition_counts(wanted)
    assert counts == {topic: partitions for topic, (partitions, _) in wanted.items()}


async def test_workers_that_start_together_make_topics_together(address: str) -> None:
    wanted = {f"stream-{uuid4().hex}": (2, STREAM) for _ in range(4)}

    async def start() -> None:
        async with open_broker(address) as broker:
            await broker.ensure_topics(wanted, replication_factor=1)

    await asyncio.gather(*(start() for _ in range(3)))


@pytest.mark.parametrize(
    ("made", "wanted", "what"),
    [
        ((2, STREAM), (3, STREAM), "partitions=2, Kadr needs 3"),
        ((1, STREAM | {"retention.ms": "1000"}), (1, STREAM), "retention.ms=1000, Kadr needs -1"),
        ((1, STREAM), (1, PICTURES), "segment.bytes="),
        ((1, STREAM), (1, KEPT), "cleanup.policy=delete, Kadr needs compact"),
    ],
)
async def test_a_topic_that_is_not_as_the_contract_says_is_an_operators_matter(
    broker: Broker, made: tuple[int, dict[str, str]], wanted: tuple[int, dict[str, str]], what: str
) -> None:
    name = f"stream-{uuid4().hex}"
    await broker.ensure_topics({name: made}, replication_factor=1)
    with pytest.raises(Misconfigured, match=name) as raised:
        await broker.ensure_topics({name: wanted}, replication_factor=1)
    assert what in str(raised.value)


async def test_a_topic_that_is_not_there_has_no_partitions(broker: Broker) -> None:
    assert await broker.partition_counts([f"stream-{uuid4().hex}"]) == {}


async def test_brokers_that_know_no_ids_of_topics_are_too_old(broker: Broker, topic: str) -> None:
    await broker.topic_ids([topic])
    for connection in broker._admin._client._conns.values():
        connection._versions[METADATA] = (0, 9)  # what Kafka 2.7.2 answers
    with pytest.raises(Misconfigured, match=r"older than 2\.8"):
        await broker.topic_ids([topic])


async def test_a_topic_that_is_made_anew_has_its_name_and_another_id(broker: Broker, topic: str) -> None:
    missing = f"stream-{uuid4().hex}"
    before = await broker.topic_ids([topic, missing])
    assert before.keys() == {topic}
    assert await broker.topic_ids([topic]) == before

    await broker._admin.delete_topics([topic])
    await until(lambda: _is_missing(broker, topic))
    await broker.ensure_topics({topic: (2, STREAM)}, replication_factor=1)

    assert (await broker.topic_ids([topic]))[topic] != before[topic]
    assert await broker.topic_ids([missing]) == {}, "asking for a topic does not make it"


async def _is_missing(broker: Broker, topic: str) -> bool:
    return not await broker.topic_ids([topic])


async def test_a_group_that_nobody_knows_has_committed_nothing(broker: Broker) -> None:
    async def is_ready() -> bool:  # a new broker makes the topic of offsets when it is first asked
        with suppress(Unavailable):
            return await broker.committed(f"group-{uuid4().hex}") == {}
        return False

    await until(is_ready)
    assert await broker.members(f"group-{uuid4().hex}") == 0


async def test_committed_offsets_are_seen(broker: Broker, address: str, topic: str) -> None:
    await send(address, topic, b"0", b"1", b"2")
    group = f"group-{uuid4().hex}"
    await read_and_commit(address, topic, group, 2)
    assert await broker.committed(group) == {Partition(topic, 0): 2}


async def test_live_members_are_counted(broker: Broker, address: str, topic: str) -> None:
    group = f"group-{uuid4().hex}"
    async with AIOKafkaConsumer(topic, bootstrap_servers=address, group_id=group):

        async def is_member() -> bool:
            return await broker.members(group) == 1

        await until(is_member)


async def test_a_dead_member_is_taken_out_of_its_group_long_before_its_session_ends(
    broker: Broker, address: str, topic: str
) -> None:
    group = f"group-{uuid4().hex}"
    died = await leave_without_a_word(address, topic, group)
    assert await broker.members(group) == 1
    await broker.remove_member(group, died)
    assert await broker.members(group) == 0
    await broker.remove_member(group, died)  # gone already
    await broker.remove_member(f"group-{uuid4().hex}", died)  # nobody was ever there


async def test_a_member_that_lives_after_all_joins_anew(broker: Broker, address: str, topic: str) -> None:
    group = f"group-{uuid4().hex}"
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=address,
        group_id=group,
        heartbeat_interval_ms=100,
        auto_offset_reset="earliest",
    )
    async with consumer:
        before = consumer._coordinator.member_id
        await broker.remove_member(group, before)

        async def is_back() -> bool:
            return consumer._coordinator.member_id not in ("", before) and await broker.members(group) == 1

        await until(is_back)
        await send(address, topic, b"0")
        assert (await asyncio.wait_for(consumer.getone(), 20)).value == b"0"


async def leave_without_a_word(address: str, topic: str, group: str) -> str:
    """Be in a group until the session ends, but for heartbeats; return under which id."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=address, group_id=group, session_timeout_ms=30_000, request_timeout_ms=40_000
    )
    await consumer.start()
    member = str(consumer._coordinator.member_id)
    consumer._coordinator.generation = -1  # then it does not say goodbye
    await consumer.stop()
    return member


async def test_the_lag_is_what_is_not_committed(broker: Broker, address: str, topic: str) -> None:
    group = f"group-{uuid4().hex}"
    await send(address, topic, b"0", b"1", b"2")
    await send(address, topic, b"0", partition=1)
    assert await broker.lag(group, topic, 2) == 4
    await read_and_commit(address, topic, group, 2)
    assert await broker.lag(group, topic, 2) == 2


async def test_trimming_removes_what_is_before_an_offset_and_a_lower_one_does_nothing(
    broker: Broker, address: str, topic: str
) -> None:
    await send(address, topic, b"0", b"1", b"2")
    zero = Partition(topic, 0)
    await broker.trim({zero: 2})
    assert await broker.log_starts([zero]) == {zero: 2}
    await broker.trim({zero: 1})
    await broker.trim({})
    assert await broker.log_starts([zero]) == {zero: 2}
    assert await broker.log_ends([zero, Partition(topic, 1)]) == {zero: 3, Partition(topic, 1): 0}
    assert await broker.lag(f"group-{uuid4().hex}", topic, 2) == 1, "what was trimmed is no lag"


async def test_what_was_set_aside_is_found_as_it_was(broker: Broker) -> None:
    name = f"rejected-{uuid4().hex}"
    await broker.ensure_topics({name: (1, KEPT)}, replication_factor=1)
    first = SetAside("tasks/0/5", b"a/1/25", b"\xff\x00", {"code": "malformed", "reason": "не JSON"})
    second = SetAside("tasks/1/7", None, b"", {"code": "worker_crashed"})
    for message in (first, second, first):
        await broker.set_aside(name, message=message)
    assert await broker.rejected(name) == [first, second]


async def test_what_is_sent_again_has_its_bytes_and_key_and_is_no_longer_set_aside(
    broker: Broker, address: str, topic: str
) -> None:
    name = f"rejected-{uuid4().hex}"
    await broker.ensure_topics({name: (1, KEPT)}, replication_factor=1)
    message = SetAside(f"{topic}/0/5", b"a/1/25", b"\xff\x00", {"code": "malformed"})
    await broker.set_aside(name, message=message)
    await broker.resend(name, message)
    assert await broker.rejected(name) == []
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest")
    async with consumer:
        record = await asyncio.wait_for(consumer.getone(), 20)
    assert (record.key, record.value, record.headers) == (b"a/1/25", b"\xff\x00", ())
