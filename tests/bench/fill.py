"""Topics filled by the million, quicker than clients that produce event by event."""

from asyncio import Future
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from tests.bench.contest import CUSTOMERS
from tests.support.e2e.events import event
from tests.support.e2e.lab import Stage
from tests.support.kafka.brokers import create_topic
from worker.domain.memory import Memory, Offer, Shown
from worker.domain.promotions import TimelineEntry
from worker.kafka.partitioners import Partitioner, key_hashes_of, partition_of
from worker.ledger.entries import MemoryEntry
from worker.ledger.format import write

_BATCH_BYTES: Final = 512 * 1024
_ENTRY: Final = (
    b'{"lane":[2166136261,16777619],"entry":{"enrolment":{"key":"%b",'
    b'"event_id":"%b","attempts":1},"settled_limits":0}}'
)


def customer_of(number: int) -> int:
    """Return the customer of the event of that number: all have their turn."""
    return number % CUSTOMERS + 1


async def fill_activity(stage: Stage, name: str, events: int) -> None:
    """Add so many small events, called name-number, to the activity topic, by their customers' keys."""
    keys = {who: b"%d" % who for who in range(1, CUSTOMERS + 1)}
    everywhere, choose = list(range(stage.partitions)), DefaultPartitioner()
    at = {who: choose(key, everywhere, everywhere) for who, key in keys.items()}
    numbered = ((number, customer_of(number)) for number in range(events))
    records = (
        (at[who], keys[who], event(f"{name}-{number}", {"customerId": who})) for number, who in numbered
    )
    await _fill(stage.lab.bootstrap_servers, stage.names.activity, records)


async def fill_ledger(stage: Stage, entries: int) -> int:
    """Make the ledger's changelog with so many entries; return the bytes of their keys and values."""
    records = (
        (number % stage.partitions, b"standing/100/%d/469/1" % number, _entry(number))
        for number in range(entries)
    )
    return await _fill_ledger(stage, records)


async def fill_memory(stage: Stage, customers: int) -> int:
    """Make the changelog with what is remembered of customers 1 to that number; return the bytes of it.

    Each was looked up just now, and is enrolled into promotion 1, as the timeline showed.
    """
    enrolled = TimelineEntry(1, datetime.now(UTC) - timedelta(days=1), None)
    offer = Offer(promotion_id=1, program_id=469, name="Enrol & issue", timeline=(enrolled,))
    memory = Memory(Shown(read_at=datetime.now(UTC), offers=(offer,), live=(1,)))

    def records() -> Iterator[tuple[int, bytes, bytes]]:
        for who in range(1, customers + 1):
            hashes = key_hashes_of(b"%d" % who)
            assert hashes is not None
            place = partition_of(hashes, Partitioner.MURMUR2, stage.partitions)
            yield place, *write(MemoryEntry(who, memory), hashes)

    return await _fill_ledger(stage, records())


async def _fill_ledger(stage: Stage, records: Iterable[tuple[int, bytes, bytes]]) -> int:
    config = {"cleanup.policy": "compact,delete"}
    await create_topic(stage.lab.bootstrap_servers, stage.names.ledger, stage.partitions, config)
    return await _fill(stage.lab.bootstrap_servers, stage.names.ledger, records)


def _entry(number: int) -> bytes:
    """Return an entry that compresses as a real one: its identities differ."""
    key, event_id = (str(uuid5(NAMESPACE_OID, f"{kind}-{number}")).encode() for kind in ("key", "event"))
    return _ENTRY % (key, event_id)


async def _fill(bootstrap_servers: str, topic: str, records: Iterable[tuple[int, bytes, bytes]]) -> int:
    """Produce records, given as partition, key and value; return the bytes of keys and values."""
    batches, sent, size = dict[int, BatchBuilder](), list[Future[Any]](), 0
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, max_batch_size=_BATCH_BYTES)
    async with producer:
        for partition, key, value in records:
            size += len(key) + len(value)
            batch = batches.get(partition)
            if batch is None or batch.append(timestamp=None, key=key, value=value) is None:
                if batch is not None:
                    sent.append(await producer.send_batch(batch, topic, partition=partition))
                batches[partition] = producer.create_batch()
                batches[partition].append(timestamp=None, key=key, value=value)
        for partition, batch in batches.items():
            sent.append(await producer.send_batch(batch, topic, partition=partition))
        for acknowledged in sent:
            await acknowledged
    return size
