"""When the next record of a partition was written, also while nothing is read of it.

One small fetch beside the consumer's own: it moves no position and takes no record. Only the heads of batches
are looked at, whose layout is Kafka's message format 2: what lies in a batch may be compressed or damaged.
"""

import asyncio
import struct
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError, LeaderNotAvailableError, for_code
from aiokafka.protocol.fetch import FetchRequest

_SECONDS: Final = 5.0
_UNCOMMITTED: Final = 0
_OCTETS: Final = 4096
"""The first batch comes as a whole whatever its size; so many markers may come before it."""
_FETCHES: Final = 8
_HEAD: Final = struct.Struct(">qiibIhiqq")
"""Offset, length, epoch, format, checksum, attributes, last offset's distance, first and latest timestamp."""
_LENGTH_END: Final = 12
_MAGIC: Final = 2
_LOG_APPEND_TIME, _CONTROL, _HORIZON = 0x08, 0x20, 0x40
"""Attributes: one time for all its records; no record; the first timestamp was made something else."""


@dataclass(frozen=True, slots=True)
class Written:
    """When the first of these records was written, in ms since the epoch."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class GoesOn:
    """There are only markers before this offset."""

    offset: int


async def written_at(consumer: AIOKafkaConsumer, at: TopicPartition, offset: int) -> int | None:
    """Return when the first record at or behind the offset was written, in ms since the epoch.

    Of a batch that began before the offset it is when that began. None if there is no record. Waits for
    Kafka; raises KafkaError when it gives no answer in time.
    """
    for _ in range(_FETCHES):
        match first_written(await _fetch(consumer, at, offset), offset):
            case Written(at_ms):
                return at_ms
            case GoesOn(further) if further > offset:
                offset = further
            case GoesOn():
                return None
    raise KafkaTimeoutError("there are too many markers")


def first_written(fetched: bytes, offset: int) -> Written | GoesOn:
    """Find the first batch with a record at or behind the offset; any bytes lead to an answer."""
    place = 0
    while place + _HEAD.size <= len(fetched):
        first, length, _, magic, _, attributes, distance, began, latest = _HEAD.unpack_from(fetched, place)
        if magic != _MAGIC or length <= 0:
            break
        if first + distance >= offset:
            if not attributes & _CONTROL:
                return Written(latest if attributes & (_LOG_APPEND_TIME | _HORIZON) else began)
            offset = first + distance + 1
        place += _LENGTH_END + length
    return GoesOn(offset)


async def _fetch(consumer: AIOKafkaConsumer, at: TopicPartition, offset: int) -> bytes:
    client = consumer._client  # noqa: SLF001 - aiokafka offers no way to read without moving on
    leader = client.cluster.leader_for_partition(at)
    if leader is None or leader < 0:
        raise LeaderNotAvailableError
    wanted = [(at.topic, [(at.partition, offset, _OCTETS)])]
    try:
        async with asyncio.timeout(_SECONDS):
            answer = await client.send(leader, FetchRequest(0, 0, _OCTETS, _UNCOMMITTED, wanted))
    except (TimeoutError, OSError) as error:
        raise KafkaTimeoutError from error
    ((_, ((_, code, *_, fetched),)),) = answer.topics
    if code != 0:
        raise for_code(code)
    return bytes(fetched or b"")
