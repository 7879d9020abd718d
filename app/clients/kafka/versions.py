"""Whether brokers know what Kadr asks of them, for `broker`: which requests, and in which versions.

A broker answers ApiVersions with a range of versions for each request that it knows; of those that both
sides know aiokafka takes the newest. Older ones lack what Kadr needs, and each new Kafka drops some of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import ApiVersionRequest

Versions: TypeAlias = Mapping[int, tuple[int, int]]
"""The oldest and the newest version of each request that a broker knows, by the number of the request."""


@dataclass(frozen=True)
class Need:
    """A request that Kadr makes of brokers, itself or through Faust.

    Attributes:
        key: Kafka's number for it.
        name: Kafka's name for it.
        oldest: the oldest version that does what Kadr needs.
        newest: the newest version that aiokafka 0.14 knows, or that we have written ourselves.
        why: what an older version lacks; empty where any will do.
    """

    key: int
    name: str
    oldest: int
    newest: int
    why: str = ""


NEEDS: Final[Sequence[Need]] = (
    Need(0, "Produce", 3, 7, "headers of messages"),
    Need(1, "Fetch", 4, 11, "headers of messages"),
    Need(2, "ListOffsets", 0, 3),
    Need(3, "Metadata", 0, 5),
    Need(3, "Metadata", 10, 10, "ids of topics"),
    Need(8, "OffsetCommit", 2, 3),
    Need(9, "OffsetFetch", 1, 3),
    Need(10, "FindCoordinator", 0, 1),
    Need(11, "JoinGroup", 0, 5),
    Need(12, "Heartbeat", 0, 1),
    Need(13, "LeaveGroup", 0, 1),
    Need(14, "SyncGroup", 0, 3),
    Need(15, "DescribeGroups", 0, 3),
    Need(18, "ApiVersions", 0, 2),
    Need(19, "CreateTopics", 0, 3),
    Need(21, "DeleteRecords", 0, 2),
    Need(32, "DescribeConfigs", 0, 2),
)
"""All of them. A test writes down what is really asked, and compares."""

OLDEST_KAFKA: Final = "2.8"
"""The first release with all of `NEEDS`: 2.7.2 knows Metadata up to version 9, 2.8.2 up to 11."""


@dataclass(frozen=True)
class Unmet:
    """A need that a broker does not meet.

    Attributes:
        need: which.
        known: the oldest and the newest version that the broker knows; None when it knows no such request.
    """

    need: Need
    known: tuple[int, int] | None

    @property
    def is_too_new(self) -> bool:
        """Whether the broker has dropped what Kadr speaks, rather than not having it yet."""
        return self.known is not None and self.known[0] > self.need.newest

    def __str__(self) -> str:
        known = "not at all" if self.known is None else f"in versions {self.known[0]} to {self.known[1]}"
        wanted = (
            f"{self.need.oldest}"
            if self.need.oldest == self.need.newest
            else f"{self.need.oldest} to {self.need.newest}"
        )
        why = f", for {self.need.why}" if self.need.why else ""
        return f"it knows {self.need.name} {known}, Kadr needs {wanted}{why}"


def unmet_by(versions: Versions) -> Iterator[Unmet]:
    """Yield what a broker does not know of that which Kadr asks."""
    for need in NEEDS:
        known = versions.get(need.key)
        if known is None or known[1] < need.oldest or known[0] > need.newest:
            yield Unmet(need, known)


async def find_versions(client: AIOKafkaClient) -> dict[int, Versions]:
    """Return what each broker knows, by the broker's number.

    Raises:
        KafkaError: one of them does not answer.
    """
    found: dict[int, Versions] = {}
    for broker in client.cluster.brokers():
        answer: Any = await client.send(broker.nodeId, ApiVersionRequest())
        found[broker.nodeId] = {key: (oldest, newest) for key, oldest, newest in answer.api_versions}
    return found
