"""Whether Kubernetes, KEDA, the Prometheus operator and Strimzi would take a document."""

from typing import Final, Literal

import kubernetes_validate
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus_operator
from pydantic import BaseModel, ConfigDict

from tests.support.chart.helm import Document

VERSIONS: Final = ("1.31", "1.34", "1.37")
"""Of Kubernetes: the oldest that Chart.yaml allows, the newest that there are schemas of, one between."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _TopicMetadata(_Strict):
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    namespace: str | None = None


class _TopicSpec(_Strict):
    topicName: str  # noqa: N815 - Strimzi's name
    partitions: int
    replicas: int
    config: dict[str, str]


class _KafkaTopic(_Strict):
    """After Strimzi's API reference; there is no package of its models."""

    apiVersion: Literal["kafka.strimzi.io/v1", "kafka.strimzi.io/v1beta2"]  # noqa: N815 - Kubernetes' name
    kind: Literal["KafkaTopic"]
    metadata: _TopicMetadata
    spec: _TopicSpec


_CUSTOM: Final[dict[tuple[str, str], type[BaseModel]]] = {
    ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): keda.TriggerAuthentication,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): prometheus_operator.ServiceMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): prometheus_operator.PrometheusRule,
    ("kafka.strimzi.io/v1", "KafkaTopic"): _KafkaTopic,
    ("kafka.strimzi.io/v1beta2", "KafkaTopic"): _KafkaTopic,
}


def validate(document: Document, kubernetes: str) -> None:
    """Raise where a document has unknown fields, wrong ones, or is of a kind that nobody knows."""
    model = _CUSTOM.get((document["apiVersion"], document["kind"]))
    if model is None:
        kubernetes_validate.validate(document, kubernetes, strict=True)
    else:
        model.model_validate(document, extra="forbid")


def errors() -> tuple[type[Exception], ...]:
    """Return what `validate` raises."""
    return (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError, ValueError)
