"""Topics made with the release: by a Job, or by Strimzi."""

from datetime import timedelta
from typing import Final

import pytest

from tests.support.chart.helm import Helm
from tests.support.chart.matrix import MINIMAL, SASL, STRIMZI, merged, of_kind, pod_specs
from topics.names import TopicNames, all_topics

_JOB: Final = {"topics": {"mode": "job"}}


def test_the_job_has_kafkas_secrets_only(helm: Helm) -> None:
    """Who makes topics needs no credentials of the API."""
    specs = {
        spec["containers"][0]["name"]: spec for spec in pod_specs(helm.documents(merged(MINIMAL, SASL, _JOB)))
    }
    spec = specs["topics"]
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == "secrets"]
    assert {item["path"] for item in volume["secret"]["items"]} == {"kafkaSaslUsername", "kafkaSaslPassword"}
    assert spec["containers"][0]["args"] == ["topics", "create"]


def test_a_job_with_other_settings_has_another_name(helm: Helm) -> None:
    """A Job cannot be changed, so an upgrade must make a new one, and only where something changed."""
    names = [
        of_kind(helm.documents(merged(MINIMAL, _JOB, more)), "Job")[0]["metadata"]["name"]
        for more in ({}, {"replicaCount": 3}, {"settings": {"topicPartitions": 9}}, {"image": {"tag": "2"}})
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_a_lost_ledger_is_forgotten_only_when_asked_for(helm: Helm) -> None:
    """By the Job and by the workers, whose volumes remember the one before; with a Job of another name."""
    asked = {"topics": {"newLedger": True}}
    found = [helm.documents(merged(MINIMAL, _JOB, more)) for more in ({}, asked)]
    arguments = [
        {each["containers"][0]["name"]: each["containers"][0]["args"] for each in pod_specs(documents)}
        for documents in found
    ]
    assert [each["topics"] for each in arguments] == [
        ["topics", "create"],
        ["topics", "create", "--new-ledger"],
    ]
    workers = [next(args for args in each.values() if args[0] == "run") for each in arguments]
    assert workers == [["run"], ["run", "--new-ledger"]]
    jobs = [of_kind(documents, "Job")[0]["metadata"]["name"] for documents in found]
    assert jobs[0] != jobs[1]


@pytest.mark.parametrize(("partitions", "replicas", "days"), [(8, 1, 400), (24, 3, 30)])
def test_strimzi_makes_the_catalogues_topics(helm: Helm, partitions: int, replicas: int, days: int) -> None:
    """KafkaTopics must be those that `topics create` makes, setting by setting, and outlive the release."""
    chosen = {
        "activityTopic": "Customer_Activity.eu",
        "outcomeTopic": "enrolment-outcomes",
        "groupId": "g",
        "topicPartitions": partitions,
        "topicReplicationFactor": replicas,
        "ledgerRetentionDays": days,
    }
    found = of_kind(helm.documents(merged(MINIMAL, STRIMZI, {"settings": chosen})), "KafkaTopic")
    names = TopicNames("Customer_Activity.eu", "enrolment-outcomes", "g")
    wanted = {spec.name: spec for spec in all_topics(names, partitions, replicas, timedelta(days=days))}
    assert {each["spec"]["topicName"] for each in found} == set(wanted)
    for each in found:
        spec = wanted[each["spec"]["topicName"]]
        assert each["spec"] == {
            "topicName": spec.name,
            "partitions": spec.partitions,
            "replicas": spec.replication_factor,
            "config": spec.config,
        }
        assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert "Prune=false" in each["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
        assert each["metadata"]["labels"]["strimzi.io/cluster"] == "main"
    assert len({each["metadata"]["name"] for each in found}) == len(found)


def test_strimzi_leaves_upstreams_topic_alone(helm: Helm) -> None:
    """The activity topic is upstream's unless values say otherwise."""
    values = merged(MINIMAL, STRIMZI, {"topics": {"strimzi": {"activity": False}}})
    assert "customer-activity" not in [
        each["spec"]["topicName"] for each in of_kind(helm.documents(values), "KafkaTopic")
    ]
