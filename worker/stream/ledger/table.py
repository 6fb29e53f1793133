"""The ledger as a Faust table: local reads, writes that return once Kafka has acknowledged them."""

import asyncio
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust import App
from faust.tables.table import Table
from faust.types.tuples import RecordMetadata

from topics.record import Record
from worker.domain.identity import UNNAMED_ORG
from worker.domain.ledger import Standing
from worker.domain.settlement import Subject
from worker.enrolment.ports import PublishFailed, Stamps
from worker.kafka.partitioners import key_hashes_of
from worker.kafka.sizes import LARGEST_ENTRY_BYTES
from worker.ledger import format as ledger_format
from worker.ledger.entries import EventPlan, KeyHashes, LedgerEntry, Result, StandingEntry
from worker.ledger.standings import entries_of, standing_of
from worker.stream.acknowledged import refused
from worker.stream.delivery.send_fence import SendFence
from worker.stream.ledger.disk import STORE_OPTIONS, DiskLedger
from worker.stream.ledger.guard import LedgerGuard
from worker.stream.ledger.standing_orgs import StandingOrganisations
from worker.stream.ledger.store import LedgerStore, Mark, MemoryLedger, fingerprint

NAME: Final = "ledger"
_BY_BROKER: Final = 1
"""Who stamps a topic's records, as aiokafka has it: LogAppendTime."""
RECOVERY_BATCH: Final = 10_000
"""Entries written to the store at once while it is rebuilt."""


class LedgerTable(Table[bytes, bytes]):
    """A table that trusts its local copy only as far as it followed every write to the changelog."""

    data: LedgerStore  # type: ignore[assignment]  # Faust's stores are mappings, which ours is asked as nowhere

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - Faust's own
        guard: LedgerGuard,
        owns: Callable[[str, int], bool],
        **options: Any,  # noqa: ANN401 - Faust's own
    ) -> None:
        """`owns` tells whether a topic's partition is assigned to us now."""
        self._guard = guard
        self._owns = owns
        super().__init__(*arguments, **options)

    def _new_store_by_url(self, url: Any) -> Any:  # noqa: ANN401 - Faust's own
        kind = DiskLedger if str(url).startswith("rocksdb") else MemoryLedger
        return kind(url, self.app, self, table_name=self.name, loop=self.loop, options=self.options)

    def acknowledged(
        self,
        key: bytes,
        value: bytes,
        kept: asyncio.Future[None],
        sent: asyncio.Future[RecordMetadata],
        *,
        sent_ms: int = 0,
    ) -> None:
        """Keep an entry that Kafka has acknowledged, and tell its writer, who waits for `kept`.

        The writer gets PublishFailed where Kafka refused, or where the store did, or where the store does not
        hold the entry afterwards: who would act on an attempt that cannot be read back would repeat it.
        """
        try:
            to = sent.result()
            # aiokafka tells the time of a batch's first record for all of them.
            stamp = round(to.timestamp or 0) if to.timestamp_type == _BY_BROKER else sent_ms
            self._follow((key, value, stamp), to, is_awaited=not kept.done())
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever RocksDB raises
            if not kept.done():
                kept.set_exception(error if isinstance(error, PublishFailed) else refused("ledger", error))
                # The writer may have given up, or have heard of another entry's failure.
                kept.exception()
        else:
            if not kept.done():
                kept.set_result(None)

    def _follow(self, record: tuple[bytes, bytes, int], to: RecordMetadata, *, is_awaited: bool) -> None:
        """Write the entry to the store, with its offset unless others were written before it.

        Only once it is acknowledged: what only this disk has would be believed after a kill, and be missing
        on the machine that the partition goes to next. A gap in the offsets means that another process wrote
        to the partition, one that took over while we were frozen: the mark stays behind, and the next
        recovery reads what we lack. A late acknowledgement for a partition that is no longer ours must not
        open its database again; nobody waits for it.

        An offset that the store has passed already is one of two things: a late acknowledgement of an entry
        that a recovery has read, or the sign of a changelog that begins anew.
        """
        (key, value, _), partition, offset = record, to.partition, to.offset
        if not self._owns(to.topic, partition):
            raise PublishFailed("ledger: the partition is not ours any more")
        mark = self.data.mark(partition)
        if offset < 0:
            # A repeat that Kafka knew, and knew no offset of any more.
            self.data.keep(partition, [(key, value)], None)
            return
        if mark is not None and offset <= mark.offset:
            if self.data.value(partition, key) == value:
                return
            if is_awaited:
                self._guard.cut(partition, mark.offset, offset)
            raise PublishFailed("ledger: it was acknowledged at an offset that was taken")
        follows = offset == (-1 if mark is None else mark.offset) + 1
        new = Mark(offset, fingerprint(*record)) if follows else None
        self.data.keep(partition, [(key, value)], new)


def ledger_table(
    app: App, partitions: int, guard: LedgerGuard, owns: Callable[[str, int], bool]
) -> LedgerTable:
    """Declare the table; its changelog topic must exist, with as many partitions as the activity topic."""
    rocksdb = app.conf.store.scheme == "rocksdb"
    table = LedgerTable(
        app,
        name=NAME,
        beacon=app.tables.beacon,
        key_type=bytes,
        value_type=bytes,
        partitions=partitions,
        options=dict(STORE_OPTIONS) if rocksdb else {},
        recovery_buffer_size=RECOVERY_BATCH,
        guard=guard,
        owns=owns,
    )
    app.tables.add(table)
    return table


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

    def of(self, record: Record) -> "TablePartition":
        """Return the ledger of the record's partition, which must be ours."""
        return TablePartition(self, record)

    def entries(self) -> int:
        """Return about how many entries this process holds; does not count them one by one."""
        return self._table.data.count()

    def read(self, partition: int, key: bytes) -> bytes | None:
        """Return the value of an entry, None when there is none. Raises LedgerFailed."""
        return self._table.data.value(partition, key)

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

    async def send(self, partition: int, key: bytes, value: bytes) -> asyncio.Future[None]:
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
        sent.add_done_callback(partial(self._table.acknowledged, key, value, kept, sent_ms=sent_ms))
        sent.add_done_callback(lambda _: self._fence.closed())
        return kept


class TablePartition:
    """The ledger's entries of one record's partition. Implements `worker.enrolment.ports.PartitionLedger`."""

    def __init__(self, whole: FaustLedger, record: Record) -> None:
        self._whole = whole
        self._partition = record.position.partition
        self._record_key = record.key

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

    async def write(self, *entries: LedgerEntry) -> None:
        """Write the entries, in this order; returns once Kafka has acknowledged them and the store has them.

        Raises PublishFailed when one of both refuses one, LedgerEntryTooLarge before it would have to. What
        was not sent when the caller is cancelled is as if the process had died there.
        """
        written = [
            ledger_format.write(each, self._key_hashes) for entry in entries for each in self._in_place(entry)
        ]
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

    def _in_place(self, entry: LedgerEntry) -> tuple[LedgerEntry, ...]:
        """Return the entry, with what empties those whose place it takes."""
        if not isinstance(entry, StandingEntry):
            return (entry,)
        every = entries_of(self._read, self.organisations(), entry)
        self._whole.standing_written(self._partition, entry.subject.org_id)
        return every

    def _read(self, key: bytes) -> bytes | None:
        return self._whole.read(self._partition, key)
