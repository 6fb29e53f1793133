"""Our topics next to what the cluster has of them, and creating what it lacks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from topics.names import (
    ERROR_HEADERS_BYTES,
    LARGEST_ACTIVITY_BYTES,
    LARGEST_RECORD,
    TopicNames,
    TopicSpec,
    all_topics,
)
from worker.kafka.admin import ExistingTopic, Refusal
from worker.settings import KafkaSettings


class TopicAccess(Protocol):
    """What is asked of the cluster; `admin` has the real one. Each raises KafkaFailed."""

    async def existing(self, names: Iterable[str]) -> dict[str, ExistingTopic]:
        """Return those of the topics that exist."""
        ...

    async def create(self, specs: Iterable[TopicSpec]) -> dict[str, Refusal | None]:
        """Create the topics; return for each why it could not be, None if it now exists."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that a topic has otherwise than `topics create` would have made it; None is unset."""

    setting: str
    found: str | None
    wanted: str


@dataclass(frozen=True, slots=True)
class TopicReport:
    """A topic of ours next to what the cluster has of it, None if it is missing."""

    spec: TopicSpec
    found: ExistingTopic | None

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What `topics create` would have given otherwise; replicas are the operator's affair."""
        if self.found is None:
            return ()
        wanted = {"partitions": str(self.spec.partitions)}
        found: Mapping[str, str] = {"partitions": str(self.found.partitions)}
        if self.found.config is not None:
            wanted |= self.spec.config
            found = {**self.found.config, **found}
        return tuple(
            Difference(key, found.get(key), want) for key, want in wanted.items() if found.get(key) != want
        )


async def inspect(settings: KafkaSettings, admin: TopicAccess) -> tuple[TopicReport, ...]:
    """Compare our topics with the cluster's."""
    names = settings.topic_names
    retention = timedelta(days=settings.ledger_retention_days)
    specs = all_topics(names, settings.topic_partitions, settings.topic_replication_factor, retention)
    existing = await admin.existing([spec.name for spec in specs])
    return tuple(TopicReport(_fitted(spec, existing, names), existing.get(spec.name)) for spec in specs)


async def create_missing(
    settings: KafkaSettings, admin: TopicAccess, left_out: frozenset[str] = frozenset()
) -> tuple[tuple[TopicReport, ...], dict[str, Refusal]]:
    """Create what is missing; return how things stood before, and why a topic could not be created."""
    reports = await inspect(settings, admin)
    missing = [report.spec for report in reports if report.found is None and report.spec.name not in left_out]
    answers = await admin.create(missing) if missing else {}
    return reports, {name: refusal for name, refusal in answers.items() if refusal is not None}


def _fitted(spec: TopicSpec, existing: Mapping[str, ExistingTopic], names: TopicNames) -> TopicSpec:
    """Return the topic as it must be beside those that exist.

    Retry topics and the ledger have the activity topic's partitions; retry and dead-letter topics have room
    for its largest record.
    """
    activity = existing.get(names.activity)
    governing = activity if spec.name in {*names.retries, names.ledger} else existing.get(spec.name)
    if governing is not None:
        spec = replace(spec, partitions=governing.partitions)
    if spec.name in names.record_topics and activity is not None:
        default = int(spec.config[LARGEST_RECORD])
        needed = max(default, room_needed(activity) or default)
        spec = replace(spec, config=spec.config | {LARGEST_RECORD: str(needed)})
    return spec


def room_needed(activity: ExistingTopic | None) -> int | None:
    """Return what retry and dead-letter topics must take, None if the activity topic may not be looked at."""
    if activity is not None and activity.config is None:
        return None
    config = {} if activity is None else activity.config or {}
    return int(config.get(LARGEST_RECORD, LARGEST_ACTIVITY_BYTES)) + ERROR_HEADERS_BYTES


def cut_off(names: TopicNames, partitions: Mapping[str, int]) -> str | None:
    """Return why the ledger cannot be trusted with these topics and their partitions, None if it can.

    Retry topics count too: a customer's retries read the ledger of their own partition.
    """
    if names.move_mark in partitions:
        return (
            f"the ledger {names.ledger} is being moved, or its move was interrupted (topic {names.move_mark} "
            "exists): run `enrolment-worker ledger move` to its end, see 'More partitions' in the manual"
        )
    expected = partitions[names.activity]
    for kind, name in [("ledger", names.ledger), *(("retry topic", name) for name in names.retries)]:
        if partitions.get(name, expected) != expected:
            return (
                f"topic {names.activity} has {expected} partitions and the {kind} {name} has "
                f"{partitions[name]}: run `enrolment-worker ledger move`, see 'More partitions' in the manual"
            )
    return None
