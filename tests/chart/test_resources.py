"""What must hold in what the chart renders, beyond fitting its schema."""

import base64
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from helm.generate import CHART
from tests.support.chart.helm import Document, Helm, Values
from tests.support.chart.matrix import (
    CASES,
    EXISTING_SECRET,
    KEDA,
    MINIMAL,
    OPERATORS,
    SASL,
    merged,
    of_kind,
    pod_specs,
)
from worker.settings import load_settings
from worker.stopping import BEYOND_DRAIN_SECONDS

_SECRETS: Final = ("pass:w\"ord'", "kafka-pass")
_JOB: Final = {"topics": {"mode": "job"}}


@pytest.mark.parametrize("case", CASES)
def test_secrets_are_in_secrets_only(helm: Helm, case: str) -> None:
    """No secret may be readable, or merely encoded, in anything but a Secret, nor be a variable."""
    for document in helm.documents(CASES[case]):
        if document["kind"] != "Secret":
            text = json.dumps(document)
            for secret in _SECRETS:
                assert json.dumps(secret)[1:-1] not in text
                assert base64.b64encode(secret.encode()).decode() not in text


def test_the_made_secret_holds_what_was_given(helm: Helm) -> None:
    """What the worker reads from the file must be the value, byte for byte."""
    [secret] = of_kind(helm.documents(merged(MINIMAL, SASL)), "Secret")
    assert {name: base64.b64decode(value).decode() for name, value in secret["data"].items()} == {
        "apiUsername": "user",
        "apiPassword": _SECRETS[0],
        "kafkaSaslUsername": "kafka-user",
        "kafkaSaslPassword": _SECRETS[1],
    }
    assert of_kind(helm.documents(EXISTING_SECRET), "Secret") == []


def test_selectors_never_change(helm: Helm) -> None:
    """What Kubernetes forbids to change must depend on the release's name alone."""
    many = merged(CASES["everything of the pod"], OPERATORS, KEDA, {"image": {"tag": "9.9.9"}})
    for values in (MINIMAL, many):
        [workload] = of_kind(helm.documents(values), "StatefulSet")
        expected = {"app.kubernetes.io/name": "enrolment-worker", "app.kubernetes.io/instance": "w"}
        assert workload["spec"]["selector"] == {"matchLabels": expected}
        assert workload["spec"]["serviceName"] == "w-enrolment-worker"
        [claim] = workload["spec"]["volumeClaimTemplates"]
        assert claim["metadata"] == {"name": "state", "labels": expected}


def test_everything_that_selects_pods_finds_them(helm: Helm) -> None:
    """Service, budget, policy and monitor must select the workers; of these the policy alone the Job too."""
    documents = helm.documents(merged(MINIMAL, OPERATORS, _JOB))
    labels = {
        kind: of_kind(documents, kind)[0]["spec"]["template"]["metadata"]["labels"]
        for kind in ("StatefulSet", "Job")
    }
    selectors = {
        "Service": of_kind(documents, "Service")[0]["spec"]["selector"],
        "PodDisruptionBudget": of_kind(documents, "PodDisruptionBudget")[0]["spec"]["selector"][
            "matchLabels"
        ],
    }
    for selector in selectors.values():
        assert selector.items() <= labels["StatefulSet"].items()
        assert not selector.items() <= labels["Job"].items()
    policy = of_kind(documents, "NetworkPolicy")[0]["spec"]["podSelector"]
    [names] = [each["values"] for each in policy["matchExpressions"]]
    for pod in labels.values():
        assert policy["matchLabels"].items() <= pod.items()
        assert pod["app.kubernetes.io/name"] in names
    monitor = of_kind(documents, "ServiceMonitor")[0]["spec"]["selector"]["matchLabels"]
    assert monitor.items() <= of_kind(documents, "Service")[0]["metadata"]["labels"].items()


def test_pods_are_confined(helm: Helm) -> None:
    """Every pod must run as nobody in particular, unable to become more, on a read-only file system."""
    specs = list(pod_specs(helm.documents(merged(MINIMAL, _JOB))))
    assert len(specs) == 2
    for spec in specs:
        [container] = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not spec["automountServiceAccountToken"]
        assert not spec["enableServiceLinks"]


def test_a_pod_has_time_to_stop(helm: Helm) -> None:
    """Kubernetes must wait for longer than the worker takes to end itself, whatever the drain."""
    for seconds in (1, 25, 90.5):
        values = merged(MINIMAL, {"settings": {"drainSeconds": seconds}})
        documents = helm.documents(values)
        credentials = {"ENROLMENT_API_USERNAME": "a", "ENROLMENT_API_PASSWORD": "b"}
        settings = load_settings(of_kind(documents, "ConfigMap")[0]["data"] | credentials)
        grace = next(pod_specs(documents))["terminationGracePeriodSeconds"]
        room = grace - settings.drain_seconds - BEYOND_DRAIN_SECONDS
        assert 5 <= room <= 6


