"""What a ledger holds of a customer, read from its changelog: no group is joined, nothing committed."""

from collections.abc import Callable
from dataclasses import dataclass

from topics.names import ledger_of
from worker.kafka.admin import TopicAdmin
from worker.kafka.changelog import opened
from worker.kafka.partitioners import Partitioner, key_hashes_of, partition_of
from worker.ledger import format as ledger_format
from worker.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class CustomerEntries:
    """A customer's entries, by their keys."""

    entries: dict[bytes, bytes]
    """Standings, and the organisations learnt; of those on several partitions the last written."""
    of_partition: dict[int, dict[bytes, bytes]]
    """The same, and what is remembered of the customer, of each partition that was read, as it has it."""


async def entries_of_customer(
    settings: KafkaSettings,
    group_id: str,
    customer_id: int,
    say: Callable[[str], object],
    *,
    key: bytes | None = None,
    partitioner: Partitioner = Partitioner.MURMUR2,
) -> CustomerEntries | None:
    """Return what the ledger holds of a customer; None if there is no ledger.

    Reads one partition if the key of the customer's records is given, else all of them, which takes as
    long as reading the changelog takes. Raises KafkaFailed.
    """
    topic = ledger_of(group_id)
    found = (await TopicAdmin(settings).existing([topic])).get(topic)
    if found is None:
        return None
    partitions = range(found.partitions)
    hashes = key_hashes_of(key)
    if hashes is not None:
        at = partition_of(hashes, partitioner, found.partitions)
        partitions = range(at, at + 1)
    latest: dict[bytes, tuple[int, int, bytes | None]] = {}
    here: dict[int, dict[bytes, bytes]] = {partition: {} for partition in partitions}
    async with opened(settings, topic) as changelog:
        extent = await changelog.extent(topic, found.partitions)
        for partition in partitions:
            _, end = extent[partition]
            reading = f"reading partition {partition} of {topic}"
            async for record in changelog.records(partition, end, reading, say):
                if not _is_about(record.key, customer_id):
                    continue
                if record.value is None:
                    here[partition].pop(record.key, None)
                else:
                    here[partition][record.key] = record.value
                before = latest.get(record.key)
                # Within a partition the order is certain, however wrong the clock that stamped an entry.
                if before is None or before[0] == partition or record.timestamp_ms >= before[1]:
                    latest[record.key] = (partition, record.timestamp_ms, record.value)
    entries = {entry: value for entry, (*_, value) in latest.items() if value is not None}
    # What is remembered is each partition's own: none counts for another.
    entries.pop(ledger_format.memory_key(customer_id), None)
    return CustomerEntries(entries, here)


def _is_about(key: bytes, customer_id: int) -> bool:
    """Whether an entry tells of the customer, or whose the partition's events are."""
    if ledger_format.is_organisation_key(key) or ledger_format.customer_of_memory(key) == customer_id:
        return True
    whose = ledger_format.read_standing_key(key)
    return whose is not None and whose.customer_id == customer_id
