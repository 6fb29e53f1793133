"""The ledger read back from its changelog in raw batches; Faust's own recovery goes record by record.

Faust hands each record of a changelog through its stream machinery; a ledger of a million entries takes
minutes so. And what it loses around a seek there nobody would miss: a recovery counts as complete once the
last record has come. Here a consumer of its own writes whole batches to the store, and Faust's recovery,
which follows, finds nothing left to do.

We read on from a local copy only if the changelog still has the record that it read last; else it may be
the copy of another log: one that lost its end and was written on by others, or that was made anew.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP, AppT
from faust.types.transports import ConsumerT

from worker.enrolment.ports import LedgerFailed
from worker.kafka.bootstrap import reach_any
from worker.kafka.topic_identity import identity_of
from worker.stream.ledger.guard import LedgerGuard
from worker.stream.ledger.store import FAILED, LedgerStore, Mark, fingerprint
from worker.stream.ledger.table import LedgerTable

log = structlog.get_logger(__name__)

_BATCH: Final = 20_000
_FETCH_BYTES: Final = 4 * 1024 * 1024
_LOOK_SECONDS: Final = 30.0
"""How long one record is waited for."""
_AGAIN_SECONDS: Final = 1.0
_LOOKS: Final = 3
"""In a row that find an end too early: a leader that was just elected may not know all that was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a recovery reads with, and is judged by."""

    options: Mapping[str, Any]
    """Of the consumer that reads the changelog."""
    guard: LedgerGuard
    noted_ends: Callable[[Collection[int]], Awaitable[Mapping[int, int]]]
    """Up to which offset of these ledger partitions the group's committed offsets rest on."""
    refuse: Callable[[str], object]
    """Ends the process, with a line for the operator."""


