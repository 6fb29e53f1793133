"""Every topic that the worker reads or writes, with its settings, in one place."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

RETRY_TOPICS: Final = 3
LARGEST_ACTIVITY_BYTES: Final = 1_048_588
"""Kafka's default of `max.message.bytes`, which an activity topic of our making has."""
ERROR_HEADERS_BYTES: Final = 64 * 1024
"""Room of retry and dead-letter topics for our headers, beyond the activity topic's largest record."""
LARGEST_RECORD: Final = "max.message.bytes"
"""The topic setting that bounds a record."""
_DAY_MS: Final = 86_400_000


LEDGER_SUFFIX: Final = "-ledger-changelog"
"""As Faust names a table's changelog: application id, the table's name, its own suffix."""


def ledger_of(group_id: str) -> str:
    """Return the topic of a group's ledger."""
    return group_id + LEDGER_SUFFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic, what it is for, and the settings it is created with."""

    name: str
    purpose: str
    partitions: int
    replication_factor: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The names, derived from the two that operators choose and the consumer group."""

    activity: str
    outcomes: str
    group_id: str

    @property
    def retries(self) -> tuple[str, ...]:
        """The retry topics, shortest delay first."""
        return tuple(f"{self.activity}-retry-{hop}" for hop in range(1, RETRY_TOPICS + 1))

    @property
    def dead_letters(self) -> str:
        """Where records go that nothing can be done with."""
        return f"{self.activity}-dlt"

    @property
    def record_topics(self) -> tuple[str, ...]:
        """Where records are moved with their key, value and headers."""
        return (*self.retries, self.dead_letters)

    @property
    def ledger(self) -> str:
        """The ledger's changelog."""
        return ledger_of(self.group_id)

    @property
    def move_mark(self) -> str:
        """A topic, with as many partitions as the ledger had, that exists while the ledger is being moved."""
        return f"{self.group_id}-ledger-moving"


def all_topics(
    names: TopicNames, partitions: int, replication_factor: int, ledger_retention: timedelta
) -> tuple[TopicSpec, ...]:
    """Return every topic with the settings that `topics create` gives it.

    Retry topics and the ledger have the activity topic's partition count: a customer's retries and
    ledger entries lie on the partition of the customer's events.
    """

    def spec(name: str, purpose: str, **config: str) -> TopicSpec:
        durable = {"min.insync.replicas": "2" if replication_factor > 2 else "1"}  # noqa: PLR2004 - of three, two
        settings = {key.replace("_", "."): value for key, value in config.items()}
        return TopicSpec(
            name=name,
            purpose=purpose,
            partitions=partitions,
            replication_factor=replication_factor,
            config=durable | settings,
        )

    roomy = str(LARGEST_ACTIVITY_BYTES + ERROR_HEADERS_BYTES)
    month = str(30 * _DAY_MS)
    retention = str(int(ledger_retention.total_seconds() * 1000))
    return (
        spec(
            names.activity, "customer activity, from upstream", max_message_bytes=str(LARGEST_ACTIVITY_BYTES)
        ),
        *(
            spec(name, f"events to try again, hop {hop}", max_message_bytes=roomy, retention_ms=month)
            for hop, name in enumerate(names.retries, start=1)
        ),
        spec(
            names.dead_letters,
            "events that nothing could be done with (personal data)",
            max_message_bytes=roomy,
            retention_ms=month,
        ),
        spec(names.outcomes, "what each event led to", retention_ms=month),
        spec(
            names.ledger, "changelog of the ledger", cleanup_policy="compact,delete", retention_ms=retention
        ),
    )
