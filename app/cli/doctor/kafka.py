"""Brokers, topics, and who reads them."""

from collections.abc import Iterator, Mapping
from typing import Final

from app.cli.doctor.findings import Finding, ok, unknown, warning, wrong
from app.clients.kafka.broker import MAX_MESSAGE_BYTES, Broker, open_broker
from app.clients.kafka.topic_facts import ClusterFacts, TopicFacts
from app.clients.kafka.versions import OLDEST_KAFKA, Versions, unmet_by
from app.errors import RetryLater
from app.settings import Settings
from app.topics import (
    INFERENCE_RESULTS,
    INFERENCE_TASKS,
    OUTBOX_EVENTS,
    VIDEO_GAPS,
    VIDEO_RESULTS,
    VIDEO_SPLITS,
    required_topics,
)

CHANGELOGS: Final = ("results-frames-changelog", "results-videos-changelog")
"""Topics that Faust makes for the tables."""

READ_BY: Final = {
    "runner": (OUTBOX_EVENTS, VIDEO_GAPS),
    "inference": (INFERENCE_TASKS,),
    "results": (INFERENCE_RESULTS, VIDEO_SPLITS, VIDEO_RESULTS),
}
"""Which consumer group reads which topics."""

KEPT_LEAST: Final = 7 * 24 * 60
"""Minutes for which a broker remembers offsets of a group that stands still: a week, Kafka's own default."""

REMAKE: Final = "docs/architecture.md, 'Changing the topics'"

NO_ID: Final = "00000000-0000-0000-0000-000000000000"
"""What a broker says of a topic that has none."""

UPGRADE: Final = f"run Kafka {OLDEST_KAFKA} or later"

Topics = dict[str, TopicFacts]


async def look_at_kafka(settings: Settings) -> list[Finding]:
    """Look at brokers, topics and groups.

    Raises:
        Unavailable: no broker answers.
    """
    async with open_broker(settings.kafka_bootstrap_servers) as broker:
        wanted = required_topics(settings)
        cluster = await broker.cluster_facts()
        topics = await broker.topic_facts([*wanted, *CHANGELOGS])
        known = list(_versions(await broker.versions()))
        ids = await broker.topic_ids(topics) if known[0].verdict == "ok" else {}
        found = [*_cluster(cluster, settings), *known, *_ids(ids), *_topics(topics, settings)]
        return found + [await _group(broker, role, topics) for role in READ_BY]


def _cluster(cluster: ClusterFacts, settings: Settings) -> Iterator[Finding]:
    config = cluster.config
    if cluster.brokers < settings.topic_replication_factor:
        yield wrong(
            "kafka",
            f"{cluster.brokers} answer, TOPIC_REPLICATION_FACTOR is {settings.topic_replication_factor}",
            "start the others, or no topic can be made",
        )
    if (kept := int(config.get("offsets.retention.minutes") or KEPT_LEAST)) < KEPT_LEAST:
        yield warning(
            "kafka",
            f"offsets.retention.minutes={kept}: groups that stand still for so long begin anew",
            f"set it to {KEPT_LEAST} at least in the broker's configuration",
        )
    if config.get("auto.create.topics.enable") == "true":
        yield warning(
            "kafka",
            "auto.create.topics.enable=true: a topic may be made that loses messages after a week",
            "set it to false in the broker's configuration",
        )
    yield ok("kafka", f"cluster {cluster.id}, {cluster.brokers} of its brokers answer")


def _versions(brokers: Mapping[int, Versions]) -> Iterator[Finding]:
    """Say what a broker lacks; a cluster in the middle of an upgrade has brokers of several releases."""
    found = [(number, each) for number, versions in brokers.items() for each in unmet_by(versions)]
    for number, each in found:
        age = "too new" if each.is_too_new else "too old"
        remedy = "run an earlier Kafka, or a later Kadr" if each.is_too_new else UPGRADE
        yield wrong("kafka", f"broker {number} is {age}: {each}", remedy)
    if not found:
        yield ok("kafka", f"each broker knows what Kadr asks for, as Kafka does from {OLDEST_KAFKA} on")