class RebuildingTables(TableManager):
    """Faust's table manager with the recovery below."""

    def __init__(self, app: AppT, reading: Reading, **options: Any) -> None:  # noqa: ANN401 - Faust's own
        super().__init__(app, **options)
        self._reading = reading

    async def on_start(self) -> None:
        """Begin at once: Faust waits a second for tables that are declared late, and ours is there by now."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> "RawRecovery":
        """The recovery service."""
        if self._recovery is None:
            self._recovery = RawRecovery(self.app, self, self._reading, beacon=self.beacon, loop=self.loop)
        return cast("RawRecovery", self._recovery)

    def held(self, partition: int) -> int | None:
        """Return up to which offset the ledger's partition is held, None while it is not ours, or empty.

        From any thread: nothing is read or opened for it.
        """
        ledgers = cast("Iterable[LedgerTable]", self.data.values())
        marks = [table.data.known_mark(partition) for table in ledgers]
        return next((mark.offset for mark in marks if mark is not None), None)


class RawRecovery(Recovery):
    """Faust's recovery, with most of its work done before it seeks to where it starts."""

    def __init__(self, app: AppT, tables: TableManager, reading: Reading, **options: Any) -> None:  # noqa: ANN401 - Faust's own
        self._reading = reading
        super().__init__(app, tables, **options)

    async def _build_offsets(
        self, consumer: ConsumerT, tps: set[TP], destination: Counter[TP], title: str
    ) -> None:
        """Find out where to start from, which is the end once the batches are written.

        Faust cancels this when another rebalance begins; what was written until then counts.
        """
        if not tps:
            await super()._build_offsets(consumer, tps, destination, title)
            return
        while True:
            try:
                await self._read_back(consumer, tps, destination, title)
            except LedgerFailed:
                self._reading.refuse(FAILED)
                await _until_the_process_ends()
            except KafkaError as error:
                if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                    raise
                log.warning("the ledger cannot be read back yet; trying again", error=type(error).__name__)
            else:
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _read_back(
        self, consumer: ConsumerT, tps: set[TP], destination: Counter[TP], title: str
    ) -> None:
        reader = AIOKafkaConsumer(
            **self._reading.options,
            enable_auto_commit=False,
            # If retention has moved the beginning meanwhile.
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_bytes=8 * _FETCH_BYTES,
        )
        reach_any(reader._client)  # noqa: SLF001 - its way to the cluster
        try:
            await reader.start()
            await self._ensure_same_topics(reader, {tp.topic for tp in tps})
            await self._ensure_whole(reader, tps)
            for tp in tps:
                # None is Faust's word for the beginning.
                destination[tp] = cast("int", await self._trusted(reader, tp))
            await super()._build_offsets(consumer, tps, destination, title)
            ends = {tp: self.active_highwaters.get(tp, -1) for tp in tps}
            behind = {tp: end for tp, end in ends.items() if end > destination[tp]}
            if behind:
                await self._catch_up(reader, behind, destination)
        finally:
            await reader.stop()

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ANN401, ARG002, ASYNC109 - Faust's
        """Wait as long as it takes: Faust's limit is one request's, and a rebuild that stalls is noticed."""
        await super()._wait(coro)

    async def _ensure_same_topics(self, reader: AIOKafkaConsumer, topics: set[str]) -> None:
        """Recover nothing from a topic that is another one than at the start; the process ends."""
        guard = self._reading.guard
        for topic in topics:
            guard.identified(await identity_of(reader._client, topic))  # noqa: SLF001 - its client's own question
        if guard.is_lost:
            await _until_the_process_ends()

    async def _ensure_whole(self, reader: AIOKafkaConsumer, tps: set[TP]) -> None:
        """Recover nothing from a changelog that ends before what is committed rests on; the process ends."""
        noted = await self._reading.noted_ends({tp.partition for tp in tps})
        short: dict[int, int] = {}
        for _ in range(_LOOKS):
            ends = await reader.end_offsets([TopicPartition(*tp) for tp in tps])
            short = {at.partition: end for at, end in ends.items() if end <= noted.get(at.partition, -1)}
            if not short:
                return
            await asyncio.sleep(_AGAIN_SECONDS)
        for number, end in short.items():
            self._reading.guard.lost_its_end(number, noted[number], end)
        await _until_the_process_ends()

    async def _trusted(self, reader: AIOKafkaConsumer, tp: TP) -> int | None:
        """Return the offset up to which the copy is trusted; one that is not is thrown away."""
        store = self._store(tp)
        mark = store.mark(tp.partition)
        if mark is None:
            return None
        flaw = await self._flaw(reader, tp, mark)
        if flaw is None:
            return mark.offset
        store.discard(tp.partition, flaw)
        return None

    async def _flaw(self, reader: AIOKafkaConsumer, tp: TP, mark: Mark) -> str | None:
        """Return why the copy may be another log's than this one, None if it certainly is this one's.

        Compaction may have taken the very record by which it is told, and then nothing tells it. What
        retention has taken, the copy alone still knows.
        """
        end = self.active_highwaters.get(tp, -1)
        if mark.offset > end:
            return f"it reaches to offset {mark.offset}, and the changelog to {end}"
        at = TopicPartition(*tp)
        beginning = (await reader.beginning_offsets([at]))[at]
        if beginning > mark.offset:
            return None
        reader.assign([at])
        reader.seek(at, mark.offset)
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                record = await reader.getone(at)
        except TimeoutError:
            if await reader.position(at) <= mark.offset:
                raise KafkaTimeoutError from None
            return f"the changelog has no record at offset {mark.offset} any more"
        if record.offset != mark.offset:
            return f"the changelog has no record at offset {mark.offset} any more"
        if fingerprint(record.key, record.value, record.timestamp) != mark.record:
            return f"the changelog has another record at offset {mark.offset}"
        return None

    async def _catch_up(
        self, reader: AIOKafkaConsumer, behind: Mapping[TP, int], offsets: MutableMapping[TP, int]
    ) -> None:
        started = time.monotonic()
        log.info("rebuilding the ledger", partitions=sorted(tp.partition for tp in behind))
        read = 0
        reader.assign([TopicPartition(*tp) for tp in behind])
        for tp in behind:
            reader.seek(TopicPartition(*tp), max(offsets[tp] + 1, 0))
        # By position: if the changelog's end has no records any more, none comes.
        while any([await reader.position(TopicPartition(*tp)) <= end for tp, end in behind.items()]):
            batches = await reader.getmany(timeout_ms=1000, max_records=_BATCH)
            for at, records in batches.items():
                tp, last = TP(at.topic, at.partition), records[-1]
                self._store(tp).keep(
                    tp.partition,
                    ((record.key, record.value) for record in records),
                    Mark(last.offset, fingerprint(last.key, last.value, last.timestamp)),
                )
                offsets[tp] = last.offset
                read += len(records)
        for tp, end in behind.items():
            offsets[tp] = max(offsets[tp], end)
        log.info("ledger rebuilt", entries=read, seconds=round(time.monotonic() - started, 1))

    def _store(self, tp: TP) -> LedgerStore:
        return cast("LedgerTable", self.tp_to_table[tp]).data


async def _until_the_process_ends() -> None:
    """Wait to be cancelled: the process was told to stop, and Faust asks no more what comes of this."""
    await asyncio.get_running_loop().create_future()
