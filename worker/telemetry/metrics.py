"""The tracker that counts and logs what the use case reports, and /metrics."""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics

from topics.dead_letter import DeadLetterReason, Failure
from topics.feedback import FEEDBACK_EVENTS
from topics.outcome import Outcome
from topics.record import Record
from worker.domain.answers import Doubtful, Fault, Misconfigured, Refused, Throttled, Unsent
from worker.domain.faults import describe
from worker.telemetry import instruments
from worker.telemetry.repetitions import Quiet
from worker.telemetry.tracing import exemplar, told

# Times of creation would be series of their own, under names that nobody asked for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's gap

log = structlog.get_logger(__name__)

OTHER_EVENT: Final = "other"
"""Label of event names that no one documented: names come from outside and must not become series."""

_OPEN_METRICS: Final = "application/openmetrics-text"
_KNOWN_EVENTS: Final = frozenset(
    {
        "customerAdded",
        "customerUpdated",
        "transactionAdded",
        "transactionUpdated",
        "transactionReturned",
        "pointsIssued",
        "pointsRedeemed",
        "targetCompleted",
        "partnerProgramLinked",
        *FEEDBACK_EVENTS,
    }
)
_QUIET_SECONDS: Final = 60.0
"""Between two lines about the same trouble with the API."""


ByPartition = Mapping[tuple[str, int], float]
_QUIET_CLOCK_SECONDS: Final = 3600.0
SAVINGS: Final = ("known", "catalogue", "feedback", "burst")
"""Why an event led to no lookup."""


