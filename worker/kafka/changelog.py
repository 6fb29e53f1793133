"""The ledger's changelog as records, read and written outside of Faust, while no worker runs."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from worker.kafka.bootstrap import reach_any
from worker.kafka.consumers import reading
from worker.kafka.errors import KafkaFailed, translated
from worker.kafka.security import aiokafka_options
from worker.kafka.sizes import LARGEST_REQUEST_BYTES
from worker.settings import KafkaSettings

_BATCH: Final = 10_000
_POLL_MS: Final = 200
_FETCH_BYTES: Final = 4 * 1024 * 1024
_PATIENCE_SECONDS: Final = 60.0
_UNACKNOWLEDGED: Final = 5_000
_STEP: Final = 100_000
"""After so many records another line tells of progress."""


@dataclass(frozen=True, slots=True)
class ChangelogRecord:
    """A record of the changelog; the value is None if the entry was taken away."""

    key: bytes
    value: bytes | None = field(repr=False)
    offset: int
    timestamp_ms: int


class Copier:
    """Writes records to other partitions of the changelog, acknowledged by all replicas."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._sent: deque[Any] = deque()

    async def copy(self, record: ChangelogRecord, partition: int) -> None:
        """Write the record there, with the time that its retention counts from."""
        with translated(self._topic):
            self._sent.append(
                await self._producer.send(
                    self._topic, record.value, record.key, partition, timestamp_ms=record.timestamp_ms
                )
            )
        if len(self._sent) >= _UNACKNOWLEDGED:
            await self.acknowledged()

    async def acknowledged(self) -> None:
        """Return once Kafka has acknowledged everything so far."""
        with translated(self._topic):
            while self._sent:
                await self._sent.popleft()


class Changelog:
    """A changelog topic. Calls raise KafkaFailed."""

    def __init__(self, settings: KafkaSettings, topic: str, consumer: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._topic = topic
        self._consumer = consumer

    async def records(
        self, partition: int, end: int, doing: str, say: Callable[[str], object]
    ) -> AsyncIterator[ChangelogRecord]:
        """Yield a partition's records, from its beginning to that offset; tells how it gets on."""
        at, count = TopicPartition(self._topic, partition), 0
        with translated(self._topic):
            self._consumer.assign([at])
            await self._consumer.seek_to_beginning(at)
            heard_at = time.monotonic()
            while await self._consumer.position(at) < end:
                batch = await self._consumer.getmany(at, timeout_ms=_POLL_MS, max_records=_BATCH)
                if batch:
                    heard_at = time.monotonic()
                elif time.monotonic() - heard_at > _PATIENCE_SECONDS:
                    raise KafkaFailed(f"partition {partition} of {self._topic} cannot be read")
                for record in batch.get(at, ()):
                    if record.offset >= end:
                        break
                    count += 1
                    if count % _STEP == 0:
                        say(f"{doing}: {count} records")
                    yield ChangelogRecord(record.key, record.value, record.offset, record.timestamp)
        say(f"{doing}: {count} records, done")

    async def extent(self, topic: str, partitions: int) -> dict[int, tuple[int, int]]:
        """Return the first and the next offset of each of a topic's first partitions."""
        wanted = [TopicPartition(topic, number) for number in range(partitions)]
        with translated(topic):
            starts = await self._consumer.beginning_offsets(wanted)
            ends = await self._consumer.end_offsets(wanted)
        return {at.partition: (starts[at], ends[at]) for at in wanted}

    @asynccontextmanager
    async def copier(self, partitions: int) -> AsyncIterator[Copier]:
        """Give what copies; waits until the new partitions can be written to."""
        producer = AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=256 * 1024,
            max_request_size=LARGEST_REQUEST_BYTES,
            **aiokafka_options(self._settings),
        )
        reach_any(producer.client)
        try:
            with translated(self._topic):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await producer.start()
                    while len(await producer.partitions_for(self._topic)) < partitions:
                        await producer.client.force_metadata_update()
            yield Copier(producer, self._topic)
        finally:
            await producer.stop()


@asynccontextmanager
async def opened(settings: KafkaSettings, topic: str) -> AsyncIterator[Changelog]:
    """Give the changelog; belongs to no group, and commits nothing."""
    async with reading(
        settings,
        topic,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=_POLL_MS // 2,
    ) as consumer:
        yield Changelog(settings, topic, consumer)
