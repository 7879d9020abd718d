"""Kafka beside the streams: topics, offsets, trimming, and what was set aside. Knows aiokafka.

The streams themselves go through Faust; this is what Faust has no words for.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, UnknownMemberIdError, for_code
from aiokafka.protocol.group import LeaveGroupRequest

from app.clients.kafka.topic_facts import ClusterFacts, TopicFacts, find_cluster, find_configs, find_topics
from app.clients.kafka.topic_ids import find_topic_ids
from app.clients.kafka.versions import OLDEST_KAFKA, Versions, find_versions
from app.clients.presence import Presence
from app.errors import Misconfigured

Found = TypeVar("Found")

REQUEST_TIMEOUT_MS: Final = 5000
"""Every call here is small; one that takes longer means that the broker is away."""

SHOWN_SOON: Final = 0.05
"""Seconds between two looks whether a new topic is there; it takes about a tenth of one."""

MAX_MESSAGE_BYTES: Final = 5 << 20
"""As the broker's `message.max.bytes`: a rejected body up to 1 MB and its headers fit well."""


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


@dataclass(frozen=True)
class SetAside:
    """A message that could not be processed: where it was, its bytes and headers (reason, code, time)."""

    position: str
    key: bytes | None
    body: bytes
    headers: dict[str, str]


