"""The start: what must be in place on the cluster before the worker joins its group."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from topics.names import LARGEST_ACTIVITY_BYTES, LARGEST_RECORD, TopicNames
from worker.kafka.admin import ExistingTopic, Refusal
from worker.kafka.errors import KafkaAway, KafkaFailed, KafkaTooSmall, KafkaUnsure
from worker.kafka.inventory import create_missing, cut_off, room_needed
from worker.kafka.lost_ledger import ensure_no_history
from worker.kafka.partition_admin import PartitionAdmin
from worker.kafka.sizes import LARGEST_REQUEST_BYTES
from worker.kafka.topic_identity import Identity
from worker.settings import Settings, SettingsError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the worker must know of its topics."""

    partitions: int
    """Of the activity topic."""
    largest: Mapping[str, int]
    """How many bytes a record may have, for each retry topic and the dead-letter topic."""
    ledger: Identity = field(default_factory=Identity)
    """Of the ledger's topic; tells nothing in a dry run."""


async def prepare_topics(settings: Settings, *, new_ledger: bool = False) -> Prepared:
    """Create what is missing of the worker's own topics; return what it must know of them.

    The activity topic must be there already: it is upstream's, and a misspelt name must not make a new,
    silent one. Ledger and retry topics must have as many partitions, or entries would be cut off from their
    keys. A group that has handled events has a ledger; if that is gone, an empty one is made only when
    `new_ledger` says that the loss is accepted (a dry run makes none).
    May be called again after it has failed. Raises KafkaFailed, with one line for the operator, or
    SettingsError.
    """
    admin = PartitionAdmin(settings)
    names = settings.topic_names
    existing = await admin.existing([names.activity, names.ledger, *names.retries, names.move_mark])
    if names.activity not in existing:
        raise KafkaUnsure(
            f"topic {settings.activity_topic} does not exist; correct ENROLMENT_ACTIVITY_TOPIC, "
            "or create it with `enrolment-worker topics create`"
        )
    partitions = existing[names.activity].partitions
    refusal = cut_off(names, {name: topic.partitions for name, topic in existing.items()})
    if refusal is not None:
        raise KafkaFailed(refusal)
    left_out = frozenset[str]()
    if names.ledger not in existing and not new_ledger:
        if not settings.dry_run:
            await ensure_no_history(settings, admin)
        elif await admin.has_committed(settings.group_id):
            left_out = frozenset({names.ledger})
    reports, refusals = await create_missing(settings, admin, left_out)
    for name, refused in refusals.items():
        raise _refusal(f"topic {name} could not be created: {refused}", refused)
    created = [
        report.spec.name for report in reports if report.found is None and report.spec.name not in left_out
    ]
    if created:
        log.info("topics created", topics=created)
    largest = _room(names, await admin.existing([names.activity, *names.record_topics]))
    identity = None if settings.dry_run else await admin.identity(names.ledger)
    return Prepared(partitions, largest, identity or Identity())


def _refusal(line: str, refused: Refusal) -> KafkaFailed | SettingsError:
    if refused.by_setting:
        return KafkaTooSmall(line) if refused.passes else SettingsError((line,))
    return KafkaAway(line) if refused.passes else KafkaFailed(line)


def _room(names: TopicNames, existing: Mapping[str, ExistingTopic]) -> dict[str, int]:
    """Return how many bytes a record may have on each topic that records are moved to; tell if too few."""
    needed = room_needed(existing.get(names.activity))
    largest: dict[str, int] = {}
    for name in names.record_topics:
        config = existing[name].config if name in existing else None
        largest[name] = int((config or {}).get(LARGEST_RECORD, LARGEST_ACTIVITY_BYTES))
        if config is not None and needed is not None and largest[name] < needed:
            log.warning(
                "a topic has no room for the activity topic's largest record with our headers: such an event "
                "loses its value here; set max.message.bytes on it",
                topic=name,
                max_message_bytes=largest[name],
                needed=needed,
            )
    return {name: min(room, LARGEST_REQUEST_BYTES) for name, room in largest.items()}
