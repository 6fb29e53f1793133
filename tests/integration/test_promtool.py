"""What Prometheus' own tool says of our metrics and alerts."""

from pathlib import Path

import pytest

from tests.support.tools.promtool import run_promtool
from tests.support.unit.metric_samples import busy_metrics

_ROOT = Path(__file__).resolve().parents[2]
_RULES = sorted((_ROOT / "helm" / "enrolment-worker" / "rules").glob("*.yaml"))
_CASES = sorted((_ROOT / "tests" / "alerts").glob("*.test.yaml"))


def test_the_metrics_are_accepted() -> None:
    """What stands on /metrics must be readable, and named and documented as Prometheus advises."""
    said = run_promtool("check", "metrics", stdin=busy_metrics().exposition()[0])
    assert said == ""


@pytest.mark.parametrize("rules", _RULES, ids=lambda path: path.name)
def test_the_alert_rules_are_accepted(rules: Path) -> None:
    """Rules must load, with every lint."""
    said = run_promtool("check", "rules", "--lint=all", rules)
    assert "SUCCESS" in said


@pytest.mark.parametrize("cases", _CASES, ids=lambda path: path.name)
def test_alerts_fire_when_they_should(cases: Path) -> None:
    """Each alert fires on what it is for, and not on what looks like it."""
    said = run_promtool("test", "rules", cases)
    assert "SUCCESS" in said