def _ids(ids: Mapping[str, str]) -> Iterator[Finding]:
    if without := [name for name, topic_id in ids.items() if topic_id == NO_ID]:
        yield wrong(
            "topics",
            f"{', '.join(without)}: no id, so that nobody notices when Kafka has lost a topic",
            f"set inter.broker.protocol.version to {OLDEST_KAFKA} or later, or leave it out",
        )


def _topics(topics: Topics, settings: Settings) -> Iterator[Finding]:
    wanted = required_topics(settings)
    missing = [name for name in wanted if name not in topics]
    if missing:
        yield warning("topics", f"not there yet: {', '.join(missing)}", "start a worker: it makes them")
    partitions = {name: count for name, (count, _) in wanted.items()}
    partitions |= dict.fromkeys(CHANGELOGS, settings.video_partitions)
    configs = {name: config for name, (_, config) in wanted.items()}
    configs |= {name: {"cleanup.policy": "compact"} for name in CHANGELOGS}
    found = [
        each
        for name, facts in topics.items()
        for each in _topic(name, facts, partitions[name], configs[name], settings)
    ]
    yield from found
    if not found and not missing:
        yield ok("topics", f"{len(topics)}, with the partitions and the retention that they need")


def _topic(
    name: str, facts: TopicFacts, partitions: int, config: dict[str, str], settings: Settings
) -> Iterator[Finding]:
    if facts.partitions != partitions:
        yield wrong("topics", f"{name} has {facts.partitions} partitions, Kadr needs {partitions}", REMAKE)
    for key, value in config.items():
        seen = facts.config.get(key, value)
        if seen != value:
            yield wrong(
                "topics",
                f"{name} has {key}={seen}, Kadr needs {value}: messages may be lost",
                f"kafka-configs.sh --alter --topic {name} --add-config {key}={value}",
            )
    if (most := int(facts.config.get("max.message.bytes", MAX_MESSAGE_BYTES))) < MAX_MESSAGE_BYTES:
        yield wrong(
            "topics",
            f"{name} has max.message.bytes={most}: larger pictures cannot be sent",
            f"set message.max.bytes={MAX_MESSAGE_BYTES} in the broker's configuration, or "
            "max.message.bytes of the topic",
        )
    yield from _copies(name, facts, settings)


def _copies(name: str, facts: TopicFacts, settings: Settings) -> Iterator[Finding]:
    least = int(facts.config.get("min.insync.replicas", "1"))
    if facts.in_sync < least:
        yield wrong(
            "topics",
            f"{name}: {facts.in_sync} copies are up to date, min.insync.replicas={least}: nothing is written",
            "bring the brokers back, or lower min.insync.replicas",
        )
    elif facts.in_sync < facts.copies:
        yield warning(
            "topics",
            f"{name}: {facts.in_sync} of {facts.copies} copies are up to date",
            "bring the brokers back",
        )
    if facts.copies < settings.topic_replication_factor:
        yield warning(
            "topics",
            f"{name} has {facts.copies} copies, TOPIC_REPLICATION_FACTOR is "
            f"{settings.topic_replication_factor}: it counts when a topic is made, and not afterwards",
            "add copies with kafka-reassign-partitions.sh",
        )


async def _group(broker: Broker, role: str, topics: Topics) -> Finding:
    try:
        members = await broker.members(role)
        read = [each for each in READ_BY[role] if each.name in topics]
        lags = [(each.name, await broker.lag(role, each.name, topics[each.name].partitions)) for each in read]
    except RetryLater as error:  # a broker that has just been made knows of no groups yet
        return unknown("workers", f"{role}: {error}")
    waiting = ", ".join(f"{lag} wait in {name}" for name, lag in lags if lag) or "nothing waits"
    if not members:
        return warning(
            "workers", f"{role}: none is in its group; {waiting}", f"start a worker of the role {role}"
        )
    return ok("workers", f"{role}: {members} in its group; {waiting}")
