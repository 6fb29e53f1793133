"""The organisation that a ledger has learnt, when the ledger is moved: every partition gets to know it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from worker.kafka.changelog import ChangelogRecord, Copier
from worker.kafka.errors import KafkaFailed
from worker.ledger.format import organisation_key, read_organisation


async def spread(
    learnt: Mapping[int, ChangelogRecord], partitions: int, copier: Copier, say: Callable[[str], object]
) -> None:
    """Write what was learnt first to each partition that has learnt nothing; the others keep what they have.

    `learnt` holds the entries by partition. Raises KafkaFailed if one cannot be read.
    """
    if not learnt:
        return
    first = min(learnt.values(), key=lambda record: record.timestamp_ms)
    try:
        several = {read_organisation(record.value or b"") for record in learnt.values()}
    except ValueError:
        raise KafkaFailed(
            "the ledger has an entry of an organisation that this release cannot read"
        ) from None
    if len(several) > 1:
        named = ", ".join(map(str, sorted(several)))
        say(f"warning: partitions have learnt different organisations ({named}); set ENROLMENT_ORG_ID")
    for partition in range(partitions):
        if partition not in learnt:
            await copier.copy(replace(first, key=organisation_key(partition)), partition)
