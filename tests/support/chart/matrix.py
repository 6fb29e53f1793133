"""Values that the chart must render with, by what they are about."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.support.chart.helm import Document, Values

MINIMAL: Final[Values] = {
    "settings": {"kafkaBootstrapServers": ["kafka:9092"], "apiBaseUrl": "https://api.example.com"},
    "secrets": {"values": {"apiUsername": "user", "apiPassword": "pass:w\"ord'"}},
}
SASL: Final[Values] = {
    "settings": {"kafkaSecurityProtocol": "SASL_SSL", "kafkaSaslMechanism": "SCRAM-SHA-512"},
    "secrets": {"values": {"kafkaSaslUsername": "kafka-user", "kafkaSaslPassword": "kafka-pass"}},
    "kafkaTls": {"existingSecret": "kafka-tls", "certKey": "tls.crt", "privateKeyKey": "tls.key"},
}
EXISTING_SECRET: Final[Values] = {
    "settings": MINIMAL["settings"],
    "secrets": {
        "existingSecret": "mine",
        "keys": {"apiClientKey": "key", "apiClientSecret": "secret", "piiKey": "pii"},
    },
}
OPERATORS: Final[Values] = {
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboards": {"enabled": True, "annotations": {"folder": "Loyalty"}},
}
KEDA: Final[Values] = {"keda": {"enabled": True}}
STRIMZI: Final[Values] = {
    "topics": {"mode": "strimzi", "strimzi": {"cluster": "main", "namespace": "kafka", "activity": True}}
}


def merged(*parts: Values) -> dict[str, Any]:
    """Return values with those of later parts over those of earlier ones, as Helm merges them."""
    result: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
            result[name] = merged(result[name], value) if both else value
    return result


CASES: Final[Mapping[str, Values]] = {
    "minimal": MINIMAL,
    "sasl over mutual TLS": merged(MINIMAL, SASL),
    "existing secret": EXISTING_SECRET,
    "no volume, little around": merged(
        MINIMAL,
        {
            "persistence": {"enabled": False},
            "podDisruptionBudget": {"enabled": False},
            "networkPolicy": {"enabled": False},
            "topologySpread": {"enabled": False},
            "serviceAccount": {"create": False},
        },
    ),
    "operators": merged(MINIMAL, OPERATORS),
    "keda": merged(MINIMAL, KEDA),
    "keda with sasl": merged(MINIMAL, SASL, KEDA),
    "keda with an authentication of its own": merged(
        MINIMAL, SASL, KEDA, {"keda": {"authenticationRef": "a"}}
    ),
    "topics by a job": merged(MINIMAL, SASL, {"topics": {"mode": "job"}}),
    "topics by strimzi": merged(MINIMAL, STRIMZI, {"settings": {"activityTopic": "Customer_Activity"}}),
    "dry run": merged(MINIMAL, {"settings": {"dryRun": True, "groupId": "trial", "outcomeTopic": "trial"}}),
    "everything of the pod": merged(
        MINIMAL,
        {
            "image": {"digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
            "imagePullSecrets": [{"name": "registry"}],
            "otel": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "OTEL_SDK_DISABLED": False},
            "extraEnv": [{"name": "TZ", "value": "UTC"}],
            "extraVolumes": [{"name": "more", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
            "persistence": {"storageClass": "fast", "whenScaled": "Delete"},
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
            "nodeSelector": {"pool": "workers"},
            "tolerations": [{"key": "pool", "operator": "Exists"}],
            "priorityClassName": "high",
            "podAnnotations": {"a": "b"},
            "podLabels": {"team": "loyalty"},
            "commonLabels": {"cost-centre": "1"},
            "serviceAccount": {"name": "worker", "annotations": {"a": "b"}},
            "networkPolicy": {
                "kafkaPorts": [9092, 9093],
                "kafkaTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
                "otlpTo": [{"podSelector": {}}],
                "metricsFrom": [{"podSelector": {}}],
                "extraEgress": [{"ports": [{"port": 8125, "protocol": "UDP"}]}],
            },
            "podDisruptionBudget": {"maxUnavailable": "25%"},
        },
    ),
}


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    """Return the documents of a kind."""
    return [document for document in documents if document["kind"] == kind]


def pod_specs(documents: list[Document]) -> Iterator[dict[str, Any]]:
    """Yield the specification of each pod that the documents lead to."""
    for document in documents:
        if document["kind"] in ("StatefulSet", "Job"):
            yield document["spec"]["template"]["spec"]
