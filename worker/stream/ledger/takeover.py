"""Starts that would go on without what the ledger knew, and are refused unless an operator accepts it."""

import structlog
from aiokafka import TopicPartition

from worker.kafka.consumers import reading
from worker.kafka.errors import KafkaFailed, translated
from worker.kafka.lost_ledger import REMEDY
from worker.kafka.partition_admin import PartitionAdmin
from worker.kafka.topic_identity import Identity
from worker.settings import Settings
from worker.stream.ledger.local_copy import LocalCopy

log = structlog.get_logger(__name__)


async def take_over(
    settings: Settings, copy: LocalCopy, ledger: Identity, partitions: int, *, new_ledger: bool
) -> None:
    """Let the copy be the one of the topic that is there; it is thrown away if it is another one's.

    Raises KafkaFailed if that would forget what nothing else knows, unless `new_ledger` accepts it.
    """
    topic = settings.topic_names.ledger
    is_anothers = copy.origin is not None and ledger.is_another(copy.origin)
    if settings.dry_run:
        copy.belongs_to(copy.origin or ledger)
        return
    if not new_ledger:
        if copy.loss is not None:
            raise KafkaFailed(copy.loss)
        if (
            is_anothers
            and await _is_empty(settings, topic, partitions)
            and await PartitionAdmin(settings).has_committed(settings.group_id)
        ):
            raise KafkaFailed(
                f"the ledger's topic {topic} was made anew and is empty, and {copy.folder} is a copy of the "
                f"one before: {REMEDY}"
            )
    if is_anothers or copy.loss is not None:
        log.warning("the local copy of the ledger is another topic's, and is thrown away", topic=topic)
        copy.throw_away()
    copy.belongs_to(ledger)


async def _is_empty(settings: Settings, topic: str, partitions: int) -> bool:
    """Whether nothing was ever written to the topic."""
    async with reading(settings, topic) as consumer:
        with translated(topic):
            ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(partitions)])
    return not any(ends.values())
