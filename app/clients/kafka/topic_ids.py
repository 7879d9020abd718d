"""Which topic a name stands for: the id that Kafka gives a topic when it is made (KIP-516).

A topic that was lost and made again has its old name and another id. aiokafka 0.14 asks for the metadata
of topics in a version that has no ids yet; this is the request in the first version that has them.
Layout: `MetadataRequest.json` and `MetadataResponse.json` of Apache Kafka, version 10.
"""

from collections.abc import Iterable
from io import BytesIO
from typing import Any
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

METADATA = 3
VERSION = 10

_NO_ID = UUID(int=0)


class _Uuid:
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))

    @classmethod
    def repr(cls, value: UUID) -> str:
        return str(value)


_text = CompactString("utf-8")


class _Response(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = METADATA
    API_VERSION = VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", _text), ("port", Int32), ("rack", _text), ("tags", TaggedFields)
            ),
        ),
        ("cluster_id", _text),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _text),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):  # type: ignore[misc]  # see above
    FLEXIBLE_VERSION = True
    API_KEY = METADATA
    API_VERSION = VERSION
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _text), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Request(Request[_Struct]):  # type: ignore[misc]  # see above
    API_KEY = METADATA

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)

    def build(self, struct: type[_Struct]) -> _Struct:
        """Return the request; a topic that is missing must not be made by asking for it."""
        topics: list[tuple[UUID, str, dict[int, bytes]]] = [(_NO_ID, name, {}) for name in self._names]
        return struct(topics, False, False, False, {})  # noqa: FBT003 - fields of the protocol, by place


async def find_topic_ids(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, str]:
    """Return the id of each topic that exists.

    Raises:
        KafkaError: the broker does not answer.
    """
    found: Any = await admin._send_request(_Request(names))  # noqa: SLF001 - there is no public way
    topics = [topic[:3] for topic in found.topics]
    return {name: str(topic_id) for error_code, name, topic_id in topics if not error_code}
