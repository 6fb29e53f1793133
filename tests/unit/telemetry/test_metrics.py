"""Names, labels and their bounds; what the log says and what it must not."""

import re

import pytest
from structlog.testing import capture_logs

from tests.support.unit.metric_samples import busy_metrics, failure, outcome
from tests.support.use_case.values import record
from topics.dead_letter import DeadLetterReason
from topics.outcome import OutcomeName
from worker.domain.answers import Doubtful, Fault, FaultKind, Misconfigured, Throttled, Unsent
from worker.telemetry.metrics import Metrics

CONTRACT = {
    "enrolment_outcomes_total": {"outcome", "reason"},
    "enrolment_activity_total": {"event_name", "result"},
    "enrolment_in_flight": set(),
    "enrolment_activity_duration_seconds": set(),
    "enrolment_api_requests_total": {"endpoint", "result"},
    "enrolment_api_request_duration_seconds": {"endpoint"},
    "enrolment_api_outage": set(),
    "enrolment_activity_age_seconds": set(),
    "enrolment_consumer_lag": {"topic", "partition"},
    "enrolment_consumer_lag_seconds": {"topic", "partition"},
    "enrolment_blocked_seconds": {"topic", "partition"},
    "enrolment_retries_total": {"reason"},
    "enrolment_dead_letters_total": {"reason"},
    "enrolment_ledger_entries": set(),
    "enrolment_lookups_saved_total": {"reason"},
}
"""Section 7 of the contract: names and labels."""
OURS = {
    "enrolment_api_concurrency_limit",
    "enrolment_api_requests_per_second_limit",
    "enrolment_api_budget_used_ratio",
    "enrolment_api_requests_waiting",
}
"""Without labels."""


def samples(metrics: Metrics) -> list[str]:
    """Return the lines with figures."""
    lines = metrics.exposition()[0].decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_names_and_labels_are_exactly_the_contracts() -> None:
    """Dashboards build on these names: each is there with its labels, and no other but a few of our own."""
    with capture_logs():
        metrics = busy_metrics()

    seen: dict[str, set[str]] = {}
    for line in samples(metrics):
        sample = re.fullmatch(r"(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+", line, re.ASCII)
        assert sample is not None
        name, labels = sample.groups()
        seen.setdefault(name, set()).update(set(re.findall(r'(\w+)="', labels or "")) - {"le"})
    assert seen == CONTRACT | {name: set() for name in OURS}


def test_partitions_that_are_ours_no_more_vanish() -> None:
    """What another replica has is not shown twice."""
    metrics = Metrics()
    ours, gone = ("customer-activity", 3), ("customer-activity", 4)
    for partitions in ([ours, gone], [ours]):
        metrics.partitions(*(dict.fromkeys(partitions, 1.0) for _ in range(3)))
    lines = [line for line in samples(metrics) if "partition=" in line]
    assert len(lines) == 3
    assert all('partition="3"' in line for line in lines)


@pytest.mark.parametrize(
    ("named", "name", "label"),
    [
        (frozenset(), "transactionAdded", "transactionAdded"),
        (frozenset(), "partnerProgramLinked", "partnerProgramLinked"),
        (frozenset(), "anything at all", "other"),
        (frozenset(), "", "other"),
        (frozenset({"stampEarned"}), "stampEarned", "stampEarned"),
        (frozenset({"*"}), "anything at all", "other"),
    ],
)
def test_event_names_from_outside_do_not_become_series(named: frozenset[str], name: str, label: str) -> None:
    """Documented names and the operator's triggers are labels; whatever else upstream invents is `other`."""
    metrics = Metrics(named)

    metrics.activity(name, "handled")

    assert f'enrolment_activity_total{{event_name="{label}",result="handled"}} 1.0' in samples(metrics)


def test_a_thousand_invented_event_names_are_one_series() -> None:
    """Memory does not grow with poison input."""
    metrics = Metrics()

    for number in range(1000):
        metrics.activity(f"invented{number}", "passed_over")

    assert [line for line in samples(metrics) if line.startswith("enrolment_activity_total")] == [
        'enrolment_activity_total{event_name="other",result="passed_over"} 1000.0'
    ]


def test_outcomes_are_counted_by_name_and_reason() -> None:
    """No reason is an empty label, so that sums over reasons are complete."""
    metrics = Metrics()

    metrics.outcome(outcome(OutcomeName.ENROLLED, None))
    metrics.outcome(outcome(OutcomeName.LIMIT_EXHAUSTED, "CUSTOMER_LIMIT"))
    metrics.outcome(outcome(OutcomeName.LIMIT_EXHAUSTED, "CUSTOMER_LIMIT"))

    assert [line for line in samples(metrics) if line.startswith("enrolment_outcomes")] == [
        'enrolment_outcomes_total{outcome="ENROLLED",reason=""} 1.0',
        'enrolment_outcomes_total{outcome="LIMIT_EXHAUSTED",reason="CUSTOMER_LIMIT"} 2.0',
    ]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        *((Unsent(kind, "x"), kind.value) for kind in FaultKind),
        *((Doubtful(kind, "x"), kind.value) for kind in FaultKind),
        (Throttled(3.0), "throttled"),
        (Misconfigured("HTTP 401"), "misconfigured"),
    ],
    ids=str,
)
def test_repetitions_are_counted_by_the_kind_of_fault(fault: Fault, reason: str) -> None:
    """The label is one of a closed set, never the fault's detail."""
    metrics = Metrics()

    with capture_logs():
        metrics.waiting("lookup", fault, 3, 0.2)

    assert f'enrolment_retries_total{{reason="{reason}"}} 1.0' in samples(metrics)


