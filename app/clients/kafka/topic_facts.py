"""How topics are kept, and what the brokers are set to, for `broker`: what an operator may have to know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType


@dataclass(frozen=True)
class TopicFacts:
    """A topic as it is.

    Attributes:
        partitions: how many.
        copies: of the partition that has the fewest.
        in_sync: of these, how many are up to date; likewise.
        config: its configuration, defaults included.
    """

    partitions: int
    copies: int
    in_sync: int
    config: Mapping[str, str]


@dataclass(frozen=True)
class ClusterFacts:
    """The brokers.

    Attributes:
        id: which Kafka gave the cluster.
        brokers: how many answer.
        config: of one of them.
    """

    id: str
    brokers: int
    config: Mapping[str, str]


async def find_topics(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, TopicFacts]:
    """Return what is known of each topic that exists.

    Raises:
        KafkaError: the broker does not answer.
    """
    described = await admin.describe_topics(list(names))
    there = {each["topic"]: each["partitions"] for each in described if not each["error_code"]}
    configs = await find_configs(admin, ConfigResourceType.TOPIC, there)
    return {
        name: TopicFacts(
            partitions=len(partitions),
            copies=min(len(each["replicas"]) for each in partitions),
            in_sync=min(len(each["isr"]) for each in partitions),
            config=configs.get(name, {}),
        )
        for name, partitions in there.items()
    }


async def find_cluster(admin: AIOKafkaAdminClient) -> ClusterFacts:
    """Return what is known of the brokers.

    Raises:
        KafkaError: no broker answers.
    """
    found: Any = await admin.describe_cluster()
    name = str(found["brokers"][0]["node_id"])
    configs = await find_configs(admin, ConfigResourceType.BROKER, [name])
    return ClusterFacts(found["cluster_id"], len(found["brokers"]), configs.get(name, {}))


async def find_configs(
    admin: AIOKafkaAdminClient, kind: ConfigResourceType, names: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Return the configuration of topics or brokers, by their names."""
    resources = [ConfigResource(kind, name) for name in names]
    configs: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources) if resources else []:
        for _code, _message, _kind, name, entries in response.resources:
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs
