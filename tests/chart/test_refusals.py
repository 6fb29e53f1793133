"""What the chart refuses, and with which remedy."""

from typing import Any

import pytest

from tests.support.chart.helm import Helm, Refused
from tests.support.chart.matrix import KEDA, MINIMAL, SASL, merged

_KEDA = merged(MINIMAL, KEDA)


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({}, "settings.kafkaBootstrapServers is empty; list"),
        (merged(MINIMAL, {"settings": {"apiBaseUrl": ""}}), "settings.apiBaseUrl is empty; set"),
        ({"settings": MINIMAL["settings"]}, "no credentials for the API; give"),
        (merged(MINIMAL, {"secrets": {"values": {"apiPassword": ""}}}), "must be one pair"),
        (merged(MINIMAL, {"secrets": {"values": {"apiClientKey": "a"}}}), "must be one pair"),
        (merged(MINIMAL, {"secrets": {"existingSecret": "a"}}), "both given; keep one"),
        (
            {"settings": MINIMAL["settings"], "secrets": {"existingSecret": "a"}},
            "no credentials for the API; give",
        ),
        (merged(MINIMAL, {"settings": {"kafkaSecurityProtocol": "SASL_SSL"}}), "kafkaSaslMechanism is empty"),
        (
            merged(MINIMAL, SASL, {"secrets": {"values": {"kafkaSaslPassword": ""}}}),
            "SASL_SSL needs kafkaSaslUsername and kafkaSaslPassword",
        ),
        (merged(MINIMAL, {"kafkaTls": {"existingSecret": "a"}}), "kafkaTls.existingSecret has no effect"),
        (merged(MINIMAL, {"settings": {"dryRun": True}}), "settings.dryRun needs a settings.groupId"),
        (merged(MINIMAL, {"settings": {"dryRun": True, "groupId": "a"}}), "settings.dryRun needs"),
        (
            merged(_KEDA, {"keda": {"maxReplicas": 9}}),
            "keda.maxReplicas is 9 and settings.topicPartitions is 8",
        ),
        (merged(_KEDA, {"keda": {"minReplicas": 9}}), "keda.minReplicas is 9; it must not be above the 8"),
        (merged(_KEDA, {"keda": {"minReplicas": 4, "maxReplicas": 3}}), "keda.minReplicas is 4"),
        (merged(MINIMAL, {"topics": {"mode": "strimzi"}}), "topics.strimzi.cluster is empty; set"),
        (
            merged(
                _KEDA,
                {
                    "settings": SASL["settings"],
                    "extraEnv": [{"name": "ENROLMENT_KAFKA_SASL_PASSWORD_FILE", "value": "/p"}],
                },
            ),
            "set keda.authenticationRef",
        ),
    ],
)
def test_a_release_that_cannot_work_is_refused(helm: Helm, values: dict[str, Any], remedy: str) -> None:
    """Values that contradict each other must be refused with a line that says what to do."""
    with pytest.raises(Refused) as refused:
        helm.render(values)
    assert remedy in str(refused.value)
