"""A ledger's topic that is gone while the group has handled events."""

from typing import Final

from worker.kafka.errors import KafkaUnsure
from worker.kafka.partition_admin import PartitionAdmin
from worker.settings.model import KafkaSettings

REMEDY: Final = (
    "stop all workers and bring the topic back from where it was kept; or accept that what it held is "
    "forgotten, and customers may be enrolled again: `enrolment-worker run --new-ledger`, once. See "
    "'When the ledger's topic is lost' in the manual"
)


async def ensure_no_history(settings: KafkaSettings, admin: PartitionAdmin) -> None:
    """Raise KafkaUnsure if the group, which has no ledger, has handled events."""
    if await admin.has_committed(settings.group_id):
        raise KafkaUnsure(
            f"the ledger's topic {settings.topic_names.ledger} is gone, and group {settings.group_id} has "
            f"handled events (it has committed offsets): {REMEDY}"
        )
