"""The ledger as a Faust table: local reads, writes that return once Kafka has acknowledged them."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from faust import App
from faust.tables.table import Table
from faust.types.tuples import RecordMetadata

from worker.enrolment.ports import PublishFailed
from worker.stream.acknowledged import refused
from worker.stream.ledger.disk import STORE_OPTIONS, DiskLedger
from worker.stream.ledger.guard import LedgerGuard
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

    def is_ours(self, partition: int) -> bool:
        """Tell whether the partition is assigned to us now."""
        return self._owns(self.changelog_topic.get_topic_name(), partition)

    def acknowledged(
        self,
        key: bytes,
        value: bytes,
        kept: asyncio.Future[None],
        sent: asyncio.Future[RecordMetadata],
        *,
        sent_ms: int = 0,
        is_note: bool = False,
    ) -> None:
        """Keep an entry that Kafka has acknowledged, and tell its writer, who waits for `kept`.

        Nobody waits for a note, not even while its future is open.

        The writer gets PublishFailed if Kafka refused, or if the store did, or if the store does not
        hold the entry afterwards: who would act on an attempt that cannot be read back would repeat it.
        """
        try:
            to = sent.result()
            # aiokafka tells the time of a batch's first record for all of them.
            stamp = round(to.timestamp or 0) if to.timestamp_type == _BY_BROKER else sent_ms
            self._follow((key, value, stamp), to, is_awaited=not (is_note or kept.done()))
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
