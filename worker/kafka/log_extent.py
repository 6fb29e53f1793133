"""Logs as the leaders of their partitions tell of them: beginning, end, epochs, and the id of the topic.

aiokafka asks for the first two only, and for one answer to all questions: a single partition without a leader
keeps it from answering for any. Of the other two it knows nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy
from aiokafka.protocol.types import Array, Int16, Int32, Int64, Schema, String

from worker.kafka.positions import Extent
from worker.kafka.topic_ids import UNKNOWN_QUESTION, TopicMetadata

_SECONDS: Final = 5.0
_UNCOMMITTED: Final = 0
_CONSUMER: Final = -1
"""In place of a replica's number."""


async def ask(
    consumer: AIOKafkaConsumer, epochs: Mapping[TopicPartition, int | None]
) -> dict[TopicPartition, Extent]:
    """Return what is known of these partitions; those whose leader gives no answer are left out.

    With the highest epoch that was read of a partition it is known up to where its log still is the same.
    """
    client = consumer._client  # noqa: SLF001 - aiokafka offers no way to send these
    by_leader: dict[int, list[TopicPartition]] = defaultdict(list)
    for at in epochs:
        leader = client.cluster.leader_for_partition(at)
        if leader is None or leader < 0:
            client.add_topic(at.topic)
            client.force_metadata_update()
        else:
            by_leader[leader].append(at)
    ids, *answers = await asyncio.gather(
        _topic_ids(client, {at.topic for at in epochs}),
        *(_of_leader(client, leader, at, epochs) for leader, at in by_leader.items()),
    )
    return {
        at: Extent(start, max(start, end), ids.get(at.topic), parted_at)
        for answer in answers
        for at, (start, end, parted_at) in answer.items()
    }


async def _of_leader(
    client: Any,  # noqa: ANN401 - aiokafka ships no types
    leader: int,
    partitions: list[TopicPartition],
    epochs: Mapping[TopicPartition, int | None],
) -> dict[TopicPartition, tuple[int, int, int | None]]:
    known = {at: epoch for at in partitions if (epoch := epochs[at]) is not None}
    starts, ends, parted = await asyncio.gather(
        _offsets(client, leader, partitions, OffsetResetStrategy.EARLIEST),
        _offsets(client, leader, partitions, OffsetResetStrategy.LATEST),
        _epoch_ends(client, leader, known),
    )
    return {
        at: (starts[at], ends[at], parted.get(at))
        for at in partitions
        if at in starts and at in ends and (at in parted or at not in known)
    }


async def _offsets(
    client: Any,  # noqa: ANN401 - as above
    leader: int,
    partitions: Iterable[TopicPartition],
    which: int,
) -> dict[TopicPartition, int]:
    topics: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for at in partitions:
        topics[at.topic].append((at.partition, which))
    answer = await _send(client, leader, OffsetRequest(_CONSUMER, _UNCOMMITTED, list(topics.items())))
    return {
        TopicPartition(topic, number): offset
        for topic, told in (answer.topics if answer else ())
        for number, code, _, offset in told
        if code == 0 and offset >= 0
    }


async def _epoch_ends(
    client: Any,  # noqa: ANN401 - as above
    leader: int,
    epochs: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int | None]:
    """Return where each of the epochs ended, which is where the log parts from one that went on in it.

    None for one that the leader knows nothing of, and from brokers that do not know the question.
    """
    if not epochs:
        return {}
    topics: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for at, epoch in epochs.items():
        topics[at.topic].append((at.partition, _NO_EPOCH, epoch))
    try:
        answer = await _send(client, leader, _EpochEnds(list(topics.items())))
    except UNKNOWN_QUESTION:
        return dict.fromkeys(epochs)
    return {
        TopicPartition(topic, number): offset if offset >= 0 else None
        for topic, told in (answer.topics if answer else ())
        for code, number, _, offset in told
        if code == 0
    }


async def _topic_ids(client: Any, topics: Iterable[str]) -> dict[str, str]:  # noqa: ANN401 - as above
    node = client.get_random_node()
    try:
        answer = None if node is None else await _send(client, node, TopicMetadata(sorted(topics)))
    except UNKNOWN_QUESTION:
        return {}
    return {
        name: topic_id
        for code, name, topic_id, *_ in (answer.topics if answer else ())
        if code == 0 and topic_id
    }


async def _send(client: Any, node: int, request: Any) -> Any:  # noqa: ANN401 - as above
    """Return the answer, None when there is none in time.

    Raises what UNKNOWN_QUESTION names.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            return await client.send(node, request)
    except UNKNOWN_QUESTION:
        raise
    except (KafkaError, TimeoutError, OSError):
        return None


_NO_EPOCH: Final = -1


class _EpochEndsResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 23
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader_epoch", Int32),
                        ("end_offset", Int64),
                    ),
                ),
            ),
        ),
    )


class _EpochEndsRequest(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 23
    API_VERSION = 3
    RESPONSE_TYPE = _EpochEndsResponse
    SCHEMA = Schema(
        ("replica_id", Int32),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    Array(("partition", Int32), ("current_leader_epoch", Int32), ("leader_epoch", Int32)),
                ),
            ),
        ),
    )


class _EpochEnds(Request[_EpochEndsRequest]):  # type: ignore[misc]  # aiokafka ships no types
    """OffsetForLeaderEpoch, which the consumers of other clients ask after a change of leaders (KIP-320)."""

    API_KEY = 23

    def __init__(self, topics: list[tuple[str, list[tuple[int, int, int]]]]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_EpochEndsRequest]) -> _EpochEndsRequest:
        return request_struct_class(_CONSUMER, self._topics)
