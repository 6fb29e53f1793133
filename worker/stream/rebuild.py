"""The ledger read back from its changelog in raw batches, where Faust's own recovery goes record by record.

Faust hands each record of a changelog through its stream machinery; a ledger of a million entries takes
minutes so. And what it loses around a seek there nobody would miss: a recovery counts as complete once the
last record has come. Here a consumer of its own writes whole batches to the store, and Faust's recovery,
which follows, finds nothing left to do.
"""

import time
from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, cast

import rocksdict
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord
from faust.stores.memory import Store as MemoryStore
from faust.stores.rocksdb import Store as RocksDBStore
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP
from faust.types.transports import ConsumerT

if TYPE_CHECKING:
    from worker.stream.app import WorkerApp
    from worker.stream.ledger import LedgerTable

log = structlog.get_logger(__name__)

_BATCH: Final = 20_000
_FETCH_BYTES: Final = 4 * 1024 * 1024

Records = list[ConsumerRecord[bytes, bytes | None]]


class RebuildingTables(TableManager):
    """Faust's table manager with the recovery below."""

    @property
    def recovery(self) -> "RawRecovery":
        """The recovery service."""
        if self._recovery is None:
            self._recovery = RawRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast("RawRecovery", self._recovery)


class RawRecovery(Recovery):
    """Faust's recovery, with most of its work done before it seeks to where it starts."""

    async def _build_offsets(
        self, consumer: ConsumerT, tps: set[TP], destination: Counter[TP], title: str
    ) -> None:
        """Find out where to start from, which is the end once the batches are written.

        Faust cancels this when another rebalance begins; what was written until then counts.
        """
        await super()._build_offsets(consumer, tps, destination, title)
        ends = {tp: self.active_highwaters.get(tp, -1) for tp in tps}
        behind = {tp: end for tp, end in ends.items() if end > destination[tp]}
        if not behind:
            return
        started = time.monotonic()
        log.info("rebuilding the ledger", partitions=sorted(tp.partition for tp in behind))
        read = await self._read(behind, destination)
        log.info("ledger rebuilt", entries=read, seconds=round(time.monotonic() - started, 1))

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ANN401, ARG002, ASYNC109 - Faust's
        """Wait as long as it takes: Faust's limit is one request's, and a rebuild that stalls is noticed."""
        await super()._wait(coro)

    async def _read(self, behind: Mapping[TP, int], offsets: MutableMapping[TP, int]) -> int:
        reader = AIOKafkaConsumer(
            **cast("WorkerApp", self.app).aiokafka_options,
            enable_auto_commit=False,
            # Where retention has moved the beginning meanwhile.
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_bytes=8 * _FETCH_BYTES,
        )
        read = 0
        async with reader:
            reader.assign([TopicPartition(*tp) for tp in behind])
            for tp in behind:
                reader.seek(TopicPartition(*tp), max(offsets[tp] + 1, 0))
            # By position: where the changelog's end has no records any more, none comes.
            while any([await reader.position(TopicPartition(*tp)) <= end for tp, end in behind.items()]):
                batches = await reader.getmany(timeout_ms=1000, max_records=_BATCH)
                for at, records in batches.items():
                    tp = TP(at.topic, at.partition)
                    _write(cast("LedgerTable", self.tp_to_table[tp]).data, tp, records)
                    offsets[tp] = records[-1].offset
                    read += len(records)
        for tp, end in behind.items():
            offsets[tp] = max(offsets[tp], end)
        return read


def _write(store: Any, tp: TP, records: Records) -> None:  # noqa: ANN401 - RocksDB or memory
    """Write records to the store; a null value deletes its key."""
    if isinstance(store, RocksDBStore):
        batch = rocksdict.WriteBatch(raw_mode=True)
        for record in records:
            if record.value is None:
                batch.delete(record.key)
            else:
                batch.put(record.key, record.value)
        store._db_for_partition(tp.partition).write(batch)  # noqa: SLF001 - what its apply_changelog_batch does
        store.set_persisted_offset(tp, records[-1].offset)
    elif isinstance(store, MemoryStore):
        for record in records:
            if record.value is None:
                store.data.pop(record.key, None)
            else:
                store.data[record.key] = record.value
                store._key_partition[record.key] = tp.partition  # noqa: SLF001 - by which it drops lost partitions
