"""Permissions on the cluster, found out by trying, without leaving a trace.

A broker looks at our rights before it looks for the partition: to read or write partition 2147483647 is
refused as forbidden if we may not, and as unknown if we may. A heartbeat of a member that nobody is
tells likewise of the group, and topics can be created for validation only.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from topics.names import TopicSpec
from worker.kafka.admin import TopicAdmin

_NOWHERE: Final = 2**31 - 1
"""A partition that no topic has."""
_WAIT_MS: Final = 1
_POLL_SECONDS: Final = 0.1

Verdict = bool | str
"""Whether we may; a text if the cluster's answer does not tell."""


class Permissions(TopicAdmin):
    """Rights of the credentials in use. Calls raise KafkaFailed if no answer comes."""

    async def brokers(self) -> int:
        """Return how many brokers the cluster has."""
        async with self._client() as client:
            return len((await client.describe_cluster())["brokers"])

    async def read(self, topics: Iterable[str]) -> dict[str, Verdict]:
        """Tell of each topic whether we may read it."""
        wanted = [(topic, [(_NOWHERE, 0, 1)]) for topic in topics]
        return _by_topic(await self._ask(FetchRequest(_WAIT_MS, 0, 1, 0, wanted)))

    async def write(self, topics: Iterable[str]) -> dict[str, Verdict]:
        """Tell of each topic whether we may write to it."""
        wanted = [(topic, [(_NOWHERE, _record())]) for topic in topics]
        return _by_topic(await self._ask(ProduceRequest(None, -1, self._request_ms, wanted)))

    async def number_records(self) -> Verdict:
        """Tell whether we may write as an idempotent producer, as the worker does."""
        async with self._client() as client:
            while True:
                answer = await client._send_request(InitProducerIdRequest(None, self._request_ms))  # noqa: SLF001 - it has no call for it
                if answer.error_code != GroupLoadInProgressError.errno:  # a cluster that has just started
                    break
                await asyncio.sleep(_POLL_SECONDS)
        return answer.error_code != ClusterAuthorizationFailedError.errno and _verdict(answer.error_code, 0)

    async def join(self, group: str) -> Verdict:
        """Tell whether we may be a member of the group; nobody joins."""
        async with self._client() as client:
            try:
                coordinator = await _coordinator(client, group)
            except GroupAuthorizationFailedError:
                return False
            beat = HeartbeatRequest(group, -1, "check")
            answer = await client._send_request(beat, coordinator)  # noqa: SLF001 - it has no call for it
        code = answer.error_code
        return code != GroupAuthorizationFailedError.errno and _verdict(code, UnknownMemberIdError.errno)

    async def create_none(self, specs: Iterable[TopicSpec]) -> dict[str, Verdict]:
        """Tell of each topic whether we could create it; none is."""
        wanted = [
            NewTopic(spec.name, spec.partitions, spec.replication_factor, topic_configs=spec.config)
            for spec in specs
        ]
        async with self._client() as client:
            answer = await client.create_topics(wanted, timeout_ms=self._request_ms, validate_only=True)
        forbidden = (TopicAuthorizationFailedError.errno, ClusterAuthorizationFailedError.errno)
        return {
            name: False
            if code in forbidden
            else True
            if code in (0, TopicAlreadyExistsError.errno)
            else (message or for_code(code).__name__)
            for name, code, message in answer.topic_errors
        }

    async def _ask(self, request: Any) -> Any:  # noqa: ANN401 - aiokafka ships no types
        async with self._client() as client:
            return await client._send_request(request)  # noqa: SLF001 - it has no call for these


async def _coordinator(client: AIOKafkaAdminClient, group: str) -> int:
    while True:
        try:
            number: int = await client.find_coordinator(group)
        except GroupCoordinatorNotAvailableError:  # a cluster that has had no group yet
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return number


def _by_topic(answer: Any) -> dict[str, Verdict]:  # noqa: ANN401 - see above
    return {
        topic: code != TopicAuthorizationFailedError.errno
        and _verdict(code, UnknownTopicOrPartitionError.errno)
        for topic, partitions in answer.topics
        for _, code, *_ in partitions
    }


def _verdict(code: int, expected: int) -> Verdict:
    return True if code == expected else for_code(code).__name__


def _record() -> bytes:
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=0
    )
    builder.append(0, 0, None, b"", [])
    return bytes(builder.build())
