"""Access rules on a test's broker. aiokafka's admin client has no call for them."""

from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String

TOPIC: Final = 2
GROUP: Final = 3
READ: Final = 3
WRITE: Final = 4
DESCRIBE: Final = 8
_LITERAL: Final = 3
_ALLOW: Final = 3


class _Answer(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 30
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", Array(("error_code", Int16), ("error_message", String("utf-8")))),
    )


class _CreateAclsV1(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 30
    API_VERSION = 1
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "creations",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("resource_pattern_type", Int8),
                ("principal", String("utf-8")),
                ("host", String("utf-8")),
                ("operation", Int8),
                ("permission_type", Int8),
            ),
        )
    )


class _CreateAcls(Request[_CreateAclsV1]):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 30

    def __init__(self, creations: list[tuple[Any, ...]]) -> None:
        self._creations = creations

    def build(self, request_struct_class: type[_CreateAclsV1]) -> _CreateAclsV1:
        return request_struct_class(self._creations)


async def allow(bootstrap_servers: str, kind: int, name: str, user: str, *operations: int) -> None:
    """Allow the user these operations on a topic or group, and everybody else nothing."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await client.start()
    try:
        answer = await client._send_request(
            _CreateAcls([(kind, name, _LITERAL, f"User:{user}", "*", each, _ALLOW) for each in operations])
        )
    finally:
        await client.close()
    assert {code for code, _ in answer.results} == {0}, answer
