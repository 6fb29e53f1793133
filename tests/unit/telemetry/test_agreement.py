"""The code, the generated page, the dashboards, the alert rules and the runbooks name the same things."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import promql_parser
import pytest
import yaml
from promql_parser import AggregateExpr, BinaryExpr, Expr, VectorSelector

from topics.outcome import OutcomeName
from worker.capillary.ports import Endpoint
from worker.capillary.results import Result
from worker.domain.answers import FaultKind
from worker.telemetry import names
from worker.telemetry.instruments import LABELS, METRICS
from worker.telemetry.page import metrics_page

_ROOT = Path(__file__).resolve().parents[3]
_CHART = _ROOT / "helm" / "enrolment-worker"
_DASHBOARDS = sorted((_CHART / "dashboards").glob("*.json"))
_RULES = sorted((_CHART / "rules").glob("*.yaml"))
_FROM_OUTSIDE = {"namespace", "job", "instance", "pod"}
"""Labels that whoever scrapes adds."""
_RESULTS: set[str] = set(get_args(Result))
_VALUES: dict[str, set[str]] = {
    "endpoint": set(Endpoint),
    "outcome": set(OutcomeName),
    "result": _RESULTS | set(re.findall(r"`(\w+)`", LABELS["result"])),
}
"""What a query may ask for of these labels."""
_GRAFANA = {"$__rate_interval": "5m", "$namespace": "n", "$job": "j"}


def test_the_page_is_made_from_the_code() -> None:
    """`make docs` was run after the last change."""
    assert (_ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metrics_page()


def test_every_label_is_explained() -> None:
    """The page says what the values of each label are, and of no other."""
    assert LABELS.keys() == {label for metric in METRICS for label in metric.labels}


def test_every_endpoint_and_every_answer_is_explained() -> None:
    """The page names every value of these labels and no other; the kinds of faults it sums up."""
    assert _words(LABELS["endpoint"]) == set(Endpoint)
    of_event, _, of_request = LABELS["result"].partition("of a request:")
    assert _words(of_request) == _RESULTS - {*FaultKind, "throttled", "misconfigured"}
    assert _words(of_event)


@pytest.mark.parametrize("dashboard", _DASHBOARDS, ids=lambda path: path.name)
def test_dashboards_ask_for_what_there_is(dashboard: Path) -> None:
    """Every PromQL expression parses and names what exists, every TraceQL query attributes that do."""
    targets = list(_targets(json.loads(dashboard.read_text(encoding="utf-8"))))
    assert {target["datasource"]["type"] for target in targets} == {"prometheus", "tempo"}
    for target in targets:
        if target["datasource"]["type"] == "prometheus":
            _check(target["expr"])
            legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert legend <= LABELS.keys() | _FROM_OUTSIDE, target
        else:
            asked = set(re.findall(r"span\.([\w.]+)", target["query"]))
            assert asked <= {value for value in vars(names).values() if isinstance(value, str)}, target


def test_dashboards_show_every_metric() -> None:
    """A metric that nobody looks at is none, and what the contract names belongs on a screen."""
    shown = {
        name
        for dashboard in _DASHBOARDS
        for target in _targets(json.loads(dashboard.read_text(encoding="utf-8")))
        if "expr" in target
        for name in _metrics(target["expr"])
    }
    assert shown == {metric.name for metric in METRICS}


@pytest.mark.parametrize("rules", _RULES, ids=lambda path: path.name)
def test_alerts_ask_for_what_there_is_and_have_a_runbook(rules: Path) -> None:
    """Every expression names metrics and labels that exist; every alert a section that says what to do."""
    groups = yaml.safe_load(rules.read_text(encoding="utf-8"))["groups"]
    alerts = [rule for group in groups for rule in group["rules"]]
    page = (_ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    for rule in alerts:
        _check(rule["expr"])
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in alerts]


def test_every_alert_is_tried() -> None:
    """No alert is without a case in which it fires."""
    alerts = {
        rule["alert"]
        for path in _RULES
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    }
    tried = {
        check["alertname"]
        for path in (_ROOT / "tests" / "alerts").glob("*.test.yaml")
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for check in case["alert_rule_test"]
        if check.get("exp_alerts")
    }
    assert tried == alerts


def test_the_collector_keeps_by_attributes_that_there_are() -> None:
    """A policy on an attribute that no span has keeps nothing."""
    text = (_ROOT / "docs" / "otel-collector.yaml").read_text(encoding="utf-8")
    policies = yaml.safe_load(text)["processors"]["tail_sampling"]["policies"]
    keys = {policy[policy["type"]]["key"] for policy in policies if "key" in policy[policy["type"]]}
    assert keys == {names.ENROLMENT_OUTCOME, names.ENROLMENT_WARNING_CODE, names.ENROLMENT_RECONCILED}


def test_docs_name_metrics_that_there_are() -> None:
    """A metric that a page speaks of exists."""
    known = {name for metric in METRICS for name in (metric.name, *_series(metric.name, metric.kind))}
    pages = [*(_ROOT / "docs").glob("*.md"), _ROOT / "README.md"]
    for page in pages:
        named = set(re.findall(r"`(enrolment_\w+)", page.read_text(encoding="utf-8")))
        assert named <= known, page


def _words(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def _targets(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard["panels"]:
        yield from panel.get("targets", ())


def _check(expression: str) -> None:
    """Assert that the expression parses, and that every metric and label in it exists."""
    allowed = {name: metric for metric in METRICS for name in _series(metric.name, metric.kind)}
    selected: set[str] = set()
    grouped: set[str] = set()

    def visit(part: Expr) -> None:
        match part:
            case VectorSelector():
                metric = allowed.get(part.name or "")
                assert metric is not None, f"{part.name} does not exist: {expression}"
                usable = {*metric.labels, *_FROM_OUTSIDE, *(["le"] if metric.kind == "histogram" else [])}
                asked = {matcher.name for matcher in part.matchers.matchers}
                assert asked <= usable, f"{asked - usable} of {part.name}: {expression}"
                for matcher in part.matchers.matchers:
                    given = set(matcher.value.split("|")) - {"", ".*", ".+"}
                    assert given <= _VALUES.get(matcher.name, given), f"{given}: {expression}"
                selected.update(usable)
            case AggregateExpr() if part.modifier is not None:
                grouped.update(part.modifier.labels)
            case BinaryExpr() if part.modifier is not None and part.modifier.matching is not None:
                grouped.update(part.modifier.matching.labels)

    promql_parser.walk(_parsed(expression), visit)
    assert selected
    assert grouped <= selected, f"{grouped - selected}: {expression}"


def _metrics(expression: str) -> set[str]:
    found: set[str] = set()

    def visit(part: Expr) -> None:
        if isinstance(part, VectorSelector) and part.name:
            found.add(part.name.removesuffix("_bucket"))

    promql_parser.walk(_parsed(expression), visit)
    return found


def _parsed(expression: str) -> Expr:
    for variable, value in _GRAFANA.items():
        expression = expression.replace(variable, value)
    return promql_parser.parse(expression)


def _series(name: str, kind: str) -> Iterable[str]:
    return (f"{name}_bucket", f"{name}_sum", f"{name}_count") if kind == "histogram" else (name,)
