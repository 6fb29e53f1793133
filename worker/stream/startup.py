"""What must be in place on the cluster before the worker joins its group."""

from datetime import timedelta

import structlog

from topics.names import TopicSpec, catalogue
from worker.settings import Settings
from worker.stream.admin import KafkaFailed, TopicAdmin

log = structlog.get_logger(__name__)


async def prepare_topics(settings: Settings) -> None:
    """Create what is missing of the worker's own topics; the activity topic must be there already.

    It is upstream's topic, and a misspelt name must not make a new, silent one. The others get its partition
    count. Waits for Kafka; raises KafkaFailed, with one line for the operator.
    """
    admin = TopicAdmin(settings)
    activity, *ours = catalogue(
        settings.topic_names,
        settings.topic_partitions,
        settings.topic_replication_factor,
        timedelta(days=settings.ledger_retention_days),
    )
    existing = await admin.existing(spec.name for spec in (activity, *ours))
    if activity.name not in existing:
        raise KafkaFailed(
            f"topic {activity.name} does not exist; correct ENROLMENT_ACTIVITY_TOPIC, "
            "or create it with `enrolment-worker topics create`"
        )
    partitions = existing[activity.name].partitions
    missing = [
        TopicSpec(spec.name, spec.purpose, partitions, spec.replication_factor, spec.config)
        for spec in ours
        if spec.name not in existing
    ]
    if not missing:
        return
    for name, refusal in (await admin.create(missing)).items():
        raise KafkaFailed(f"topic {name} could not be created: {refusal}")
    log.info("topics created", topics=[spec.name for spec in missing], partitions=partitions)
