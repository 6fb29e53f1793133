"""The first start of a group with `latest`: where it begins, decided before it has members.

A group has begun once it has committed any offset of the activity topic or its retry topics, or its ledger
knows anything: its offsets may have expired or been reset since, and the topic may have got partitions. What
it has no offset of it then reads from the beginning, so that no event is passed over; the ledger answers for
those that were handled before. So it does with retry topics always: what lies there is the group's own.
"""

from collections.abc import Iterable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from worker.kafka.consumers import reading
from worker.kafka.errors import KafkaFailed, translated
from worker.kafka.partition_admin import PartitionAdmin
from worker.settings import Settings

log = structlog.get_logger(__name__)


async def skip_what_is_there(settings: Settings, partitions: int) -> None:
    """Commit the ends of the activity topic's partitions, if the group has never begun.

    A group with members has. Raises KafkaFailed when Kafka gives no answer.
    """
    names, group = settings.topic_names, settings.group_id
    admin = PartitionAdmin(settings)
    committed = [await admin.committed(group, topic) for topic in (names.activity, *names.retries)]
    if committed[0].keys() >= set(range(partitions)) or await admin.members(group):
        return
    existing = await admin.existing([names.ledger])
    ledger = existing[names.ledger].partitions if names.ledger in existing else 0
    async with reading(settings, names.activity, group_id=group) as consumer:
        if any(committed) or await _ends(consumer, names.ledger, range(ledger)):
            log.warning(
                "ENROLMENT_AUTO_OFFSET_RESET=latest is for a group that has never begun: partitions without "
                "an offset are read from their beginning",
                topic=names.activity,
                group=group,
                partitions=sorted(set(range(partitions)) - committed[0].keys()),
            )
            return
        await _skip(consumer, names.activity, partitions)


async def _skip(consumer: AIOKafkaConsumer, topic: str, partitions: int) -> None:
    ends = await _ends(consumer, topic, range(partitions), least=0)
    consumer.assign(list(ends))
    try:
        with translated(topic):
            await consumer.commit(ends)
    except KafkaFailed as error:
        if not isinstance(error.__cause__, CommitFailedError):
            raise
        # Another replica was quicker, and has members by now.
        log.info("the group has begun already")
        return
    log.warning("starting at the end of the topic: earlier events are skipped", topic=topic)


async def _ends(
    consumer: AIOKafkaConsumer, topic: str, partitions: Iterable[int], least: int = 1
) -> dict[TopicPartition, int]:
    """Return the ends of those partitions that have ever had so many records."""
    at = [TopicPartition(topic, number) for number in partitions]
    if not at:
        return {}
    with translated(topic):
        ends = await consumer.end_offsets(at)
    return {each: end for each, end in ends.items() if end >= least}
