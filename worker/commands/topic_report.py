"""How our topics, next to what the cluster has of them, are shown."""

from collections.abc import Iterator
from typing import Any

from topics.names import TopicSpec
from worker.kafka.admin import ExistingTopic
from worker.kafka.inventory import TopicReport


def size(topic: TopicSpec | ExistingTopic) -> str:
    """Return a topic's size for people."""
    return f"partitions: {topic.partitions}, replicas: {topic.replication_factor}"


def lines(report: TopicReport) -> Iterator[str]:
    """Yield a report for people."""
    extent = "missing" if report.found is None else size(report.found)
    yield f"{report.spec.name}  {extent}  ({report.spec.purpose})"
    differing = {difference.setting for difference in report.differences}
    for setting, wanted in report.spec.config.items():
        if setting not in differing:
            unread = report.found is not None and report.found.config is None
            yield f"    {setting}={wanted}" + (" wanted; may not be read" if unread else "")
    for difference in report.differences:
        found = "unset" if difference.found is None else difference.found
        yield f"  ! {difference.setting} is {found}, {difference.wanted} when we create it"


def as_object(report: TopicReport) -> dict[str, Any]:
    """Return a report for programs, to be written as JSON."""
    found = report.found
    return {
        "name": report.spec.name,
        "purpose": report.spec.purpose,
        "exists": found is not None,
        "partitions": report.spec.partitions if found is None else found.partitions,
        "replicationFactor": report.spec.replication_factor if found is None else found.replication_factor,
        "config": report.spec.config,
        "differences": [
            {"setting": each.setting, "found": each.found, "wanted": each.wanted}
            for each in report.differences
        ],
    }