def test_an_outage_does_not_flood_the_log() -> None:
    """Of 1,000 repetitions in 250 s one a minute is logged, saying what it stands for; all are counted."""
    seconds = 0.0
    metrics = Metrics(timer=lambda: seconds)

    with capture_logs() as lines:
        for attempt in range(1, 1001):
            seconds += 0.25
            metrics.waiting("lookup", Misconfigured("HTTP 401"), attempt, 0.2)

    said = [(line["attempt"], line["unsaid"]) for line in lines]
    assert said == [(1, 0), (241, 239), (481, 239), (721, 239), (961, 239)]
    assert 'enrolment_retries_total{reason="misconfigured"} 1000.0' in samples(metrics)


def test_an_outage_shows_and_is_said_once_a_minute_with_its_remedy() -> None:
    """The gauge is 1 as long as any kind of call is down; the line says what to correct, if anything."""
    seconds = 0.0
    metrics = Metrics(timer=lambda: seconds)

    with capture_logs() as lines:
        for _ in range(13):
            metrics.outage(
                "lookup", is_open=True, fault=Misconfigured("HTTP 401: the credentials are refused")
            )
            seconds += 5.0
        metrics.outage("issue", is_open=True, fault=Doubtful(FaultKind.SERVER_ERROR, "HTTP 503"))
        metrics.outage("lookup", is_open=False, fault=None)
        assert "enrolment_api_outage 1.0" in samples(metrics)
        metrics.outage("issue", is_open=False, fault=None)

    assert "enrolment_api_outage 0.0" in samples(metrics)
    down = [(line["endpoint"], line["detail"]) for line in lines if line["log_level"] == "error"]
    assert down == [("lookup", "HTTP 401: the credentials are refused")] * 2 + [("issue", "HTTP 503")]
    assert "correct the API credentials" in lines[0]["remedy"]


def test_lines_of_calls_that_fail_say_what_capillary_traces_them_by() -> None:
    """Whoever reads of a failed call can ask Capillary about it; one that nobody answered has no id."""
    metrics = Metrics()
    answered = Doubtful(FaultKind.SERVER_ERROR, "HTTP 502", request_id="call-1")
    unanswered = Doubtful(FaultKind.TIMEOUT, "TimeoutError")

    with capture_logs() as lines:
        for endpoint, fault in (("lookup", answered), ("issue", unanswered)):
            metrics.waiting(endpoint, fault, 1, 0.1)
            metrics.outage(endpoint, is_open=True, fault=fault)
            metrics.catalogue_failed(fault, 1, 0.1)

    assert [line["request_id"] for line in lines[:3]] == ["call-1"] * 3
    assert [line for line in lines[3:] if "request_id" in line] == []
    assert len(lines) == 6


@pytest.mark.parametrize("reason", list(DeadLetterReason))
def test_dead_letters_are_counted_and_logged_with_their_place(reason: DeadLetterReason) -> None:
    """The operator finds the record by topic, partition and offset."""
    metrics = Metrics()

    with capture_logs() as lines:
        metrics.dead_letter(failure(reason))

    assert f'enrolment_dead_letters_total{{reason="{reason.value}"}} 1.0' in samples(metrics)
    assert lines == [
        {
            "event": "dead letter",
            "log_level": "warning",
            "reason": reason.value,
            "why": "value: empty",
            "of": "customer-activity-3-42",
        }
    ]


def test_a_fault_is_logged_by_its_place_and_never_by_its_text() -> None:
    """An exception's text may hold what the record held; type, file and line do not."""
    metrics = Metrics()

    with capture_logs() as lines:
        try:
            raise ValueError("919845012345")
        except ValueError as error:
            metrics.fault(record(b"919845012345"), error)
        metrics.fault(record(b""), KeyError("919845012345"))

    assert "919845012345" not in repr(lines)
    assert (lines[0]["error"], lines[0]["of"]) == ("ValueError", "customer-activity-3-42")
    assert re.search(r"test_metrics\.py:\d+$", lines[0]["where"])
    assert lines[1]["where"] == "?"


def test_registries_are_separate() -> None:
    """Two workers in one process (tests) do not share figures or collide."""
    first, second = Metrics(), Metrics()

    first.activity("transactionAdded", "handled")

    assert "transactionAdded" not in second.exposition()[0].decode()


def test_records_without_a_key_are_counted_and_warned_about_once() -> None:
    """An operator learns that order holds within one partition only, in one line, and how often."""
    metrics = Metrics()
    with capture_logs() as lines:
        for _ in range(3):
            metrics.keyless("customer-activity")

    assert [line["log_level"] for line in lines] == ["warning"]
    assert 'enrolment_activity_total{event_name="other",result="keyless"} 3.0' in samples(metrics)
