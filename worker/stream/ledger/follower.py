"""Another group's ledger, followed read-only: a dry run decides with what production knows.

Customers' standings are copied out of its changelog, all partitions of it, at each start anew, and kept up to
date while the worker runs. Nothing is joined or committed there. The copy lies on disk with LEDGER_STORE
rocksdb, in memory with memory.
"""

import asyncio
from collections.abc import MutableMapping
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import rocksdict
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from topics.names import TopicNames
from topics.record import Record
from worker.domain.identity import UNNAMED_ORG
from worker.kafka.admin import TopicAdmin
from worker.kafka.bootstrap import reach_any
from worker.kafka.errors import KafkaFailed, KafkaUnsure, translated
from worker.kafka.inventory import cut_off
from worker.kafka.security import aiokafka_options
from worker.kafka.waiting import StartWait, ToldToStop
from worker.ledger import format as ledger_format
from worker.ledger.read_only import Knowledge, KnownLedger
from worker.settings import Settings
from worker.stream.ledger.disk import remove

_BATCH: Final = 10_000
_POLL_MS: Final = 500
_FETCH_BYTES: Final = 4 * 1024 * 1024
_PAUSE_SECONDS: Final = 1.0
_MIB: Final = 1024 * 1024

log = structlog.get_logger(__name__)


async def ensure_followable(settings: Settings, group_id: str) -> None:
    """Raise KafkaFailed, with one line for the operator, if the group has no ledger of the right shape."""
    names = TopicNames(settings.activity_topic, settings.outcome_topic, group_id)
    existing = await TopicAdmin(settings).existing([names.activity, names.ledger, names.move_mark])
    if names.ledger not in existing:
        raise KafkaUnsure(
            f"topic {names.ledger} does not exist; correct ENROLMENT_DRY_RUN_LEDGER_GROUP to the consumer "
            "group of the worker in production"
        )
    refusal = cut_off(names, {name: topic.partitions for name, topic in existing.items()})
    if refusal is not None:
        raise KafkaFailed(refusal)


class LedgerFollower(Service):
    """Follows the ledger from before the application starts until after it has stopped."""

    def __init__(
        self,
        settings: Settings,
        group_id: str,
        partitions: int,
        wait: StartWait,
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        self._wait = wait
        self._topic = TopicNames("", "", group_id).ledger
        self._partitions = [TopicPartition(self._topic, number) for number in range(partitions)]
        self._options = aiokafka_options(settings)
        in_memory = settings.ledger_store == "memory"
        self._folder = None if in_memory else settings.state_dir / f"{settings.group_id}-follows-{group_id}"
        self._connected = settings.api_version == "v2.1"
        self._copy: _Copy | None = None
        self._reader: AIOKafkaConsumer | None = None
        super().__init__(**kwargs)

    async def on_start(self) -> None:
        """Read the ledger up to where it ends now; takes as long as that takes, and waits for Kafka."""
        self._copy = _Copy(_store(self._folder))
        try:
            step = f"read the ledger {self._topic}"
            consumer, ends = await self._wait.through(step, self._connect, lambda: self.should_stop)
        except ToldToStop:
            return
        self._reader, behind = consumer, set(self._partitions)
        while behind and not self.should_stop:
            await self._take(consumer)
            behind = {at for at in behind if await consumer.position(at) < ends[at]}
        log.info("ledger read", topic=self._topic, entries=self._copy.entries)

    async def _connect(self) -> tuple[AIOKafkaConsumer, dict[TopicPartition, int]]:
        """Return a consumer at the beginning, and where the ledger ends."""
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
            **self._options,
        )
        reach_any(consumer._client)  # noqa: SLF001 - its way to the cluster
        try:
            with translated(self._topic):
                await consumer.start()
                consumer.assign(self._partitions)
                ends = await consumer.end_offsets(self._partitions)
                await consumer.seek_to_beginning(*self._partitions)
        except BaseException:
            await consumer.stop()
            raise
        return consumer, ends

    async def on_stop(self) -> None:
        """Let go of Kafka; the copy is made anew by the next start."""
        if self._reader is not None:
            await self._reader.stop()

    @Service.task
    async def _follow(self) -> None:
        while self._reader is not None and not self.should_stop:
            await self._take(self._reader)

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        try:
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
        except KafkaError as error:
            log.warning("the ledger cannot be followed", topic=self._topic, error=type(error).__name__)
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        if self._copy is not None:
            for at, records in batches.items():
                for record in records:
                    self._copy.keep(at.partition, record.key, record.value)

    def of(self, record: Record) -> KnownLedger:
        """Return what is known in the record's partition. Implements `worker.enrolment.ports.Ledger`."""
        here = record.position.partition
        return KnownLedger(
            Knowledge(
                partial(self._read, here),
                partial(self._organisation, here),
                partial(self._organisations, here),
                self.entries,
            )
        )

    def every(self) -> tuple[KnownLedger, ...]:
        """Have none that could be written to."""
        return ()

    def entries(self) -> int:
        """Return how many entries there are."""
        return 0 if self._copy is None else self._copy.entries

    def _read(self, partition: int, key: bytes) -> bytes | None:
        return None if self._copy is None else self._copy.get(partition, key)

    def _organisation(self, partition: int) -> int | None:
        """Return the organisation that the group has learnt; see FaustLedger."""
        if self._copy is None:
            return None
        learnt = self._copy.learnt
        if learnt:
            return learnt.get(partition, next(iter(learnt.values())))
        named = self._organisations(partition) - {UNNAMED_ORG}
        return next(iter(named)) if len(named) == 1 else None

    def _organisations(self, partition: int) -> frozenset[int]:
        """Return the organisations that the partition's standings were written under."""
        if self._copy is None or self._connected:
            return frozenset()
        return frozenset(self._copy.organisations.get(partition, ()))


class _Copy:
    """Standings by partition and key; and by partition what is known of organisations."""

    def __init__(self, store: MutableMapping[bytes, bytes]) -> None:
        self._store = store
        self.entries = 0
        self.learnt: dict[int, int] = {}
        self.organisations: dict[int, set[int]] = {}

    def keep(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Take an entry over; a null value takes it away."""
        if ledger_format.is_organisation_key(key) and value is not None:
            self.learnt[partition] = ledger_format.read_organisation(value)
        whose = ledger_format.read_standing_key(key)
        if whose is None:
            return
        self.organisations.setdefault(partition, set()).add(whose.org_id)
        place = b"%d/%b" % (partition, key)
        is_known = self._store.get(place) is not None
        if value is not None:
            self._store[place] = value
            self.entries += not is_known
        elif is_known:
            del self._store[place]
            self.entries -= 1

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Return an entry of a partition."""
        return self._store.get(b"%d/%b" % (partition, key))


def _store(folder: Path | None) -> MutableMapping[bytes, bytes]:
    if folder is None:
        return {}
    remove(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)  # noqa: FBT003 - its only argument
    options.set_write_buffer_size(8 * _MIB)
    return cast("MutableMapping[bytes, bytes]", rocksdict.Rdict(str(folder), options))
