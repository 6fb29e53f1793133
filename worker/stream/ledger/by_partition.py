"""The ledger as the use case asks it: by the partition of the record in hand."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust.types.tuples import RecordMetadata

from topics.record import Record
from worker.domain.identity import UNNAMED_ORG
from worker.domain.ledger import Standing
from worker.domain.memory import Memory, Name
from worker.domain.settlement import Subject
from worker.enrolment.ports import Stamps
from worker.kafka.partitioners import key_hashes_of
from worker.kafka.sizes import LARGEST_ENTRY_BYTES
from worker.ledger import format as ledger_format
from worker.ledger.entries import (
    EventPlan,
    KeyHashes,
    LedgerEntry,
    MemoryEntry,
    NameEntry,
    Result,
    StandingEntry,
)
from worker.ledger.standings import entries_of, standing_of
from worker.stream.acknowledged import refused
from worker.stream.delivery.send_fence import SendFence
from worker.stream.ledger.standing_orgs import StandingOrganisations
from worker.stream.ledger.table import LedgerTable

LARGEST_NOTE_BYTES: Final = 64 * 1024
"""Of a customer who is listed more than that, nothing is remembered."""


class LedgerEntryTooLarge(ValueError):  # noqa: N818 - its name is what the dead letter says
    """An entry is larger than its topic can take: the API listed more of a customer than can be kept."""


class FaustLedger:
    """The entries that this process holds, by partition. Implements `worker.enrolment.ports.Ledger`."""

    def __init__(
        self,
        table: LedgerTable,
        fence: SendFence,
        stamps: Stamps,
        generation: Callable[[], int],
        producer: Callable[[], AIOKafkaProducer],
        *,
        connected: bool = False,
    ) -> None:
        """Take it, with `connected`, that each promotion tells its own organisation (v2.1).

        `generation` tells which one of the group this process is a member in. Entries go to the `producer`
        itself: Faust's buffer of table changes costs more than the sending.
        """
        self._producer = producer
        self._stamps = stamps
        self._table = table
        self._fence = fence
        self._generation = generation
        self._topic = table.changelog_topic.get_topic_name()
        self._organisations = None if connected else StandingOrganisations(table)
        self._noted: dict[tuple[int, bytes], bytes] = {}
        """Notes that Kafka has not acknowledged yet."""

    def of(self, record: Record) -> "TablePartition":
        """Return the ledger of the record's partition, which must be ours."""
        return TablePartition(self, record.position.partition, record.key)

    def every(self) -> Iterator["TablePartition"]:
        """Yield the ledger of each partition that is ours; an entry's place stays as it was noted."""
        for partition in range(self._table.partitions or 0):
            if self._table.is_ours(partition) and self._table.data.is_open(partition):
                yield TablePartition(self, partition, None, keeps_places=True)

    def entries(self) -> int:
        """Return about how many entries this process holds; does not count them one by one."""
        return self._table.data.count()

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return the value of an entry, None when there is none. Raises LedgerFailed."""
        noted = self._noted.get((partition, key)) if self._noted else None
        return self._table.data.value(partition, key) if noted is None else noted

    async def note(self, partition: int, key: bytes, value: bytes) -> None:
        """Give an entry to the producer that is read from now on, and may get lost."""
        place = partition, key
        self._noted[place] = value

        def over(_: object) -> None:
            if self._noted.get(place) is value:
                del self._noted[place]

        try:
            kept = await self.send(partition, key, value, is_note=True)
        except BaseException:
            over(None)
            raise
        kept.add_done_callback(over)

    def learnt(self, here: int) -> int | None:
        """Return the organisation that was learnt in this partition, else in another one of ours."""
        store, count = self._table.data, self._table.partitions or 0
        for partition in (here, *range(count)):
            key = ledger_format.organisation_key(partition)
            value = store.value(partition, key) if store.is_open(partition) else None
            if value is not None:
                return ledger_format.read_organisation(value)
        return None

    def organisations(self, partition: int) -> frozenset[int]:
        """Return the organisations that the partition's standings were written under."""
        if self._organisations is None:
            return frozenset()
        return self._organisations.of(partition, self._generation())

    def standing_written(self, partition: int, org_id: int) -> None:
        """Note under which organisation a standing is written."""
        if self._organisations is not None:
            self._organisations.written(partition, org_id)

    async def send(
        self, partition: int, key: bytes, value: bytes, *, is_note: bool = False
    ) -> asyncio.Future[None]:
        """Give an entry to the producer.

        Return what is done once Kafka has acknowledged the entry and the store has it.
        """
        producer = self._producer()
        kept = asyncio.get_running_loop().create_future()
        self._fence.opened()
        try:
            sent_ms = self._stamps.stamp_ms()
            sent: asyncio.Future[RecordMetadata] = await producer.send(
                self._topic, value, key, partition, timestamp_ms=sent_ms
            )
        except BaseException:
            self._fence.closed()
            raise
        sent.add_done_callback(
            partial(self._table.acknowledged, key, value, kept, sent_ms=sent_ms, is_note=is_note)
        )
        sent.add_done_callback(lambda _: self._fence.closed())
        return kept


