"""Every metric of the worker, declared once: those on /metrics, and those sent to a collector by OTLP.

Labels are bounded: no id of anything becomes a series. `docs/metrics.md` is made from this module.
"""

from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_AGE_SECONDS: Final = (
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0),
    *(3600.0, 4 * 3600.0, 12 * 3600.0, 86_400.0, 3 * 86_400.0, 7 * 86_400.0),
)
"""Up to a week: an event may wait out an outage."""
_SEMANTIC_SECONDS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0),
    *(2.5, 5.0, 7.5, 10.0),
)
"""Buckets that the semantic conventions advise."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric on /metrics, under the name that stands there."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _SECONDS

    def counter(self, registry: CollectorRegistry) -> Counter:
        """Register it as a counter."""
        return Counter(self.name, self.help, self.labels, registry=registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """Register it as a gauge."""
        return Gauge(self.name, self.help, self.labels, registry=registry)

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        """Register it as a histogram of seconds."""
        return Histogram(self.name, self.help, self.labels, buckets=self.buckets, registry=registry)


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticMetric:
    """A metric of OpenTelemetry's semantic conventions, sent by OTLP if an endpoint is set."""

    name: str
    kind: Literal["counter", "histogram"]
    unit: str
    help: str
    attributes: tuple[str, ...]
    buckets: tuple[float, ...] = ()


OUTCOMES: Final = Metric(
    "enrolment_outcomes_total", "counter", "Outcomes acknowledged by Kafka.", ("outcome", "reason")
)
ACTIVITY: Final = Metric(
    "enrolment_activity_total", "counter", "Events, by what was done with them.", ("event_name", "result")
)
IN_FLIGHT: Final = Metric("enrolment_in_flight", "gauge", "Events being worked on.")
ACTIVITY_SECONDS: Final = Metric(
    "enrolment_activity_duration_seconds",
    "histogram",
    "From taking up an event to its last acknowledgement.",
)
ACTIVITY_AGE: Final = Metric(
    "enrolment_activity_age_seconds",
    "histogram",
    "From an event's own time, else its record's, to its last outcome; one that is told again counts again.",
    buckets=_AGE_SECONDS,
)
API_REQUESTS: Final = Metric(
    "enrolment_api_requests_total", "counter", "Requests to the API.", ("endpoint", "result")
)
API_SECONDS: Final = Metric(
    "enrolment_api_request_duration_seconds",
    "histogram",
    "Requests to the API, waiting for a connection included.",
    ("endpoint",),
)
API_OUTAGE: Final = Metric(
    "enrolment_api_outage", "gauge", "1 while the API is taken for down and consumption is paused."
)
API_CONCURRENCY_LIMIT: Final = Metric(
    "enrolment_api_concurrency_limit", "gauge", "Requests to the API that may be under way at once."
)
API_PACE: Final = Metric(
    "enrolment_api_requests_per_second_limit",
    "gauge",
    "Requests to the API that may leave a second; +Inf if nothing holds them.",
)
API_BUDGET_USED: Final = Metric(
    "enrolment_api_budget_used_ratio",
    "gauge",
    "Share of this replica's budget, or of what throttling leaves of it, used within the last minute or so;"
    " 0 without a budget.",
)
API_WAITING: Final = Metric(
    "enrolment_api_requests_waiting", "gauge", "Requests that wait for pace or concurrency."
)
LAG: Final = Metric(
    "enrolment_consumer_lag",
    "gauge",
    "Records that are not done yet, also those of open transactions.",
    ("topic", "partition"),
)
LAG_SECONDS: Final = Metric(
    "enrolment_consumer_lag_seconds",
    "gauge",
    "Age of the first record that is not done yet, by its timestamp, also of one in an open transaction or"
    " of a retry that is not due; 0 without one.",
    ("topic", "partition"),
)
BLOCKED: Final = Metric(
    "enrolment_blocked_seconds",
    "gauge",
    "For how long nothing more of the partition has been done although records wait; 0 while the first of"
    " them is a retry that is not due.",
    ("topic", "partition"),
)
RECORDS_EXPIRED: Final = Metric(
    "enrolment_records_expired_total",
    "counter",
    "Records deleted before they were read, by offsets: an upper bound.",
    ("topic",),
)
RETRIES: Final = Metric(
    "enrolment_retries_total",
    "counter",
    "Calls repeated in place, by fault, and records moved to a retry topic, by their reason.",
    ("reason",),
)
DEAD_LETTERS: Final = Metric(
    "enrolment_dead_letters_total", "counter", "Records that were dead-lettered.", ("reason",)
)
CLOCK_SKEW: Final = Metric(
    "enrolment_clock_skew_seconds",
    "gauge",
    "By how many seconds this machine's clock is ahead of another's, negative if it is behind.",
    ("against",),
)
LOOKUPS_SAVED: Final = Metric(
    "enrolment_lookups_saved_total", "counter", "Events that led to no lookup of their customer.", ("reason",)
)
LEDGER_ENTRIES: Final = Metric("enrolment_ledger_entries", "gauge", "Entries of the ledger held here, about.")

