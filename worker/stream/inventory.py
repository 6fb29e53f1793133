"""Our topics next to what the cluster has of them, and creating what it lacks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from topics.names import TopicSpec, catalogue
from worker.settings import KafkaSettings
from worker.stream.admin import ExistingTopic


class TopicAdmin(Protocol):
    """What is asked of the cluster; `admin` has the real one. Each raises KafkaFailed."""

    async def existing(self, names: Iterable[str]) -> dict[str, ExistingTopic]:
        """Return those of the topics that exist."""
        ...

    async def create(self, specs: Iterable[TopicSpec]) -> dict[str, str | None]:
        """Create the topics; return for each why it could not be, None where it now exists."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that a topic has otherwise than `topics create` would have made it; None is unset."""

    setting: str
    found: str | None
    wanted: str


@dataclass(frozen=True, slots=True)
class TopicReport:
    """A topic of ours next to what the cluster has of it, None where it is missing."""

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


async def inspect(settings: KafkaSettings, admin: TopicAdmin) -> tuple[TopicReport, ...]:
    """Compare our topics with the cluster's."""
    names = settings.topic_names
    retention = timedelta(days=settings.ledger_retention_days)
    specs = catalogue(names, settings.topic_partitions, settings.topic_replication_factor, retention)
    existing = await admin.existing([spec.name for spec in specs])
    followers = {*names.retries, names.ledger}
    return tuple(
        TopicReport(_fitted(spec, existing, names.activity, followers), existing.get(spec.name))
        for spec in specs
    )


async def create_missing(
    settings: KafkaSettings, admin: TopicAdmin
) -> tuple[tuple[TopicReport, ...], dict[str, str]]:
    """Create what is missing; return how things stood before, and why a topic could not be created."""
    reports = await inspect(settings, admin)
    missing = [report.spec for report in reports if report.found is None]
    answers = await admin.create(missing) if missing else {}
    return reports, {name: refusal for name, refusal in answers.items() if refusal is not None}


def _fitted(
    spec: TopicSpec, existing: Mapping[str, ExistingTopic], activity: str, followers: set[str]
) -> TopicSpec:
    """Return the topic with the partitions that it must have: a follower the activity topic's, else any."""
    governing = existing.get(activity if spec.name in followers else spec.name)
    return spec if governing is None else replace(spec, partitions=governing.partitions)
