"""The demo's own view of Kafka: it produces the activity and reads what the worker wrote."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, RecordMetadata

from topics.record import Headers, Position, Record

__all__ = ["KafkaError", "KafkaIO", "delete_topics"]

_REQUEST_MS = 10_000
_POLL_MS = 200
_PAUSE_SECONDS = 0.02
_CLOSE_SECONDS = 1.0
"""A broker that has died must not hold up the end."""


class KafkaIO:
    """A producer, a reader of some topics from their beginning, and the progress of a consumer group.

    An asynchronous context manager. Methods wait for Kafka and raise `KafkaError`.
    """

    def __init__(self, bootstrap_servers: str, read: Iterable[str]) -> None:
        common = {"bootstrap_servers": bootstrap_servers, "request_timeout_ms": _REQUEST_MS}
        self._topics = tuple(read)
        self._producer = AIOKafkaProducer(**common, acks="all", enable_idempotence=True, linger_ms=5)
        self._consumer = AIOKafkaConsumer(
            **common, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=_POLL_MS
        )
        self._admin = AIOKafkaAdminClient(**common)
        self._sent: Counter[tuple[str, int]] = Counter()
        # Whoever uses this is told by exceptions; aiokafka's log lines would run through the live view.
        logging.getLogger("aiokafka").addHandler(logging.NullHandler())
        logging.getLogger("aiokafka").propagate = False

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def _start(self) -> None:
        await self._producer.start()
        await self._consumer.start()
        await self._admin.start()
        partitions = [
            TopicPartition(description["topic"], partition["partition"])
            for description in await self._admin.describe_topics(list(self._topics))
            for partition in description["partitions"]
        ]
        self._consumer.assign(partitions)

    async def _stop(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for stop in (self._admin.close, self._consumer.stop, self._producer.stop):
                stack.push_async_callback(_quietly, stop)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def send(
        self, topic: str, key: bytes, value: bytes | None, headers: Headers
    ) -> Awaitable[Position]:
        """Queue a record behind those sent before; what is returned waits until Kafka has acknowledged it."""
        return self._acknowledged(await self._producer.send(topic, value, key, headers=list(headers)))

    async def read(self) -> list[Record]:
        """Return what has come since the last call, at once."""
        batches = await self._consumer.getmany()
        return [_record(record) for batch in batches.values() for record in batch]

    async def read_to_end(self) -> list[Record]:
        """Return everything up to the present end of the topics that has not been read yet."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        found: list[Record] = []
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            found += await self.read()
            await asyncio.sleep(_PAUSE_SECONDS)
        return found

    async def lag(self, group_id: str) -> int:
        """Count the records produced here that the group has not committed."""
        committed = await self._admin.list_consumer_group_offsets(group_id)
        done = {(tp.topic, tp.partition): found.offset for tp, found in committed.items()}
        return sum(max(0, end - max(0, done.get(place, 0))) for place, end in self._sent.items())

    async def _acknowledged(self, sending: Awaitable[RecordMetadata]) -> Position:
        sent = await sending
        place = (sent.topic, sent.partition)
        self._sent[place] = max(self._sent[place], sent.offset + 1)
        return Position(sent.topic, sent.partition, sent.offset)


async def delete_topics(bootstrap_servers: str, topics: Iterable[str]) -> None:
    """Delete topics; missing ones are passed over. Raises `KafkaError`."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=_REQUEST_MS)
    try:
        await admin.start()
        await admin.delete_topics(list(topics))
    finally:
        await admin.close()


async def _quietly(stop: Callable[[], Awaitable[object]]) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await stop()


def _record(record: ConsumerRecord) -> Record:
    return Record(
        position=Position(record.topic, record.partition, record.offset),
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