METRICS: Final = (
    OUTCOMES,
    ACTIVITY,
    IN_FLIGHT,
    ACTIVITY_SECONDS,
    ACTIVITY_AGE,
    API_REQUESTS,
    API_SECONDS,
    API_OUTAGE,
    API_CONCURRENCY_LIMIT,
    API_PACE,
    API_BUDGET_USED,
    API_WAITING,
    LAG,
    LAG_SECONDS,
    BLOCKED,
    RECORDS_EXPIRED,
    RETRIES,
    DEAD_LETTERS,
    LOOKUPS_SAVED,
    CLOCK_SKEW,
    LEDGER_ENTRIES,
)
"""All that /metrics shows."""

LABELS: Final = {
    "outcome": "one of the outcomes of the outcome topic",
    "event_name": "a documented event name or a trigger of the operator's, else `other`",
    "result": (
        "of an event: `handled`, `passed_over`, `tombstone`, `too_old`, `dead_lettered`, `keyless` and"
        " `identity_reused` (counted beside another),"
        " `retry_of_another_group`, `redrive_of_another_group`, `unreadable_headers`; of a notification of"
        " Capillary's `feedback`, `feedback_of_unknown`, `feedback_unusable`, `other_organisation`; of a"
        " request: `found`, `issued`, `not_issued` (8890), `customer_not_found`,"
        " `refused`, `token`, `answered`, or a reason to try again"
    ),
    "reason": (
        "of an outcome: as in its record, empty if it has none; of a retry: the fault (`timeout`,"
        " `busy`, `misconfigured`, ...), or why a record was moved to a retry topic; of a dead letter:"
        " as in its header; of a lookup that was saved: `known`, `catalogue`, `feedback`, `burst`"
    ),
    "against": (
        "`api`: the `Date` of its answers; `kafka`: the time of records just acknowledged, if a topic has"
        " LogAppendTime; absent before the first"
    ),
    "endpoint": "`lookup`, `issue`, `catalogue`, `token`",
    "topic": "the activity topic and the topics it is retried through",
    "partition": "number of a partition that this replica owns",
}
"""What the values of each label are."""

HTTP_SECONDS: Final = SemanticMetric(
    name="http.client.request.duration",
    kind="histogram",
    unit="s",
    help="Duration of HTTP client requests.",
    attributes=(
        "http.request.method",
        "server.address",
        "server.port",
        "http.response.status_code",
        "error.type",
    ),
    buckets=_SEMANTIC_SECONDS,
)
PROCESS_SECONDS: Final = SemanticMetric(
    name="messaging.process.duration",
    kind="histogram",
    unit="s",
    help="Duration of processing operation.",
    attributes=(
        "messaging.system",
        "messaging.operation.name",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.consumer.group.name",
        "error.type",
    ),
    buckets=_SEMANTIC_SECONDS,
)
CONSUMED: Final = SemanticMetric(
    name="messaging.client.consumed.messages",
    kind="counter",
    unit="{message}",
    help="Number of messages that were delivered to the application.",
    attributes=PROCESS_SECONDS.attributes,
)
SENT: Final = SemanticMetric(
    name="messaging.client.sent.messages",
    kind="counter",
    unit="{message}",
    help="Number of messages producer attempted to send to the broker.",
    attributes=("messaging.system", "messaging.operation.name", "messaging.destination.name", "error.type"),
)

SEMANTIC_METRICS: Final = (HTTP_SECONDS, PROCESS_SECONDS, CONSUMED, SENT)
"""All that is sent by OTLP."""
