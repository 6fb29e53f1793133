"""The chart's values against the settings model: each setting has a value, and no value is no setting."""

import json
import re
import tomllib
from typing import Any

import pytest
import yaml

from helm.generate import CHART, camel, default, described, outdated, secrets, settings
from tests.support.chart.helm import Helm, Refused
from tests.support.chart.matrix import MINIMAL, merged, of_kind, pod_specs
from worker.settings import Settings, load_settings
from worker.settings.naming import file_variable, variable

_MODEL = Settings.model_json_schema()
_VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")


def test_what_is_generated_is_up_to_date() -> None:
    """A new setting, or a changed one, must reach the values, their schema and the README."""
    late = [path.name for path, _ in outdated()]
    assert late == [], "run `make chart`"


def test_each_setting_reaches_the_worker(helm: Helm) -> None:
    """With only what is required, the worker must read the model's own defaults from the ConfigMap."""
    data = _config(helm, MINIMAL)
    given = {"ENROLMENT_API_USERNAME": "user", "ENROLMENT_API_PASSWORD": "pass"}
    loaded = load_settings(data | given)
    for field, info in settings():
        if not info.is_required() and field != "state_dir":
            assert getattr(loaded, field) == info.default, field


def test_each_changed_setting_reaches_the_worker(helm: Helm) -> None:
    """Every value that is no secret must arrive as its setting's variable, large numbers and lists too."""
    changed = {camel(field): _other(field) for field, _ in settings()}
    values = merged(MINIMAL, {"settings": changed, "topics": {"mode": "none"}})
    data = _config(helm, values)
    assert set(data) == {variable(field) for field, _ in settings()}
    for field, _ in settings():
        assert data[variable(field)] == _as_text(changed[camel(field)])


@pytest.mark.parametrize("unused", ["api_client", "api_username api_password"])
@pytest.mark.parametrize("kind", ["values", "keys"])
def test_each_secret_reaches_the_worker_as_a_file(helm: Helm, kind: str, unused: str) -> None:
    """Every secret must be mounted and named by its NAME_FILE, from a made and from an existing Secret."""
    fields = [field for field, _ in secrets() if not re.match(unused.replace(" ", "|"), field)]
    given = {kind: {camel(field): f"my-{field}" for field in fields}}
    values = {
        "settings": MINIMAL["settings"],
        "secrets": given | ({"existingSecret": "mine"} if kind == "keys" else {}),
    }
    spec = next(pod_specs(helm.documents(values)))
    [container] = spec["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    [folder] = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "secrets"]
    [volume] = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "secrets"]
    assert env == {file_variable(field): f"{folder}/{camel(field)}" for field in fields}
    assert {item["path"]: item["key"] for item in volume["items"]} == {
        camel(field): f"my-{field}" if kind == "keys" else camel(field) for field in fields
    }


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 3},
        {"settings": {"groupID": "a"}},
        {"settings": {"kafkaSaslMechanism": "SCRAM"}},
        {"settings": {"httpPort": 0}},
        {"settings": {"topicPartitions": "8"}},
        {"secrets": {"values": {"apiPasword": "a"}}},
        {"persistence": {"enable": True}},
        {"keda": {"maxReplica": 3}},
        {"topics": {"mode": "jobs"}},
        {"otel": {"ENROLMENT_GROUP_ID": "a"}},
        {"otel": {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=token"}},
    ],
    ids=json.dumps,
)
def test_a_typo_is_refused(helm: Helm, values: dict[str, Any]) -> None:
    """A name or a value that does not exist must be refused by the schema, before anything is installed."""
    with pytest.raises(Refused, match="schema"):
        helm.render(merged(MINIMAL, values))


def test_each_value_is_described() -> None:
    """Every value, or the map that it is in, must have a comment above it."""
    described_paths = {path for path, _ in described(_VALUES)}
    assert [path for path in _leaves(yaml.safe_load(_VALUES)) if not _covered(path, described_paths)] == []


def test_the_image_is_the_projects_version() -> None:
    """The chart must install the version that it comes with, and bear it itself."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["appVersion"] == chart["version"] == project["version"]


def _config(helm: Helm, values: Any) -> dict[str, str]:  # noqa: ANN401 - values
    data: dict[str, str] = of_kind(helm.documents(values), "ConfigMap")[0]["data"]
    return data


def _other(field: str) -> Any:  # noqa: ANN401 - whatever the setting takes
    special = {
        "kafka_bootstrap_servers": ["a:1", "b:2"],
        "kafka_security_protocol": "PLAINTEXT",
        "api_base_url": "http://b.example.com:8080/c",
        "group_id": "other",
        "outcome_topic": "others",
        "kafka_ssl_ca_file": "/ca",
        "kafka_ssl_cert_file": "/cert",
        "kafka_ssl_key_file": "/key",
        "dry_run": True,
        "trigger_events": ["*"],
        "lookup_always_events": ["tierChanged"],
        "reenrol_after_revoke": True,
        "retry_delays_seconds": [0.5, 2, 1_000_000],
    }
    if field in special:
        return special[field]
    info = Settings.model_fields[field]
    shape = _MODEL["properties"][field]
    shape = shape.get("anyOf", [shape])[0]
    now = default(field, info)
    match shape.get("type"):
        case "array":
            return [12_345_678, 7]
        case "integer":
            return min(12_345_678, shape.get("maximum", 12_345_678))
        case "number":
            return (now or 1) + 0.25
        case _:
            choices = shape.get("enum") or _choices(shape)
            return next(choice for choice in choices if choice != now) if choices else "other"


def _choices(shape: dict[str, Any]) -> list[str]:
    if "$ref" not in shape:
        return []
    found: list[str] = _MODEL["$defs"][shape["$ref"].rsplit("/", 1)[1]]["enum"]
    return found


def _as_text(value: Any) -> str:  # noqa: ANN401 - as above
    if isinstance(value, list):
        return ",".join(map(_as_text, value))
    return value if isinstance(value, str) else json.dumps(value)


def _leaves(values: dict[str, Any], above: str = "") -> list[str]:
    found: list[str] = []
    for name, value in values.items():
        nested = isinstance(value, dict) and value
        found += _leaves(value, f"{above}{name}.") if nested else [above + name]
    return found


def _covered(path: str, described_paths: set[str]) -> bool:
    names = path.split(".")
    return any(
        ".".join(names[:end]) in described_paths - {"settings", "secrets"} for end in range(1, len(names) + 1)
    )
