"""Metrics with a sample of each."""

from tests.support.use_case.values import NOW
from topics.dead_letter import DeadLetterReason, Failure
from topics.outcome import SEVERITY, ActivityReference, Outcome, OutcomeName
from topics.record import Position
from worker.domain.answers import Throttled
from worker.telemetry.metrics import Metrics


def outcome(name: OutcomeName, reason: str | None) -> Outcome:
    """Return an outcome to count."""
    at = ActivityReference(event_id="evt-1", topic="customer-activity", partition=3, offset=42)
    return Outcome(
        outcome_id="o", outcome=name, severity=SEVERITY[name], reason=reason, activity=at, occurred_at=NOW
    )


def failure(reason: DeadLetterReason) -> Failure:
    """Return a failure to count."""
    position = Position("customer-activity", 3, 42)
    return Failure(
        reason=reason,
        message="value: empty",
        position=position,
        timestamp_ms=0,
        group="g",
        attempts=1,
        first_failed_at=NOW,
        last_failed_at=NOW,
    )


def busy_metrics() -> Metrics:
    """Return metrics of which none is without a sample."""
    metrics = Metrics()
    metrics.activity("transactionAdded", "handled")
    metrics.outcome(outcome(OutcomeName.ENROLLED, None))
    metrics.waiting("issue", Throttled(None), 1, 0.2)
    metrics.dead_letter(failure(DeadLetterReason.IN_DOUBT))
    metrics.request_finished("issue", "issued", 0.1)
    metrics.handled(0.3)
    metrics.in_flight.set(2)
    metrics.told_all(40.0)
    at = ("customer-activity", 3)
    metrics.partitions({at: 7}, {at: 12.5}, {at: 3.5})
    return metrics
