"""Where a group without committed offsets starts, decided before it has members.

The setting is about activity alone. Retry topics are read from their beginning always: what lies there is the
group's own, and a retry that waits for its time has no committed offset yet.
"""

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from worker.settings import Settings
from worker.stream.changelog import translated
from worker.stream.partition_admin import PartitionAdmin
from worker.stream.security import aiokafka_options

log = structlog.get_logger(__name__)


async def skip_what_is_there(settings: Settings, partitions: int) -> None:
    """Commit the ends of the activity topic's partitions of which the group has no offset, if it may.

    A group with members has begun already. Raises KafkaFailed where Kafka gives no answer.
    """
    topic, group = settings.activity_topic, settings.group_id
    admin = PartitionAdmin(settings)
    committed = await admin.committed(group, topic)
    new = [TopicPartition(topic, number) for number in range(partitions) if number not in committed]
    if not new or await admin.members(group):
        return
    consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **aiokafka_options(settings))
    try:
        with translated(topic):
            await consumer.start()
            ends = await consumer.end_offsets(new)
        consumer.assign(new)
        try:
            await consumer.commit(ends)
        except KafkaError as error:
            # Another replica was quicker, and has members by now.
            log.info("the group has begun already", error=type(error).__name__)
            return
    finally:
        await consumer.stop()
    log.warning("starting at the end of the topic: earlier events are skipped", topic=topic)
