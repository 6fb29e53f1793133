"""The ledger as a Faust table: local reads, writes that return once Kafka has acknowledged them."""

import asyncio
from functools import partial
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from aiokafka.errors import KafkaError
from faust import App
from faust.stores.memory import Store as MemoryStore
from faust.stores.rocksdb import Store as RocksDBStore
from faust.streams import current_event
from faust.tables.table import Table
from faust.transport.drivers.aiokafka import Producer
from faust.types import TP, EventT
from faust.types.tuples import RecordMetadata
from rocksdict import WriteBatch

from worker import ledger_format
from worker.domain.identity import UNNAMED_ORG
from worker.domain.ledger import Standing
from worker.domain.settlement import Subject
from worker.plans import EventPlan, Lane, LedgerEntry, Result, StandingEntry
from worker.ports import Stamps
from worker.standings import entries_of, standing_of
from worker.stream.acknowledged import refused
from worker.stream.consumer import Consumer
from worker.stream.ledger_fence import LedgerFence
from worker.stream.placement import lane_of_key
from worker.stream.standing_orgs import StandingOrganisations

NAME: Final = "ledger"
LARGEST_ENTRY_BYTES: Final = 1_000_000
"""Below Kafka's default for a batch, which the ledger's topic has."""
RECOVERY_BATCH: Final = 10_000
"""Entries written to the store at once while it is rebuilt."""

_MIB: Final = 1024 * 1024
STORE_OPTIONS: Final = {
    # A partition's share of memory; Faust's defaults reserve gigabytes for each.
    "write_buffer_size": 2 * _MIB,
    "max_write_buffer_number": 2,
    "target_file_size_base": 16 * _MIB,
    "block_cache_size": 4 * _MIB,
    "bloom_filter_size": 10,
}


class LedgerTable(Table[bytes, bytes]):
    """A table that trusts its local copy only as far as it followed every write to the changelog."""

    def acknowledged(
        self, key: bytes, value: bytes, kept: asyncio.Future[None], sent: asyncio.Future[RecordMetadata]
    ) -> None:
        """Keep an entry that Kafka has acknowledged, and tell its writer, who waits for `kept`.

        The writer gets PublishFailed where Kafka refused, or where the store did: who would act on an attempt
        that cannot be read back would repeat it.
        """
        try:
            self._follow(key, value, sent.result())
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever RocksDB raises
            if not kept.done():
                kept.set_exception(refused("ledger", error))
                # The writer may have given up, or have heard of another entry's failure.
                kept.exception()
        else:
            if not kept.done():
                kept.set_result(None)

    def _follow(self, key: bytes, value: bytes, to: RecordMetadata) -> None:
        """Write the entry to the store, with its offset unless others were written before it.

        Only once it is acknowledged: what only this disk has would be believed after a kill, and be missing
        on the machine that the partition goes to next. A gap in the offsets means that another process wrote
        to the partition, one that took over while we were frozen: the offset stays behind, and the next
        recovery reads what we lack. So does a late acknowledgement for a partition that is no longer ours,
        whose database must not be opened again.
        """
        tp, offset = TP(to.topic, to.partition), to.offset
        if not cast("Consumer", self.app.consumer).owns(tp):
            return
        held = self.data.persisted_offset(tp)
        if held is not None and offset <= held:
            return
        _keep(self.data, tp, key, value, offset if offset == (-1 if held is None else held) + 1 else None)


def _keep(store: Any, tp: TP, key: bytes, value: bytes, offset: int | None) -> None:  # noqa: ANN401 - RocksDB or memory
    """Write an entry to the store, outside of its delivery, by which Faust would find the partition."""
    if isinstance(store, RocksDBStore):
        # Both at once or neither, as `apply_changelog_batch` does it.
        batch = WriteBatch(raw_mode=True)
        batch.put(key, value)
        if offset is not None:
            batch.put(store.offset_key, b"%d" % offset)
        store._db_for_partition(tp.partition).write(batch)  # noqa: SLF001 - what its _set does
    elif isinstance(store, MemoryStore):
        store.data[key] = value
        store._key_partition[key] = tp.partition  # noqa: SLF001 - by which it drops lost partitions


def ledger_table(app: App, partitions: int) -> LedgerTable:
    """Declare the table; its changelog topic must exist, with as many partitions as the activity topic."""
    rocksdb = app.conf.store.scheme == "rocksdb"
    table = app.Table(
        NAME,
        key_type=bytes,
        value_type=bytes,
        partitions=partitions,
        options=dict(STORE_OPTIONS) if rocksdb else {},
        recovery_buffer_size=RECOVERY_BATCH,
    )
    return cast("LedgerTable", table)


class LedgerEntryTooLarge(ValueError):  # noqa: N818 - its name is what the dead letter says
    """An entry is larger than its topic can take: the API listed more of a customer than can be kept."""


