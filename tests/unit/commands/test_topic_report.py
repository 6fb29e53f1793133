"""Our topics next to the cluster's: what is missing, what differs, what is created."""

import asyncio
from collections.abc import Iterable

import pytest

from topics.names import TopicSpec
from worker.commands.topic_report import as_object, lines
from worker.kafka.admin import ExistingTopic, Refusal
from worker.kafka.inventory import Difference, create_missing, inspect
from worker.settings import KafkaSettings, load_settings

SETTINGS = load_settings({"ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}, KafkaSettings)
LEDGER = "enrolment-worker-ledger-changelog"


_REFUSAL = Refusal("not authorised")


class Cluster:
    """A cluster with some topics; it refuses to create those in `refused`."""

    def __init__(self, topics: dict[str, ExistingTopic], refused: frozenset[str] = frozenset()) -> None:
        self.topics = topics
        self.refused = refused
        self.created: list[TopicSpec] = []

    async def existing(self, names: Iterable[str]) -> dict[str, ExistingTopic]:
        """Return those of the topics that exist."""
        return {name: self.topics[name] for name in names if name in self.topics}

    async def create(self, specs: Iterable[TopicSpec]) -> dict[str, Refusal | None]:
        """Note what is asked for."""
        self.created = list(specs)
        return {spec.name: _REFUSAL if spec.name in self.refused else None for spec in self.created}


def test_followers_get_the_activity_topics_partitions() -> None:
    """Retry topics and ledger lie on the partitions of the existing activity topic; others are free."""
    cluster = Cluster({"customer-activity": ExistingTopic(3, 1, {})})
    asyncio.run(create_missing(SETTINGS, cluster))
    assert {spec.name: spec.partitions for spec in cluster.created} == {
        "customer-activity-retry-1": 3,
        "customer-activity-retry-2": 3,
        "customer-activity-retry-3": 3,
        "customer-activity-dlt": 8,
        "enrolment-outcomes": 8,
        LEDGER: 3,
    }


def test_nothing_is_created_twice() -> None:
    """With every topic in place the cluster is asked to create none, and refusals are kept apart."""
    empty = Cluster({}, refused=frozenset({LEDGER}))
    before, refusals = asyncio.run(create_missing(SETTINGS, empty))
    assert refusals == {LEDGER: _REFUSAL}
    full = Cluster({report.spec.name: ExistingTopic(8, 1, report.spec.config) for report in before})
    reports, _ = asyncio.run(create_missing(SETTINGS, full))
    assert full.created == []
    assert [report.differences for report in reports] == [()] * 7


def test_differences_are_shown() -> None:
    """Settings that differ are named with both values; replicas and free partition counts may differ."""
    cluster = Cluster(
        {
            "customer-activity": ExistingTopic(3, 3, {"max.message.bytes": "1048588"}),
            "enrolment-outcomes": ExistingTopic(5, 1, {"retention.ms": "1", "min.insync.replicas": "1"}),
            LEDGER: ExistingTopic(8, 1, None),
        }
    )
    reports = {report.spec.name: report for report in asyncio.run(inspect(SETTINGS, cluster))}
    assert reports["customer-activity"].differences == (Difference("min.insync.replicas", None, "1"),)
    assert reports["enrolment-outcomes"].differences == (Difference("retention.ms", "1", "2592000000"),)
    assert reports[LEDGER].differences == (Difference("partitions", "8", "3"),)
    assert list(lines(reports["enrolment-outcomes"])) == [
        "enrolment-outcomes  partitions: 5, replicas: 1  (what each event led to)",
        "    min.insync.replicas=1",
        "  ! retention.ms is 1, 2592000000 when we create it",
    ]
    assert next(lines(reports["customer-activity-dlt"])).startswith("customer-activity-dlt  missing  (")
    assert as_object(reports["enrolment-outcomes"])["differences"] == [
        {"setting": "retention.ms", "found": "1", "wanted": "2592000000"}
    ]


@pytest.mark.parametrize(
    ("allowed", "room"), [("4000000", "4065536"), ("100000", "1114124"), (None, "1114124")]
)
def test_where_records_are_moved_to_has_room_for_the_activity_topics_largest(
    allowed: str | None, room: str
) -> None:
    """With our headers; never less than beside an activity topic of our own making."""
    config = None if allowed is None else {"max.message.bytes": allowed}
    cluster = Cluster({"customer-activity": ExistingTopic(3, 1, config)})
    asyncio.run(create_missing(SETTINGS, cluster))
    record_topics = {spec.config["max.message.bytes"] for spec in cluster.created if "customer-" in spec.name}
    assert record_topics == {room}