def test_probes_ask_the_http_port(helm: Helm) -> None:
    """Probes, Service and metrics must follow the port that the worker is told."""
    documents = helm.documents(merged(MINIMAL, {"settings": {"httpPort": 7000}}))
    [container] = next(pod_specs(documents))["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 7000}]
    paths = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert paths == {
        "startupProbe": {"path": "/live", "port": "http"},
        "livenessProbe": {"path": "/live", "port": "http"},
        "readinessProbe": {"path": "/ready", "port": "http"},
    }


def test_each_replica_has_a_volume_for_the_ledger(helm: Helm) -> None:
    """The state's folder must be a volume: a claim per replica, or else an emptyDir."""
    for enabled, volumes in ((True, []), (False, [{"name": "state", "emptyDir": {"sizeLimit": "8Gi"}}])):
        documents = helm.documents(
            merged(EXISTING_SECRET, {"persistence": {"enabled": enabled}, "settings": {"stateDir": "/s"}})
        )
        [workload] = of_kind(documents, "StatefulSet")
        spec = workload["spec"]["template"]["spec"]
        assert {"name": "state", "mountPath": "/s"} in spec["containers"][0]["volumeMounts"]
        assert [volume for volume in spec["volumes"] if volume["name"] == "state"] == volumes
        assert ("volumeClaimTemplates" in workload["spec"]) == enabled


def test_certificates_are_mounted_where_the_settings_say(helm: Helm) -> None:
    """Files of kafkaTls must be found under the paths that the worker is given."""
    spec = next(pod_specs(helm.documents(merged(MINIMAL, SASL))))
    env = {each["name"]: each["value"] for each in spec["containers"][0]["env"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    files = {"CA": "ca.crt", "CERT": "tls.crt", "KEY": "tls.key"}
    for name, file in files.items():
        assert env[f"ENROLMENT_KAFKA_SSL_{name}_FILE"] == f"{mounts['kafka-tls']}/{file}"


def test_egress_goes_to_what_is_configured_only(helm: Helm) -> None:
    """Pods may reach DNS, Kafka, the API and the OTLP endpoint on their ports, and nothing else."""
    values = merged(
        MINIMAL,
        {
            "settings": {
                "kafkaBootstrapServers": ["a:9093", "[fe80::1]:9094"],
                "apiBaseUrl": "http://api:8080/x",
            },
            "otel": {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otlp.example.com"},
        },
    )
    assert _egress_ports(helm, values) == [[53, 53], [9093, 9094], [8080], [443]]
    assert _egress_ports(helm, MINIMAL) == [[53, 53], [9092], [443]]


def test_dashboards_and_rules_are_what_lies_in_their_folders(helm: Helm, tmp_path: Path) -> None:
    """Dashboards must arrive byte for byte, groups of rules in one resource; nothing where there is none."""
    dashboard = '{"title": "A", "panels": [{"legendFormat": "{{outcome}}"}]}\n'
    group = (
        "groups:\n- name: {0}\n  rules:\n"
        "  - alert: A\n    expr: up == 0\n    annotations: {{a: '{{{{ $value }}}}'}}\n"
    )
    none = _chart(tmp_path / "none", {}, {})
    some = _chart(
        tmp_path / "some",
        {"a_b.json": dashboard, "c.json": "{}\n"},
        {"a.yaml": group.format("one"), "b.yaml": group.format("two")},
    )
    values = merged(MINIMAL, OPERATORS)
    rendered = {
        name: Helm(helm.program, chart).documents(values) for name, chart in (("none", none), ("some", some))
    }
    assert _dashboards(rendered["none"]) == []
    assert of_kind(rendered["none"], "PrometheusRule") == []
    first, second = _dashboards(rendered["some"])
    assert first["data"] == {"a_b.json": dashboard}
    assert first["metadata"]["name"] == "w-enrolment-worker-dashboard-a-b"
    assert first["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert second["data"] == {"c.json": "{}\n"}
    [rules] = of_kind(rendered["some"], "PrometheusRule")
    assert [each["name"] for each in rules["spec"]["groups"]] == ["one", "two"]
    assert rules["spec"]["groups"][0]["rules"][0]["annotations"] == {"a": "{{ $value }}"}


def test_a_changed_setting_replaces_the_pods(helm: Helm) -> None:
    """A worker reads its settings at the start: changing one must change the pods, and nothing else must."""

    def annotations(values: Values) -> Any:  # noqa: ANN401 - YAML
        [workload] = of_kind(helm.documents(values), "StatefulSet")
        return workload["spec"]["template"]["metadata"]["annotations"]

    same = annotations(MINIMAL)
    assert annotations(merged(MINIMAL, {"replicaCount": 4, "serviceMonitor": {"enabled": True}})) == same
    assert annotations(merged(MINIMAL, {"settings": {"maxInFlight": 8}})) != same
    assert annotations(merged(MINIMAL, {"secrets": {"values": {"apiPassword": "new"}}})) != same
    assert annotations(merged(MINIMAL, {"otel": {"OTEL_SDK_DISABLED": "true"}})) != same


def test_names_stay_short_enough(helm: Helm) -> None:
    """The longest release name must give names that Kubernetes takes, its revision labels included."""
    release = "r" * 53
    for document in helm.documents(merged(MINIMAL, OPERATORS, KEDA, _JOB), release=release):
        longest = 253 if document["kind"] == "ConfigMap" else 63
        assert len(document["metadata"]["name"]) <= longest
    [workload] = of_kind(helm.documents(MINIMAL, release=release), "StatefulSet")
    assert len(workload["metadata"]["name"]) <= 52


def _egress_ports(helm: Helm, values: Mapping[str, Any]) -> list[list[int]]:
    [policy] = of_kind(helm.documents(values), "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    return [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["egress"]]


def _dashboards(documents: list[Document]) -> list[Document]:
    return [each for each in of_kind(documents, "ConfigMap") if "-dashboard-" in each["metadata"]["name"]]


def _chart(folder: Path, dashboards: Mapping[str, str], rules: Mapping[str, str]) -> Path:
    shutil.copytree(CHART, folder, ignore=shutil.ignore_patterns("dashboards", "rules"))
    for part, files in (("dashboards", dashboards), ("rules", rules)):
        (folder / part).mkdir()
        for name, text in files.items():
            (folder / part / name).write_text(text, encoding="utf-8")
    return folder