class Broker:
    """Topics, offsets and trimming. Open it with `open_broker`."""

    def __init__(
        self, servers: str, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, presence: Presence
    ) -> None:
        self._first_ids: dict[str, str] = {}
        self._coordinators: dict[str, int] = {}
        self._servers = servers
        self._presence = presence
        self._admin = admin
        self._consumer = consumer

    async def ping(self) -> None:
        """Return when the broker answers.

        Raises:
            Unavailable: it does not.
        """
        with _translated(self._presence):
            async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                await self._admin.describe_cluster()

    async def ensure_topics(
        self, topics: Mapping[str, tuple[int, Mapping[str, str]]], *, replication_factor: int
    ) -> None:
        """Create what is missing and check what is there against the contract.

        Args:
            topics: name to (partitions, configuration).
            replication_factor: copies of each partition.

        Raises:
            Misconfigured: a topic has another number of partitions or would lose messages.
            Unavailable: the broker does not answer.
        """
        with _translated(self._presence):
            present = set(await self._admin.list_topics())
            missing = [
                NewTopic(name, partitions, replication_factor, topic_configs=dict(config))
                for name, (partitions, config) in topics.items()
                if name not in present
            ]
            if missing:
                _raise_errors(await self._admin.create_topics(missing))
            await self._until_shown(topics)
            await self._check_topics(topics)

    async def _until_shown(self, topics: Iterable[str]) -> None:
        """Return when every topic can be seen: the broker says that it is made a little earlier."""
        names = set(topics)
        while True:
            if (await self.partition_counts(names)).keys() >= names:
                return
            await asyncio.sleep(SHOWN_SOON)

    async def _check_topics(self, topics: Mapping[str, tuple[int, Mapping[str, str]]]) -> None:
        counts = await self.partition_counts(topics)
        configs = await find_configs(self._admin, ConfigResourceType.TOPIC, topics)
        for name, (partitions, config) in topics.items():
            if name in counts and counts[name] != partitions:
                raise Misconfigured(_mismatch(name, "partitions", counts[name], partitions))
            for key, value in config.items():
                found = configs.get(name, {}).get(key, value)
                if found != value:
                    raise Misconfigured(_mismatch(name, key, found, value))

    async def partition_counts(self, topics: Iterable[str]) -> dict[str, int]:
        """Return how many partitions each existing topic has."""
        with _translated(self._presence):
            described = await self._admin.describe_topics(list(topics))
        return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Return the id of each existing topic; one that is made again under its name gets another.

        Raises:
            Misconfigured: the brokers are too old to know any.
        """
        with _translated(self._presence):
            try:
                found = await find_topic_ids(self._admin, topics)
            except NotImplementedError as error:  # aiokafka's word for it
                message = f"the Kafka brokers are older than {OLDEST_KAFKA}: see `kadr doctor`"
                raise Misconfigured(message) from error
        self._first_ids = found | self._first_ids
        return found

    async def topic_facts(self, topics: Iterable[str]) -> dict[str, TopicFacts]:
        """Return how each existing topic is kept."""
        with _translated(self._presence):
            return await find_topics(self._admin, topics)

    async def cluster_facts(self) -> ClusterFacts:
        """Return what is known of the brokers."""
        with _translated(self._presence):
            return await find_cluster(self._admin)

    async def versions(self) -> dict[int, Versions]:
        """Return which requests each broker knows, and in which versions, by the broker's number."""
        with _translated(self._presence):
            async with _client(self._servers) as client:
                return await find_versions(client)

    def stamp(self, topic: str) -> str:
        """Return what a commit says of the topic it is for: its id, as this was when it was first asked for.

        A commit that was on its way when Kafka lost its disk can arrive in the new one, where the same name
        and offset are of other messages.
        """
        return self._first_ids.get(topic, "")

    async def committed(self, group: str) -> dict[Partition, int]:
        """Return the offsets that a consumer group has committed on the broker.

        One that is stamped with another topic of the same name counts for nothing.
        """
        with _translated(self._presence):
            offsets = await self._ask_coordinator(
                group, partial(self._admin.list_consumer_group_offsets, group)
            )
        return {
            Partition(tp.topic, tp.partition): meta.offset
            for tp, meta in offsets.items()
            if meta.offset >= 0 and meta.metadata in ("", self._first_ids.get(tp.topic, meta.metadata))
        }

    async def _ask_coordinator(self, group: str, ask: Callable[[int], Awaitable[Found]]) -> Found:
        """Ask the coordinator of a group, which is looked up anew when it fails or knows nothing.

        A node that no longer coordinates a group answers with an error, which aiokafka takes for "nothing".

        Args:
            group: whose coordinator it is.
            ask: asks the node of this number; what it returns is false where that is nothing.
        """
        known = self._coordinators.pop(group, None)
        found = None if known is None else await ask(known)
        if known is None or not found:
            known = await self._admin.find_coordinator(group)
            found = await ask(known)
        self._coordinators[group] = known
        return found

    async def log_starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the first offset that each partition still holds."""
        with _translated(self._presence):
            found = await self._consumer.beginning_offsets([KafkaPartition(*each) for each in partitions])
        return {Partition(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def log_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset after the last message of each partition."""
        with _translated(self._presence):
            found = await self._consumer.end_offsets([KafkaPartition(*each) for each in partitions])
        return {Partition(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def lag(self, group: str, topic: str, partitions: int) -> int:
        """Return how many messages of a topic a consumer group has not yet committed."""
        every = [Partition(topic, number) for number in range(partitions)]
        committed, ends = await asyncio.gather(self.committed(group), self.log_ends(every))
        starts = await self.log_starts(every) if any(each not in committed for each in every) else {}
        return sum(max(0, ends[each] - committed.get(each, starts.get(each, 0))) for each in every)

    async def members(self, group: str) -> int:
        """Return how many live members a consumer group has."""

        async def count(coordinator: int) -> int:
            responses = await self._admin.describe_consumer_groups([group], coordinator)
            return sum(len(described[5]) for response in responses for described in response.groups)

        with _translated(self._presence):
            return await self._ask_coordinator(group, count)

    async def remove_member(self, group: str, member: str) -> None:
        """Let a consumer group go on without a member that is dead, instead of waiting for its session.

        A member that the group does not know is gone already; one that lives after all joins anew.
        """
        with _translated(self._presence):
            async with _client(self._servers) as client:
                node = await client.coordinator_lookup(CoordinationType.GROUP, group)
                response = await client.send(node, LeaveGroupRequest(group, member))
            error = for_code(response.error_code)
            if error not in {NoError, UnknownMemberIdError}:
                raise error

    async def trim(self, upto: Mapping[Partition, int]) -> None:
        """Let the broker remove everything before these offsets; a lower offset does nothing."""
        if upto:
            with _translated(self._presence):
                await self._admin.delete_records(
                    {KafkaPartition(*each): RecordsToDelete(offset) for each, offset in upto.items()}
                )

    async def set_aside(self, topic: str, *, message: SetAside) -> None:
        """Write one message into the topic of rejected messages and wait for the broker."""
        headers = [(name, value.encode()) for name, value in message.headers.items()]
        if message.key is not None:
            headers.append(("original-key", message.key))
        await self._send(topic, message.position.encode(), message.body, headers)

    async def rejected(self, topic: str) -> list[SetAside]:
        """Return everything that was set aside and not yet sent again, oldest first."""
        position = Partition(topic, 0)
        end = (await self.log_ends([position]))[position]
        found: dict[str, SetAside] = {}
        with _translated(self._presence):
            async with _consumer(self._servers) as consumer:
                consumer.assign([KafkaPartition(topic, 0)])
                await consumer.seek_to_beginning()
                while await consumer.position(KafkaPartition(topic, 0)) < end:
                    for record in await _next_records(consumer):
                        _fold(found, record)
        return list(found.values())

    async def resend(self, topic: str, message: SetAside) -> None:
        """Publish a message that was set aside to its topic again, then write its tombstone."""
        await self._send(message.position.partition("/")[0], message.key, message.body, [])
        await self._send(topic, message.position.encode(), None, [])

    async def _send(
        self, topic: str, key: bytes | None, body: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        with _translated(self._presence):
            producer = AIOKafkaProducer(
                bootstrap_servers=self._servers, acks="all", max_request_size=MAX_MESSAGE_BYTES
            )
            async with producer:
                await producer.send_and_wait(topic, value=body, key=key, headers=headers)


@asynccontextmanager
async def open_broker(servers: str) -> AsyncIterator[Broker]:
    """Connect to Kafka.

    Args:
        servers: `host:port`, comma separated.

    Raises:
        RetryLater: no server answers.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=REQUEST_TIMEOUT_MS)
    presence = Presence("Kafka")
    consumer = _consumer(servers)
    try:
        with _translated(presence):
            await admin.start()
            await consumer.start()
        yield Broker(servers, admin, consumer, presence)
    finally:
        await consumer.stop()
        await admin.close()


@asynccontextmanager
async def _client(servers: str) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(bootstrap_servers=servers, request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


def _consumer(servers: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=servers,
        enable_auto_commit=False,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
    )


async def _next_records(consumer: AIOKafkaConsumer) -> list[Any]:
    batches = await consumer.getmany(timeout_ms=1000)
    return [record for records in batches.values() for record in records]


def _fold(found: dict[str, SetAside], record: Any) -> None:  # noqa: ANN401 - aiokafka has no types
    position = record.key.decode(errors="replace")
    if record.value is None:
        found.pop(position, None)
        return
    headers = dict(record.headers)
    key = headers.pop("original-key", None)
    texts = {name: value.decode(errors="replace") for name, value in headers.items()}
    found[position] = SetAside(position, key, record.value, texts)


def _raise_errors(response: Any) -> None:  # noqa: ANN401 - aiokafka has no types
    for _topic, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error


def _mismatch(topic: str, what: str, found: object, wanted: object) -> str:
    return (
        f"Kafka topic {topic} has {what}={found}, Kadr needs {wanted}. Stop the intake, let the pipeline "
        "drain, delete the topic and start again (docs/architecture.md, 'Changing the topics')."
    )


@contextmanager
def _translated(presence: Presence) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise presence.lost(error or type(error).__name__, begun=begun) from error
    else:
        presence.answered()
