"""What must be in place on the cluster before the worker joins its group."""

import structlog

from worker.settings import Settings
from worker.stream.admin import KafkaFailed, TopicAdmin
from worker.stream.inventory import create_missing

log = structlog.get_logger(__name__)


async def prepare_topics(settings: Settings) -> int:
    """Create what is missing of the worker's own topics; return the activity topic's number of partitions.

    The activity topic must be there already: it is upstream's, and a misspelt name must not make a new,
    silent one. The ledger must have as many partitions, or its entries would be cut off from their keys.
    Waits for Kafka; raises KafkaFailed, with one line for the operator.
    """
    admin = TopicAdmin(settings)
    if settings.activity_topic not in await admin.existing([settings.activity_topic]):
        raise KafkaFailed(
            f"topic {settings.activity_topic} does not exist; correct ENROLMENT_ACTIVITY_TOPIC, "
            "or create it with `enrolment-worker topics create`"
        )
    names = settings.topic_names
    existing = await admin.existing([names.activity, names.ledger])
    partitions = existing[names.activity].partitions
    ledger = existing.get(names.ledger)
    if ledger is not None and ledger.partitions != partitions:
        raise KafkaFailed(
            f"topic {names.activity} has {partitions} partitions and the ledger {names.ledger} has "
            f"{ledger.partitions}: move the ledger over, see 'More partitions' in the manual"
        )
    reports, refusals = await create_missing(settings, admin)
    for name, refusal in refusals.items():
        raise KafkaFailed(f"topic {name} could not be created: {refusal}")
    created = [report.spec.name for report in reports if report.found is None]
    if created:
        log.info("topics created", topics=created)
    return partitions
