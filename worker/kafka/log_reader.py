"""Topics read by position, outside of any group: from one offset to another, committing nothing."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from topics.record import Position, Record
from worker.kafka import raw_batches
from worker.kafka.consumers import reading
from worker.kafka.errors import KafkaFailed, translated
from worker.settings import KafkaSettings

_BATCH: Final = 2_000
_POLL_MS: Final = 200
_FETCH_BYTES: Final = 4 * 1024 * 1024
_PATIENCE_SECONDS: Final = 75.0
"""Longer than a producer's transaction stays open by default."""


class LogReader:
    """Reads what lies in topics. Calls wait for Kafka and raise KafkaFailed."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def records(self, topic: str, partition: int, start: int, end: int) -> AsyncGenerator[Record, None]:
        """Yield a partition's records from one offset up to before another, which must come to be there."""
        at = TopicPartition(topic, partition)
        if start >= end:
            return
        with translated(topic):
            self._consumer.assign([at])
            self._consumer.seek(at, start)
            reached, heard_at = start, time.monotonic()
            while (position := await self._consumer.position(at)) < end:
                if position > reached:
                    reached, heard_at = position, time.monotonic()
                elif time.monotonic() - heard_at > _PATIENCE_SECONDS:
                    raise KafkaFailed(
                        f"partition {partition} of {topic} cannot be read beyond offset {position}: a "
                        "producer's transaction stays open there, or Kafka does not answer; try again later"
                    )
                batch = await self._consumer.getmany(at, timeout_ms=_POLL_MS, max_records=_BATCH)
                for read in batch.get(at, ()):
                    if read.offset >= end:
                        return
                    yield Record(
                        position=Position(topic, partition, read.offset),
                        timestamp_ms=read.timestamp,
                        key=read.key,
                        value=read.value,
                        headers=tuple(read.headers),
                    )

    async def extent(self, topic: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Return the first and the next offset of each partition (as the reader's isolation lets it see)."""
        wanted = [TopicPartition(topic, number) for number in partitions]
        if not wanted:
            return {}
        with translated(topic):
            starts = await self._consumer.beginning_offsets(wanted)
            ends = await self._consumer.end_offsets(wanted)
        return {at.partition: (starts[at], ends[at]) for at in wanted}

    async def first_since(self, topic: str, times_ms: Mapping[int, int]) -> dict[int, tuple[int, int]]:
        """Return offset and time of each partition's first record that is as new as that, if there is one."""
        if not times_ms:
            return {}
        wanted = {TopicPartition(topic, number): max(at, 0) for number, at in times_ms.items()}
        with translated(topic):
            found = await self._consumer.offsets_for_times(wanted)
        return {at.partition: (hit.offset, hit.timestamp) for at, hit in found.items() if hit is not None}


@asynccontextmanager
async def log_reader(settings: KafkaSettings, *, committed: bool = False) -> AsyncIterator[LogReader]:
    """Give a reader; a committed one sees nothing of transactions that are open or were aborted."""
    raw_batches.install([settings.activity_topic, settings.topic_names.dead_letters])
    async with reading(
        settings,
        ", ".join(settings.kafka_bootstrap_servers),
        auto_offset_reset="earliest",
        isolation_level="read_committed" if committed else "read_uncommitted",
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=_POLL_MS // 2,
    ) as consumer:
        yield LogReader(consumer)
