"""What upstream and downstream see of the worker: records in, records out."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.producer.message_accumulator import BatchBuilder

from tests.support.loop_thread import LoopThread
from topics.record import Headers, Position, Record
from worker.kafka import raw_batches

_LARGEST_BYTES: Final = 16 * 1024 * 1024
_POLL_MS: Final = 20


@dataclass(frozen=True, slots=True)
class Message:
    """A record to be produced. No partition: by the key's hash, as Kafka's clients do."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None
    timestamp_ms: int | None = None
    """None for now."""


class ActivityFeed:
    """Produces records to one topic, in order, acknowledged by all replicas."""

    def __init__(self, loop: LoopThread, bootstrap_servers: str, topic: str) -> None:
        self._loop = loop
        self._servers = bootstrap_servers
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None

    def send(
        self,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> Record:
        """Produce one record and return it as Kafka has it."""
        return self.send_all([Message(value, key, headers, partition)])[0]

    def send_all(self, messages: Iterable[Message]) -> list[Record]:
        """Produce records and return them as Kafka has them, once all are acknowledged."""
        return self._loop.run(self._send_all(messages))

    def send_raw(self, batch: bytes, partition: int = 0) -> Position:
        """Produce a batch as these bytes and return where its first record lies."""
        return self._loop.run(self._send_raw(batch, partition))

    def close(self) -> None:
        """Close the connections."""
        if self._producer is not None:
            self._loop.run(self._producer.stop())

    async def _send_raw(self, batch: bytes, partition: int) -> Position:
        async with AIOKafkaProducer(bootstrap_servers=self._servers, acks="all") as producer:
            sent = await producer.send_batch(_RawBatch(batch), self._topic, partition=partition)
            return Position(self._topic, partition, (await sent).offset)

    async def _send_all(self, messages: Iterable[Message]) -> list[Record]:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self._servers,
                acks="all",
                enable_idempotence=True,
                max_request_size=_LARGEST_BYTES,
            )
            await self._producer.start()
        now = round(time.time() * 1000)
        sent = [
            (
                message,
                await self._producer.send(
                    self._topic,
                    message.value,
                    message.key,
                    message.partition,
                    # Our own: in its answer the client tells the first of the batch.
                    timestamp_ms=now if message.timestamp_ms is None else message.timestamp_ms,
                    headers=list(message.headers),
                ),
            )
            for message in messages
        ]
        return [_as_fed(message, await acknowledged) for message, acknowledged in sent]


class _RawBatch(BatchBuilder):  # type: ignore[misc]  # aiokafka ships no types
    """Bytes that the client takes for a batch that it has built."""

    def __init__(self, batch: bytes) -> None:
        super().__init__(0, 0)
        self._buffer, self._relative_offset = batch, 1
        self.close()


class TopicReader:
    """Reads a topic from its beginning, without a group; what was read is kept.

    A committed one sees nothing of transactions that are open or were aborted.
    """

    def __init__(
        self,
        loop: LoopThread,
        bootstrap_servers: str,
        topic: str,
        partitions: int,
        *,
        committed: bool = False,
    ) -> None:
        self._loop = loop
        self._isolation = "read_committed" if committed else "read_uncommitted"
        self._servers = bootstrap_servers
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer: AIOKafkaConsumer | None = None
        self._records: list[Record] = []

    def read(self) -> list[Record]:
        """Return every record from the topic's beginning to its present end, in order per partition."""
        self._loop.run(self._read())
        return self._records

    def close(self) -> None:
        """Close the connections."""
        if self._consumer is not None:
            self._loop.run(self._consumer.stop())

    async def _read(self) -> None:
        if self._consumer is None:
            raw_batches.install()
            self._consumer = AIOKafkaConsumer(
                bootstrap_servers=self._servers,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level=self._isolation,
                max_partition_fetch_bytes=_LARGEST_BYTES,
                # The question for a topic's end waits behind a fetch that waits for records.
                fetch_max_wait_ms=_POLL_MS,
            )
            await self._consumer.start()
            self._consumer.assign(self._partitions)
        ends = await self._consumer.end_offsets(self._partitions)
        while any([await self._consumer.position(at) < end for at, end in ends.items()]):
            for records in (await self._consumer.getmany(timeout_ms=_POLL_MS)).values():
                self._records.extend(_as_record(each) for each in records)


