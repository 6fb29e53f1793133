"""The ledger by partitions: what is noted without waiting, and what is written in other partitions."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from faust.types.tuples import RecordMetadata

from tests.support.unit.tables import table_of
from tests.support.use_case.values import NOW, record
from topics.record import Position
from worker.domain.memory import Memory, Name, Nobody, Offer, Shown
from worker.kafka.partitioners import key_hashes_of
from worker.ledger import format as ledger_format
from worker.ledger.entries import MemoryEntry, NameEntry
from worker.stream.delivery.membership import Membership
from worker.stream.delivery.send_fence import SendFence
from worker.stream.ledger.by_partition import LARGEST_NOTE_BYTES, FaustLedger, TablePartition
from worker.stream.ledger.table import LedgerTable

SEEN = Memory(Shown(read_at=NOW, offers=(Offer(promotion_id=1, program_id=2, name="One"),), live=(1,)), NOW)
OTHER = Memory(Nobody(read_at=NOW))
ENDS: list[str] = []


class _Producer:
    """Keeps what it is given, until the test acknowledges it."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes, bytes, asyncio.Future[RecordMetadata]]] = []
        self.fault: Exception | None = None

    async def send(
        self, _topic: str, value: bytes, key: bytes, partition: int, timestamp_ms: int
    ) -> asyncio.Future[RecordMetadata]:
        assert timestamp_ms == 7
        if self.fault is not None:
            raise self.fault
        sent: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        self.sent.append((partition, key, value, sent))
        return sent

    async def acknowledge(self, offset: int, fault: Exception | None = None) -> None:
        """Acknowledge the record that was given first."""
        partition, _, _, sent = self.sent.pop(0)
        if fault is not None:
            sent.set_exception(fault)
        else:
            sent.set_result(RecordMetadata("changelog", partition, TP("changelog", partition), offset))
        for _ in range(3):
            await asyncio.sleep(0)


class _Stamps:
    def stamp_ms(self) -> int:
        return 7

    def appended(self, at_ms: int) -> None:
        pass


@pytest.fixture
def table(tmp_path: Path, theirs: set[int]) -> Iterator[LedgerTable]:
    """Give a table of two partitions, both of which are ours."""
    ENDS.clear()
    table = table_of(
        "rocksdb", tmp_path, 2, ends=ENDS.append, owns=lambda _, partition: partition not in theirs
    )
    yield table
    asyncio.run(cast("Any", table.data).stop())


@pytest.fixture
def theirs() -> set[int]:
    """Give the partitions that are another replica's, none unless the test says so."""
    return set()


@pytest.fixture
def producer() -> _Producer:
    """Give a producer that acknowledges nothing by itself."""
    return _Producer()


@pytest.fixture
def ledger(table: LedgerTable, producer: _Producer) -> FaustLedger:
    """Give the ledger upon them."""
    fence = SendFence(Membership(60.0))
    return FaustLedger(table, fence, _Stamps(), int, lambda: cast("AIOKafkaProducer", producer))


def _of(ledger: FaustLedger, partition: int = 0, key: bytes | None = b"customer") -> TablePartition:
    return ledger.of(record(b"{}", key=key, at=Position("activity", partition, 0)))


@pytest.mark.asyncio
async def test_a_note_is_read_at_once_and_kept_once_it_is_acknowledged(
    ledger: FaustLedger, producer: _Producer
) -> None:
    """Nobody waits for it; every field is read back."""
    here = _of(ledger)
    await here.note(MemoryEntry(17, SEEN), NameEntry("hash", Name(read_at=NOW, customer_id=17)))
    assert (here.memory(17), here.name("hash")) == (SEEN, Name(read_at=NOW, customer_id=17))
    assert _of(ledger, 1).memory(17) == Memory()
    await producer.acknowledge(0)
    await producer.acknowledge(1)
    assert (here.memory(17), here.name("hash")) == (SEEN, Name(read_at=NOW, customer_id=17))


