"""Which topic a name stands for: Kafka gives each topic an id when it is made, and no other one ever gets it.

aiokafka asks for metadata in an older version, without ids; so the request is spelt out here.
"""

import uuid
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    NodeNotReadyError,
    NoError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

_NO_ID: Final = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Identity:
    """Of a topic: the cluster's id and the topic's; None for what the cluster does not tell."""

    cluster: str | None = None
    topic: str | None = None

    def is_another(self, other: "Identity") -> bool:
        """Whether they certainly are two topics: what one of them does not tell decides nothing."""
        pairs = ((self.cluster, other.cluster), (self.topic, other.topic))
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)

    def __str__(self) -> str:
        return f"{self.cluster or '-'} {self.topic or '-'}"

    @classmethod
    def read(cls, text: str) -> "Identity":
        """Read back what `str` wrote; raises ValueError for anything else."""
        cluster, topic = (None if word == "-" else word for word in text.split())
        return cls(cluster, topic)


async def identity_of(client: AIOKafkaClient, name: str) -> Identity | None:
    """Ask a broker for a topic's identity, None when it knows no such topic. Never creates one.

    Raises KafkaError when it does not answer, or may not tell.
    """
    node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    try:
        answer = await client.send(node, _MetadataRequest(name))
    except (NotImplementedError, IncompatibleBrokerVersion):
        # Brokers before Kafka 2.8, and some that are not Apache's.
        return Identity()
    ((code, _, topic_id, *_),) = answer.topics
    if code == UnknownTopicOrPartitionError.errno:
        return None
    if code != NoError.errno:
        raise for_code(code)(name)
    return Identity(answer.cluster_id, None if topic_id == _NO_ID else str(topic_id))


class _Uuid(AbstractType[uuid.UUID]):  # type: ignore[misc]  # aiokafka ships no types
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


class _MetadataResponse(Response):  # type: ignore[misc]  # see above
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
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


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]  # see above
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]  # see above
    API_KEY = 3

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> Any:  # noqa: ANN401 - aiokafka ships no types
        return request_struct_class([(_NO_ID, self._name, {})], False, False, False, {})  # noqa: FBT003 - by position