class Metrics:
    """The metrics, in a registry of their own. Implements all trackers and the client's observer."""

    def __init__(
        self,
        named_events: frozenset[str] = frozenset(),
        timer: Callable[[], float] = time.monotonic,
        *,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Call `beat` for every request that ended, every call that is repeated and every outcome."""
        self._events = _KNOWN_EVENTS | named_events
        self._quiet = Quiet(_QUIET_SECONDS, timer)
        self._clocks = Quiet(_QUIET_CLOCK_SECONDS, timer)
        self._down: set[str] = set()
        self._beat = beat
        self.registry = registry = CollectorRegistry()
        # Looked up for each event: labels are bounded, and a series once found is kept.
        self._outcomes = cache(instruments.OUTCOMES.counter(registry).labels)
        self._activity = cache(instruments.ACTIVITY.counter(registry).labels)
        self._requests = cache(instruments.API_REQUESTS.counter(registry).labels)
        self._request_seconds = cache(instruments.API_SECONDS.histogram(registry).labels)
        self.in_flight = instruments.IN_FLIGHT.gauge(registry)
        self._activity_seconds = instruments.ACTIVITY_SECONDS.histogram(registry)
        self._activity_age = instruments.ACTIVITY_AGE.histogram(registry)
        self.api_outage = instruments.API_OUTAGE.gauge(registry)
        self.api_limit = instruments.API_CONCURRENCY_LIMIT.gauge(registry)
        self.api_pace = instruments.API_PACE.gauge(registry)
        self.api_budget_used = instruments.API_BUDGET_USED.gauge(registry)
        self.api_waiting = instruments.API_WAITING.gauge(registry)
        self._lag = instruments.LAG.gauge(registry)
        self._lag_seconds = instruments.LAG_SECONDS.gauge(registry)
        self._blocked_seconds = instruments.BLOCKED.gauge(registry)
        self._expired = instruments.RECORDS_EXPIRED.counter(registry)
        self._retries = instruments.RETRIES.counter(registry)
        self._dead_letters = instruments.DEAD_LETTERS.counter(registry)
        self._lookups_saved = instruments.LOOKUPS_SAVED.counter(registry)
        self._clock_skew = instruments.CLOCK_SKEW.gauge(registry)
        self.ledger_entries = instruments.LEDGER_ENTRIES.gauge(registry)
        self._is_first_keyless = True
        self._catalogue: tuple[int, int] | None = None
        # A series that begins with its first count has not risen, as far as an alert can see.
        for reason in DeadLetterReason:
            self._dead_letters.labels(reason.value)
        for saving in SAVINGS:
            self._lookups_saved.labels(saving)

    def keyless(self, topic: str) -> None:
        """Count a record without a key, beside what is done with it; warn of it once."""
        if self._is_first_keyless:
            self._is_first_keyless = False
            log.warning("a record has no key: its order holds within one partition only", topic=topic)
        self.activity(OTHER_EVENT, "keyless")

    def reads(self, topics: Iterable[str]) -> None:
        """Let the series of these topics begin at nothing."""
        for topic in topics:
            self._expired.labels(topic)

    def expired(self, topic: str, records: int) -> None:
        """Count records that were deleted before they were read."""
        self._expired.labels(topic).inc(records)

    def partitions(self, lags: ByPartition, ages: ByPartition, blocked: ByPartition) -> None:
        """Show these partitions, by topic and number, and not what another replica has now."""
        for gauge, values in ((self._lag, lags), (self._lag_seconds, ages), (self._blocked_seconds, blocked)):
            gauge.clear()
            for (topic, number), value in values.items():
                gauge.labels(topic, str(number)).set(value)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return the metrics and their media type: OpenMetrics, with exemplars, for those who accept it."""
        if _OPEN_METRICS in accept:
            body = openmetrics.generate_latest(self.registry, version="1.0.0")  # type: ignore[no-untyped-call]  # as above
            return bytes(body), f"{_OPEN_METRICS}; version=1.0.0; charset=utf-8"
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4

    def handled(self, seconds: float) -> None:
        """Measure the work on an event."""
        self._activity_seconds.observe(seconds, exemplar())

    def activity(self, event_name: str, result: str) -> None:
        """Count an event; a name that nobody documented counts as `other`."""
        name = event_name if event_name in self._events else OTHER_EVENT
        self._activity(name, result).inc()

    def identity_reused(self, event_name: str, record: Record) -> None:
        """Count it, beside what is done with it; warn once a minute."""
        self.activity(event_name, "identity_reused")
        before = self._quiet.unsaid(("activity", "identity_reused"))
        if before is not None:
            log.warning(
                "an event has the identity of an earlier one with another key or customer, and is handled as "
                "another event: give events ids of their own",
                of=str(record.position),
                unsaid=before,
            )

    def outcome(self, outcome: Outcome) -> None:
        """Count an outcome and note it on the event's span."""
        self._beat()
        self._outcomes(outcome.outcome.value, outcome.reason or "").inc(exemplar=exemplar())
        told(outcome)

    def waiting(self, endpoint: str, fault: Fault | Refused, attempt: int, seconds: float) -> None:
        """Count a repetition; log one a minute of each kind, so that an outage does not flood the log."""
        reason = _reason(fault)
        self._beat()
        self._retries.labels(reason).inc(exemplar=exemplar())
        before = self._quiet.unsaid((endpoint, reason))
        if before is not None:
            log.warning(
                "API call failed, trying again",
                endpoint=endpoint,
                reason=reason,
                detail=describe(fault),
                attempt=attempt,
                seconds=round(seconds, 3),
                unsaid=before,
                **_traced(fault),
            )

    def outage(self, call: str, *, is_open: bool, fault: Fault | Refused | None) -> None:
        """Show that the API is down, or back; log it once a minute, with what an operator may do about it."""
        self._beat()
        if not is_open:
            self._down.discard(call)
            self._quiet.forget((call, "outage"))
            log.info("the API serves again", endpoint=call)
        else:
            self._down.add(call)
        self.api_outage.set(1 if self._down else 0)
        if is_open and self._quiet.unsaid((call, "outage")) is not None:
            reason = "unknown" if fault is None else _reason(fault)
            log.error(
                "the API is taken for down: consumption is paused, nothing is lost, a request tries every "
                "ENROLMENT_OUTAGE_PROBE_SECONDS",
                endpoint=call,
                reason=reason,
                detail=None if fault is None else describe(fault),
                remedy=_REMEDIES.get(reason, "none here: it is waited out"),
                **_traced(fault),
            )

    def unusable(self, event_name: str, message: str, record: Record) -> None:
        """Log a notification that lacks what it is about, one a minute of each kind."""
        before = self._quiet.unsaid(("activity", event_name, message))
        if before is not None:
            log.warning(
                "a notification of Capillary's says nothing usable, and is passed over: look at the record",
                event_name=event_name,
                why=message,
                of=str(record.position),
                unsaid=before,
            )

    def told_all(self, seconds: float) -> None:
        """Measure how old an event is of which the last outcome was told."""
        self._activity_age.observe(max(0.0, seconds), exemplar())

    def lookup_saved(self, reason: str) -> None:
        """Count an event that led to no lookup."""
        self._lookups_saved.labels(reason).inc()

    def deferred(self, failure: Failure, hop: int, reason: str) -> None:
        """Count and log a record that was moved to a retry topic."""
        self._retries.labels(reason).inc(exemplar=exemplar())
        log.warning("deferred", hop=hop, reason=reason, why=failure.message, of=str(failure.position))

    def catalogue_read(self, promotions: int, open_to_us: int) -> None:
        """Log how many promotions there are, whenever that changes."""
        if (promotions, open_to_us) != self._catalogue:
            self._catalogue = promotions, open_to_us
            log.info("catalogue", live_promotions=promotions, open_to_us=open_to_us)

    def catalogue_failed(self, fault: Fault, attempt: int, seconds: float) -> None:
        """Log a reading that failed at attempts 1, 2, 4, 8; events are looked up meanwhile."""
        self._catalogue = None
        if attempt & (attempt - 1) == 0:
            log.warning(
                "no catalogue, every event is looked up",
                reason=_reason(fault),
                detail=describe(fault),
                attempt=attempt,
                seconds=round(seconds, 3),
                **_traced(fault),
            )

    def clock_skew(self, against: str, seconds: float, *, is_apart: bool) -> None:
        """Show by how much this machine's clock is ahead; log it once an hour while that is too much."""
        self._clock_skew.labels(against).set(seconds)
        if not is_apart:
            self._clocks.forget(against)
        elif self._clocks.unsaid(against) is not None:
            log.warning(
                "this machine's clock is apart from another's: synchronise it (NTP)",
                against=against,
                seconds_ahead=round(seconds),
            )

    def dead_letter(self, failure: Failure) -> None:
        """Count and log a dead letter."""
        self._dead_letters.labels(failure.reason.value).inc(exemplar=exemplar())
        log.warning("dead letter", reason=failure.reason.value, why=failure.message, of=str(failure.position))

    def fault(self, record: Record, error: Exception) -> None:
        """Log a fault of our own by its place in the code; its text might hold what the record held."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"
        log.error("fault of the worker", error=type(error).__name__, where=where, of=str(record.position))

    def request_finished(self, endpoint: str, result: str, seconds: float) -> None:
        """Count an HTTP request to the API."""
        self._beat()
        trace = exemplar()
        self._requests(endpoint, result).inc(exemplar=trace)
        self._request_seconds(endpoint).observe(seconds, trace)


_REMEDIES: Final = {
    "misconfigured": "correct the API credentials or the rights of their user, or ENROLMENT_API_BASE_URL; "
    "`enrolment-worker check` tries them",
    "internal": "a fault of the worker's own code: report it with this line; what is waited for is not lost",
    "refused": "customer after customer is refused for the same words: correct ENROLMENT_API_SOURCE or the "
    "organisation's identifiers",
}


def _traced(fault: Fault | Refused | None) -> dict[str, str]:
    """Return what Capillary traces the failed call by, if it was answered at all."""
    return {} if fault is None or fault.request_id is None else {"request_id": fault.request_id}


def _reason(fault: Fault | Refused) -> str:
    match fault:
        case Refused():
            return "refused"
        case Unsent() | Doubtful():
            return fault.kind.value
        case Throttled():
            return "throttled"
        case Misconfigured():
            return "misconfigured"
