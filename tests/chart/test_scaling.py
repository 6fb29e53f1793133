"""How the release grows and shrinks."""

from tests.support.chart.helm import Helm
from tests.support.chart.matrix import KEDA, MINIMAL, SASL, merged, of_kind


def test_keda_scales_by_lag_up_to_the_partitions(helm: Helm) -> None:
    """With KEDA the StatefulSet has no replicas, and no outage or stuck partition adds any."""
    assert (
        of_kind(helm.documents(merged(MINIMAL, {"replicaCount": 5})), "StatefulSet")[0]["spec"]["replicas"]
        == 5
    )
    values = merged(
        MINIMAL, KEDA, {"settings": {"topicPartitions": 24, "groupId": "g", "activityTopic": "t"}}
    )
    documents = helm.documents(values)
    assert "replicas" not in of_kind(documents, "StatefulSet")[0]["spec"]
    [scaled] = of_kind(documents, "ScaledObject")
    assert scaled["spec"]["maxReplicaCount"] == 24
    assert (
        scaled["spec"]["scaleTargetRef"]["name"] == of_kind(documents, "StatefulSet")[0]["metadata"]["name"]
    )
    [trigger] = scaled["spec"]["triggers"]
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    expected = {
        "bootstrapServers": "kafka:9092",
        "consumerGroup": "g",
        "topic": "t",
        "allowIdleConsumers": "false",
        "excludePersistentLag": "true",
        "tls": "disable",
    }
    assert expected.items() <= trigger["metadata"].items()
    assert "authenticationRef" not in trigger


def test_keda_reaches_kafka_as_the_worker_does(helm: Helm) -> None:
    """KEDA must be given the same credentials and certificates, from the same Secrets."""
    documents = helm.documents(merged(MINIMAL, SASL, KEDA))
    [trigger] = of_kind(documents, "ScaledObject")[0]["spec"]["triggers"]
    assert {"tls": "enable", "sasl": "scram_sha512"}.items() <= trigger["metadata"].items()
    [authentication] = of_kind(documents, "TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    found = {
        each["parameter"]: (each["name"], each["key"]) for each in authentication["spec"]["secretTargetRef"]
    }
    [secret] = of_kind(documents, "Secret")
    assert found == {
        "username": (secret["metadata"]["name"], "kafkaSaslUsername"),
        "password": (secret["metadata"]["name"], "kafkaSaslPassword"),
        "ca": ("kafka-tls", "ca.crt"),
        "cert": ("kafka-tls", "tls.crt"),
        "key": ("kafka-tls", "tls.key"),
    }
