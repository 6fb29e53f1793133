"""Kafka's request for metadata in the version that first tells the ids of topics (KIP-516).

aiokafka asks in an older one. An id in the answer's `topics` is 32 hexadecimal digits, empty when not told.
"""

from typing import Any, ClassVar, Final

from aiokafka.errors import IncompatibleBrokerVersion
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

UNKNOWN_QUESTION: Final = (NotImplementedError, IncompatibleBrokerVersion)
"""What aiokafka raises when the broker knows no version of a request, or none that we know."""


class _TopicId(AbstractType[str]):  # type: ignore[misc]  # aiokafka ships no types
    """A UUID; the one of zeros stands for none."""

    _BYTES: ClassVar[int] = 16

    @classmethod
    def encode(cls, value: str) -> bytes:
        return bytes.fromhex(value) if value else bytes(cls._BYTES)

    @classmethod
    def decode(cls, data: Any) -> str:  # noqa: ANN401 - a buffer
        read = data.read(cls._BYTES)
        return read.hex() if any(read) else ""


class _MetadataResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
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
                ("topic_id", _TopicId),
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


class _MetadataRequest(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _TopicId), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicMetadata(Request[_MetadataRequest]):  # type: ignore[misc]  # aiokafka ships no types
    """Asks a broker for topics, and creates none; brokers before Kafka 2.8 do not know this version of it."""

    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        """Return the request in the version that the client has agreed upon."""
        creates = tells_rights = False
        names: list[tuple[str, str, dict[int, bytes]]] = [("", name, {}) for name in self._names]
        return request_struct_class(names, creates, tells_rights, tells_rights, {})
