"""A customer's standings, read from a ledger's changelog: no group is joined, nothing committed."""

from collections.abc import Callable

from topics.names import ledger_of
from worker.kafka.admin import TopicAdmin
from worker.kafka.changelog import opened
from worker.kafka.partitioners import Partitioner, key_hashes_of, partition_of
from worker.ledger import format as ledger_format
from worker.settings import KafkaSettings


async def entries_of_customer(
    settings: KafkaSettings,
    group_id: str,
    customer_id: int,
    say: Callable[[str], object],
    *,
    key: bytes | None = None,
    partitioner: Partitioner = Partitioner.MURMUR2,
) -> dict[bytes, bytes] | None:
    """Return a customer's standings, and the organisations learnt, by key; None if there is no ledger.

    Reads one partition if the key of the customer's records is given, else all of them, which takes as
    long as reading the changelog takes; of entries on several partitions the last written counts. Raises
    KafkaFailed.
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
    async with opened(settings, topic) as changelog:
        extent = await changelog.extent(topic, found.partitions)
        for partition in partitions:
            _, end = extent[partition]
            reading = f"reading partition {partition} of {topic}"
            async for record in changelog.records(partition, end, reading, say):
                whose = ledger_format.read_standing_key(record.key)
                ours = whose is not None and whose.customer_id == customer_id
                if not ours and not ledger_format.is_organisation_key(record.key):
                    continue
                before = latest.get(record.key)
                # Within a partition the order is certain, however wrong the clock that stamped an entry.
                if before is None or before[0] == partition or record.timestamp_ms >= before[1]:
                    latest[record.key] = (partition, record.timestamp_ms, record.value)
    return {entry: value for entry, (*_, value) in latest.items() if value is not None}