class TablePartition:
    """The ledger's entries of one record's partition. Implements `worker.enrolment.ports.PartitionLedger`."""

    def __init__(
        self, whole: FaustLedger, partition: int, record_key: bytes | None, *, keeps_places: bool = False
    ) -> None:
        """Write entries as of a record with this key; or, with `keeps_places`, as of those they replace."""
        self._whole = whole
        self._partition = partition
        self._record_key = record_key
        self._keeps_places = keeps_places

    @cached_property
    def _key_hashes(self) -> KeyHashes | None:
        """Once for all entries: a key may have a megabyte."""
        return key_hashes_of(self._record_key)

    def plan_of(self, event_id: str) -> EventPlan | None:
        """Return the event's plan, None when it never got to its first request."""
        value = self._read(ledger_format.plan_key(event_id))
        return None if value is None else ledger_format.read_plan(value)

    def result_of(self, event_id: str, subject: Subject) -> Result | None:
        """Return what the event's promotion came to, None while it never had a result."""
        value = self._read(ledger_format.result_key(event_id, subject))
        return None if value is None else ledger_format.read_result(value)

    def standing(self, customer_id: int, subject: Subject) -> Standing:
        """Return what is known of the customer in the promotion."""
        return standing_of(self._read, self.organisations(), customer_id, subject)

    def organisation(self) -> int | None:
        """Return the organisation that was learnt in this partition, else in another one of ours.

        A ledger of an earlier release has learnt none: there its standings tell, if all of them agree.
        """
        learnt = self._whole.learnt(self._partition)
        if learnt is not None:
            return learnt
        named = self.organisations() - {UNNAMED_ORG}
        return next(iter(named)) if len(named) == 1 else None

    def organisations(self) -> frozenset[int]:
        """Return the organisations that the partition's standings were written under."""
        return self._whole.organisations(self._partition)

    def memory(self, customer_id: int) -> Memory:
        """Return what is remembered of the customer; nothing if this release cannot read it."""
        value = self._read(ledger_format.memory_key(customer_id))
        with suppress(ValueError):
            return Memory() if value is None else ledger_format.read_memory(value)
        return Memory()

    def name(self, name_hash: str) -> Name | None:
        """Return whom a lookup found under the name that the hash stands for."""
        value = self._read(ledger_format.name_key(name_hash))
        with suppress(ValueError):
            return None if value is None else ledger_format.read_name(value)
        return None

    async def note(self, *entries: MemoryEntry | NameEntry) -> None:
        """Write entries without waiting for Kafka's word; what it refuses, or is too large, is not kept."""
        for entry in entries:
            key, value = self._written(entry)
            if len(value) > LARGEST_NOTE_BYTES and isinstance(entry, MemoryEntry):
                # Nor what was remembered before.
                key, value = self._written(replace(entry, memory=Memory(None, entry.memory.forgotten_at)))
            with suppress(KafkaError):
                await self._whole.note(self._partition, key, value)

    async def write(self, *entries: LedgerEntry) -> None:
        """Write the entries, in this order; returns once Kafka has acknowledged them and the store has them.

        Raises PublishFailed when one of both refuses one, LedgerEntryTooLarge before it would have to. What
        was not sent when the caller is cancelled is as if the process had died there.
        """
        written = [self._written(each) for entry in entries for each in self._in_place(entry)]
        if any(len(value) > LARGEST_ENTRY_BYTES for _, value in written):
            raise LedgerEntryTooLarge
        # Futures of our own: a cancelled handler does not cancel records that are on their way with others.
        kept: list[asyncio.Future[None]] = []
        try:
            for key, value in written:
                kept.append(await self._whole.send(self._partition, key, value))
            for each in kept:
                await each
        except KafkaError as error:
            raise refused("ledger", error) from error
        finally:
            # Nobody waits for the rest.
            for each in kept:
                each.cancel()

    def _written(self, entry: LedgerEntry) -> tuple[bytes, bytes]:
        written = ledger_format.write(entry, self._key_hashes)
        before = self._read(written[0]) if self._keeps_places else None
        if before is None:
            return written
        return ledger_format.write(entry, ledger_format.read_key_hashes(before))

    def _in_place(self, entry: LedgerEntry) -> tuple[LedgerEntry, ...]:
        """Return the entry, with what empties those whose place it takes."""
        if not isinstance(entry, StandingEntry):
            return (entry,)
        every = entries_of(self._read, self.organisations(), entry)
        self._whole.standing_written(self._partition, entry.subject.org_id)
        return every

    def _read(self, key: bytes) -> bytes | None:
        return self._whole.read(self._partition, key)