@dataclass(frozen=True)
class OutcomeRecord:
    """An outcome record, with its value and headers read."""

    record: Record

    @cached_property
    def value(self) -> dict[str, Any]:
        """The JSON object."""
        value: dict[str, Any] = json.loads(self.record.value or b"")
        return value

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers by name; a repeated name is an error."""
        names = [name for name, _ in self.record.headers]
        assert len(set(names)) == len(names), f"repeated headers: {names}"
        return {name: (value or b"").decode() for name, value in self.record.headers}

    @property
    def name(self) -> str:
        """The outcome, such as ENROLLED."""
        return str(self.value["outcome"])

    @property
    def event_id(self) -> str:
        """Identity of the event that it answers."""
        return str(self.value["activity"]["eventId"])


class OutcomeReader:
    """Reads the outcome topic."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader
        self._outcomes: list[OutcomeRecord] = []

    def read(self) -> list[OutcomeRecord]:
        """Return every outcome so far, in order per partition."""
        records = self._reader.read()
        self._outcomes.extend(OutcomeRecord(record) for record in records[len(self._outcomes) :])
        return self._outcomes

    def of(self, event_id: str) -> list[OutcomeRecord]:
        """Return the outcomes of one event so far."""
        return [outcome for outcome in self.read() if outcome.event_id == event_id]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter: the original key, value and headers, and what the worker added."""

    record: Record
    foreign: Headers
    error: dict[str, str] = field(repr=False)
    """The worker's headers without their prefix `enrolment.error.`."""


class DeadLetterReader:
    """Reads the dead-letter topic."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader

    def read(self) -> list[DeadLetter]:
        """Return every dead letter so far, in order per partition."""
        return list(map(_as_dead_letter, self._reader.read()))

    def of(self, record: Record) -> list[DeadLetter]:
        """Return the dead letters that an activity record led to."""
        at = (record.position.topic, str(record.position.partition), str(record.position.offset))
        return [each for each in self.read() if _origin(each) == at]


async def committed_offsets(bootstrap_servers: str, group: str) -> dict[tuple[str, int], int]:
    """Return the offset that a group has committed for each topic and partition."""
    return {at: offset for at, (offset, _) in (await committed_notes(bootstrap_servers, group)).items()}


async def committed_notes(bootstrap_servers: str, group: str) -> dict[tuple[str, int], tuple[int, str]]:
    """Return the same with the text beside each offset."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {(at.topic, at.partition): (kept.offset, kept.metadata) for at, kept in found.items()}


def _origin(letter: DeadLetter) -> tuple[str, str, str]:
    return letter.error["topic"], letter.error["partition"], letter.error["offset"]


def _as_dead_letter(record: Record) -> DeadLetter:
    prefix, names = "enrolment.error.", [name for name, _ in record.headers]
    begin = max((at for at, name in enumerate(names) if name == f"{prefix}reason"), default=len(names))
    behind = record.headers[begin:]
    ours = [(name.removeprefix(prefix), value) for name, value in behind if name.startswith(prefix)]
    assert len(dict(ours)) == len(ours), f"repeated headers: {ours}"
    foreign = record.headers[:begin] + tuple(each for each in behind if not each[0].startswith(prefix))
    return DeadLetter(record, foreign, {name: (value or b"").decode() for name, value in ours})


def _as_fed(message: Message, at: Any) -> Record:  # noqa: ANN401 - aiokafka ships no types
    position = Position(at.topic, at.partition, at.offset)
    return Record(
        position=position,
        timestamp_ms=at.timestamp,
        key=message.key,
        value=message.value,
        headers=message.headers,
    )


def _as_record(read: Any) -> Record:  # noqa: ANN401 - aiokafka ships no types
    position = Position(read.topic, read.partition, read.offset)
    return Record(
        position=position,
        timestamp_ms=read.timestamp,
        key=read.key,
        value=read.value,
        headers=tuple(read.headers),
    )
