"""Topics, their names and their settings."""

from datetime import timedelta

import pytest

from topics.names import TopicNames, all_topics

NAMES = TopicNames("customer-activity", "enrolment-outcomes", "enrolment-worker")


def test_names_are_derived_as_the_contract_says() -> None:
    """Retry and dead-letter topics hang on the activity topic's name, the ledger on the group's."""
    assert NAMES.retries == (
        "customer-activity-retry-1",
        "customer-activity-retry-2",
        "customer-activity-retry-3",
    )
    assert NAMES.dead_letters == "customer-activity-dlt"
    assert NAMES.ledger == "enrolment-worker-ledger-changelog"


def test_every_topic_is_listed_once_with_its_settings() -> None:
    """Retry and dead-letter topics take the largest activity record plus 64 KiB; the ledger compacts."""
    specs = {spec.name: spec for spec in all_topics(NAMES, 8, 1, timedelta(days=400))}

    assert list(specs) == [
        NAMES.activity,
        *NAMES.retries,
        NAMES.dead_letters,
        NAMES.outcomes,
        NAMES.ledger,
    ]
    assert {spec.partitions for spec in specs.values()} == {8}
    largest = int(specs[NAMES.activity].config["max.message.bytes"])
    for name in (*NAMES.retries, NAMES.dead_letters):
        assert int(specs[name].config["max.message.bytes"]) == largest + 65_536
    assert specs[NAMES.ledger].config == {
        "min.insync.replicas": "1",
        "cleanup.policy": "compact,delete",
        "retention.ms": "34560000000",
    }
    assert all(spec.purpose for spec in specs.values())


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_acknowledged_means_two_replicas_where_there_are_three(replicas: int, in_sync: str) -> None:
    """Two of three replicas hold what was acknowledged; where there are fewer, one must do."""
    specs = all_topics(NAMES, 1, replicas, timedelta(days=1))

    assert {spec.replication_factor for spec in specs} == {replicas}
    assert {spec.config["min.insync.replicas"] for spec in specs} == {in_sync}
