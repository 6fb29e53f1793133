"""Which settings of topics keep the worker from its promises."""

from datetime import timedelta

import pytest

from topics.names import TopicNames, all_topics
from worker.kafka.admin import ExistingTopic
from worker.operations.findings import Finding, Level
from worker.operations.topic_fitness import Needs, judge_topics

NAMES = TopicNames("activity", "outcomes", "g")
NEEDS = Needs(NAMES, 400, (30.0, 300.0, 1800.0))
LEDGER = "g-ledger-changelog"


def cluster(**changed: dict[str, str]) -> dict[str, ExistingTopic]:
    """Return our topics as we create them, three replicas each, with settings changed by topic."""
    specs = all_topics(NAMES, 4, 3, timedelta(days=400))
    by_name = {name.replace("_", "-"): change for name, change in changed.items()}
    return {spec.name: ExistingTopic(4, 3, spec.config | by_name.get(spec.name, {})) for spec in specs}


def found(existing: dict[str, ExistingTopic], needs: Needs = NEEDS, brokers: int = 3) -> dict[str, Finding]:
    """Return what is not as it should be, by subject."""
    findings = judge_topics(needs, existing, brokers)
    return {each.subject: each for each in findings if each.level is not Level.OK}


def test_topics_as_created_are_fit() -> None:
    """Topics as `topics create` makes them must raise no objection."""
    assert found(cluster()) == {}
    assert len([*judge_topics(NEEDS, cluster(), 3)]) == 7


@pytest.mark.parametrize(
    ("topic", "change", "level", "remedy"),
    [
        ("activity", {"retention.ms": "86400000"}, "warning", "retention.ms=259200000"),
        ("activity", {"cleanup.policy": "compact"}, "fault", "cleanup.policy=delete"),
        ("activity-retry-3", {"retention.ms": "86400000"}, "fault", "retention.ms=88200000"),
        ("activity-retry-1", {"max.message.bytes": "1048588"}, "fault", "max.message.bytes=1114124"),
        ("activity-dlt", {"max.message.bytes": "1114123"}, "fault", "max.message.bytes=1114124"),
        ("activity-dlt", {"cleanup.policy": "compact,delete"}, "fault", "cleanup.policy=delete"),
        ("outcomes", {"max.message.bytes": "10000"}, "fault", "max.message.bytes=262144"),
        (LEDGER, {"retention.ms": "604800000"}, "fault", "retention.ms=34560000000"),
        (LEDGER, {"retention.bytes": "1000000"}, "fault", "retention.bytes=-1"),
        (LEDGER, {"cleanup.policy": "delete"}, "warning", "cleanup.policy=compact,delete"),
        (LEDGER, {"max.message.bytes": "999999"}, "fault", "max.message.bytes=1048588"),
    ],
)
def test_unfit_settings(topic: str, change: dict[str, str], level: str, remedy: str) -> None:
    """A setting that breaks a promise must be named with the value that mends it."""
    finding = found(cluster(**{topic.replace("-", "_"): change}))[f"topic {topic}"]
    assert (finding.level, finding.remedy) == (level, f"set {remedy} on it")


def test_room_is_measured_by_the_activity_topic() -> None:
    """Larger activity records must ask for larger retry and dead-letter topics."""
    unfit = found(cluster(activity={"max.message.bytes": "5000000"}))
    assert set(unfit) == {"topic activity-dlt", *(f"topic activity-retry-{hop}" for hop in (1, 2, 3))}
    assert unfit["topic activity-dlt"].remedy == "set max.message.bytes=5065536 on it"


def test_missing_topics() -> None:
    """A missing activity topic must be a fault, a topic that the worker makes itself a warning."""
    unfit = found({})
    assert unfit["topic activity"].level is Level.FAULT
    assert {each.level for name, each in unfit.items() if name != "topic activity"} == {Level.WARNING}


def test_a_cut_off_ledger() -> None:
    """Another partition count than the activity topic's must be a fault with the way out."""
    existing = cluster()
    existing[LEDGER] = ExistingTopic(3, 3, existing[LEDGER].config)
    unfit = found(existing)["partitions"]
    assert unfit.level is Level.FAULT
    assert "ledger move" in (unfit.remedy or "")


def test_replicas_and_hidden_settings() -> None:
    """One replica among several brokers, and settings that may not be read, must be said."""
    single = {name: ExistingTopic(4, 1, topic.config) for name, topic in cluster().items()}
    assert found(single, brokers=1) == {}
    assert "topic activity" not in found(single)
    assert len(found(single)) == 6
    hidden = {name: ExistingTopic(4, 3, None) for name in cluster()}
    assert {each.remedy for each in found(hidden).values()} == {"allow DescribeConfigs on it"}


def test_a_dry_run_needs_two_topics() -> None:
    """Neither retry topics nor ledger may be asked of a dry run."""
    existing = cluster()
    few = {name: existing[name] for name in ("activity", "outcomes")}
    assert found(few, Needs(NAMES, 400, dry_run=True)) == {}
