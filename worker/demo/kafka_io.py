"""The demo's own view of Kafka: it produces the activity and reads what the worker wrote."""

import logging
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from topics.record import Position, Record

__all__ = ["KafkaError", "KafkaIO"]

_REQUEST_MS = 10_000
_POLL_MS = 200


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
        self._ends: dict[TopicPartition, int] = {}
        self._sent: Counter[tuple[str, int]] = Counter()
        # Whoever uses this is told by exceptions; aiokafka's log lines would run through the live view.
        logging.getLogger("aiokafka").addHandler(logging.NullHandler())
        logging.getLogger("aiokafka").propagate = False

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._consumer.start()
        await self._admin.start()
        partitions = [
            TopicPartition(description["topic"], partition["partition"])
            for description in await self._admin.describe_topics(list(self._topics))
            for partition in description["partitions"]
        ]
        self._consumer.assign(partitions)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._producer.stop()
        finally:
            await self._consumer.stop()
            await self._admin.close()

    async def send(
        self, topic: str, key: bytes, value: bytes | None, headers: Iterable[tuple[str, bytes]]
    ) -> Position:
        """Produce a record; returns where it lies once Kafka has acknowledged it."""
        sent = await self._producer.send_and_wait(topic, value, key, headers=list(headers))
        place = (sent.topic, sent.partition)
        self._sent[place] = max(self._sent[place], sent.offset + 1)
        return Position(sent.topic, sent.partition, sent.offset)

    async def read(self) -> list[Record]:
        """Return what has come since the last call, waiting at most 0.2 seconds for it."""
        batches = await self._consumer.getmany(timeout_ms=_POLL_MS)
        return [_record(record) for batch in batches.values() for record in batch]

    async def read_to_end(self) -> list[Record]:
        """Return everything up to the present end of the topics that has not been read yet."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        found: list[Record] = []
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            found += await self.read()
        return found

    async def lag(self, group_id: str) -> int:
        """Count the records produced here that the group has not committed."""
        committed = await self._admin.list_consumer_group_offsets(group_id)
        done = {(tp.topic, tp.partition): found.offset for tp, found in committed.items()}
        return sum(max(0, end - max(0, done.get(place, 0))) for place, end in self._sent.items())

    async def delete(self, topics: Iterable[str]) -> None:
        """Delete topics."""
        await self._admin.delete_topics(list(topics))


def _record(record: ConsumerRecord) -> Record:
    return Record(
        position=Position(record.topic, record.partition, record.offset),
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