@pytest.mark.asyncio
async def test_a_note_that_kafka_does_not_take_is_forgotten(ledger: FaustLedger, producer: _Producer) -> None:
    """At once or later: nothing but a lookup is lost by it."""
    here = _of(ledger)
    producer.fault = KafkaConnectionError()
    await here.note(MemoryEntry(17, SEEN))
    assert here.memory(17) == Memory()
    producer.fault = None
    await here.note(MemoryEntry(17, SEEN))
    await producer.acknowledge(0, KafkaConnectionError())
    assert here.memory(17) == Memory()


@pytest.mark.asyncio
async def test_of_two_notes_the_later_one_is_read(ledger: FaustLedger, producer: _Producer) -> None:
    """Also while only the first is acknowledged."""
    here = _of(ledger)
    await here.note(MemoryEntry(17, SEEN))
    await here.note(MemoryEntry(17, OTHER))
    await producer.acknowledge(0)
    assert here.memory(17) == OTHER


@pytest.mark.asyncio
async def test_a_note_that_is_acknowledged_late_ends_nothing(
    ledger: FaustLedger, producer: _Producer, table: LedgerTable
) -> None:
    """A recovery has read past it by then, and another replica's later note of the same customer."""
    here = _of(ledger)
    await here.note(MemoryEntry(17, SEEN))
    key, value = ledger_format.write(MemoryEntry(17, OTHER), None)
    later = asyncio.get_running_loop().create_future()
    later.set_result(RecordMetadata("changelog", 0, TP("changelog", 0), 0))
    table.acknowledged(key, value, asyncio.get_running_loop().create_future(), later)
    await producer.acknowledge(0)
    assert ENDS == []
    assert here.memory(17) == OTHER


@pytest.mark.asyncio
async def test_a_customer_who_is_listed_too_much_is_not_remembered(
    ledger: FaustLedger, producer: _Producer
) -> None:
    """It would cost more than it saves; nor does what was remembered before count."""
    here = _of(ledger)
    await here.note(MemoryEntry(17, SEEN))
    offers = (Offer(promotion_id=1, program_id=1, name="x" * LARGEST_NOTE_BYTES),)
    await here.note(MemoryEntry(17, Memory(Shown(read_at=NOW, offers=offers), NOW)))
    assert len(producer.sent[-1][2]) < 200
    assert here.memory(17) == Memory(None, NOW)


@pytest.mark.asyncio
async def test_what_this_release_cannot_read_is_not_remembered(
    ledger: FaustLedger, producer: _Producer
) -> None:
    """A later release may write it otherwise: the API is asked, and the event is no fault."""
    here = _of(ledger)
    for key in (ledger_format.memory_key(17), ledger_format.name_key("hash")):
        await ledger.note(0, key, b'{"entry":{"seen":7,"read_at":[]}}')
    assert len(producer.sent) == 2
    assert (here.memory(17), here.name("hash")) == (Memory(), None)


@pytest.mark.asyncio
async def test_what_is_written_into_every_partition_stays_in_its_place(
    ledger: FaustLedger, producer: _Producer
) -> None:
    """An entry bears the hashes of the record's key that led to it: by these it is moved."""
    here = _of(ledger, 1)
    await here.note(MemoryEntry(17, SEEN))
    await producer.acknowledge(0)
    await _of(ledger, 0, b"another").note(MemoryEntry(18, SEEN))
    await producer.acknowledge(0)
    found = [each for each in ledger.every() if each.memory(17).seen is not None]
    writing = [asyncio.ensure_future(each.write(MemoryEntry(17, Memory(None, NOW)))) for each in found]
    await asyncio.sleep(0)
    ((partition, _, value, _),) = producer.sent
    await producer.acknowledge(1)
    await asyncio.gather(*writing)
    assert partition == 1
    assert ledger_format.read_key_hashes(value) == key_hashes_of(b"customer")
    assert here.memory(17) == Memory(None, NOW)


@pytest.mark.asyncio
async def test_what_is_anothers_is_left_alone(ledger: FaustLedger, theirs: set[int]) -> None:
    """A partition that was given away may be open still: nothing is written there."""
    for partition in (0, 1):
        _of(ledger, partition).memory(17)
    assert len(list(ledger.every())) == 2
    theirs.add(0)
    assert len(list(ledger.every())) == 1