class FaustLedger:
    """The entries of the partition whose event is being handled. Implements `worker.ports.Ledger`.

    Works in the context of a delivery only: the partition is that of Faust's current event.
    """

    def __init__(
        self, table: LedgerTable, fence: LedgerFence, stamps: Stamps, *, connected: bool = False
    ) -> None:
        """Take it, with `connected`, that each promotion tells its own organisation (v2.1)."""
        self._stamps = stamps
        self._table = table
        self._fence = fence
        self._topic = table.changelog_topic.get_topic_name()
        self._lanes: WeakKeyDictionary[EventT[Any], Lane | None] = WeakKeyDictionary()
        """Of the deliveries in work: a key may have a megabyte, and an event many entries."""
        self._organisations = None if connected else StandingOrganisations(table)

    def plan_of(self, event_id: str) -> EventPlan | None:
        """Return the event's plan, None where it never got to its first request."""
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

        A ledger of an earlier release has learnt none: there its standings tell, where all of them agree.
        """
        here, count = _delivery().message.partition, self._table.partitions or 0
        for partition in (here, *range(count)):
            value = self._read_at(partition, ledger_format.organisation_key(partition))
            if value is not None:
                return ledger_format.read_organisation(value)
        named = self.organisations() - {UNNAMED_ORG}
        return next(iter(named)) if len(named) == 1 else None

    def organisations(self) -> frozenset[int]:
        """Return the organisations that the partition's standings were written under."""
        if self._organisations is None:
            return frozenset()
        message = _delivery().message
        return self._organisations.of(message.partition, message.generation_id)

    async def write(self, *entries: LedgerEntry) -> None:
        """Write the entries, in this order; returns once Kafka has acknowledged them and the store has them.

        Raises PublishFailed where one of both refuses one, LedgerEntryTooLarge before it would have to. What
        was not sent when the caller is cancelled is as if the process had died there.
        """
        event = _delivery()
        lane, partition = self._lane_of(event), event.message.partition
        written = [
            ledger_format.write(each, lane) for entry in entries for each in self._in_place(entry, partition)
        ]
        if any(len(value) > LARGEST_ENTRY_BYTES for _, value in written):
            raise LedgerEntryTooLarge
        try:
            kept = [await self._send(partition, key, value) for key, value in written]
        except KafkaError as error:
            raise refused("ledger", error) from error
        # Futures of our own: a cancelled handler does not cancel records that are on their way with others.
        for each in kept:
            await each

    def _in_place(self, entry: LedgerEntry, partition: int) -> tuple[LedgerEntry, ...]:
        """Return the entry, with what empties those whose place it takes."""
        if not isinstance(entry, StandingEntry):
            return (entry,)
        every = entries_of(self._read, self.organisations(), entry)
        if self._organisations is not None:
            self._organisations.written(partition, entry.subject.org_id)
        return every

    def entries(self) -> int:
        """Return about how many entries this process holds; does not count them one by one."""
        store = self._table.data
        if isinstance(store, RocksDBStore):
            sizes = (db.property_int_value("rocksdb.estimate-num-keys") for db in store._dbs.values())  # noqa: SLF001 - it counts exactly, by reading all
            return sum(size or 0 for size in sizes)
        return len(store)

    def _lane_of(self, event: EventT[Any]) -> Lane | None:
        if event not in self._lanes:
            self._lanes[event] = lane_of_key(event.message.key)
        return self._lanes[event]

    async def _send(self, partition: int, key: bytes, value: bytes) -> asyncio.Future[None]:
        """Give it to the producer itself: Faust's buffer of table changes costs more than the sending."""
        producer = cast("Producer", self._table.app.producer)._ensure_producer()  # noqa: SLF001 - see above
        kept = asyncio.get_running_loop().create_future()
        self._fence.opened()
        try:
            sent: asyncio.Future[RecordMetadata] = await producer.send(
                self._topic, value, key, partition, timestamp_ms=self._stamps.stamp_ms()
            )
        except BaseException:
            self._fence.closed()
            raise
        sent.add_done_callback(partial(self._table.acknowledged, key, value, kept))
        sent.add_done_callback(lambda _: self._fence.closed())
        return kept

    def _read(self, key: bytes) -> bytes | None:
        event, store = current_event(), self._table.data
        if event is not None and isinstance(store, RocksDBStore):
            # Faust's own way there raises for each key that is absent, and remembers each that is not.
            return cast("bytes | None", store._db_for_partition(event.message.partition).get(key))  # noqa: SLF001 - what its _get does
        return cast("bytes | None", store.get(key))

    def _read_at(self, partition: int, key: bytes) -> bytes | None:
        """Read of a partition that may not be ours, then None."""
        store = self._table.data
        if isinstance(store, RocksDBStore):
            database = store._dbs.get(partition)  # noqa: SLF001 - one that is not open must not be opened
            return None if database is None else cast("bytes | None", database.get(key))
        return cast("bytes | None", store.get(key))


def _delivery() -> EventT[Any]:
    event = current_event()
    if event is None:
        raise RuntimeError("the ledger is used outside of a delivery")
    return event
