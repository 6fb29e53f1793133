"""Every metric of the worker, and the tracker that counts what the use case reports."""

import time
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from topics.dead_letter import Failure
from topics.outcome import Outcome, OutcomeName
from topics.record import Record
from worker.domain.answers import Doubtful, Fault, Misconfigured, Refused, Throttled, Unsent
from worker.domain.faults import describe
from worker.telemetry.tracing import fail_current_span

log = structlog.get_logger(__name__)

OTHER_EVENT: Final = "other"
"""Label of event names that no one documented: names come from outside and must not become series."""

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
    }
)
_QUIET_SECONDS: Final = 60.0
"""Between two lines about the same trouble with the API."""
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """The metrics in a registry of their own. Implements `worker.ports.Tracker` and the client's observer."""

    def __init__(
        self, named_events: frozenset[str] = frozenset(), timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._events = _KNOWN_EVENTS | named_events
        self._timer = timer
        self._said: dict[tuple[str, str], tuple[float, int]] = {}
        self._down: set[str] = set()
        self.progress = 0
        """Grows with every request that ended, every call that is repeated and every outcome."""
        self.registry = registry = CollectorRegistry()
        self._outcomes = Counter(
            "enrolment_outcomes", "Outcomes acknowledged by Kafka.", ("outcome", "reason"), registry=registry
        )
        self._activity = Counter(
            "enrolment_activity",
            "Events, by what was done with them.",
            ("event_name", "result"),
            registry=registry,
        )
        self.in_flight = Gauge("enrolment_in_flight", "Events being worked on.", registry=registry)
        self.duration = Histogram(
            "enrolment_activity_duration_seconds",
            "From taking up an event to its last acknowledgement.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._requests = Counter(
            "enrolment_api_requests", "Requests to the API.", ("endpoint", "result"), registry=registry
        )
        self._request_seconds = Histogram(
            "enrolment_api_request_duration_seconds",
            "Requests to the API, waiting for a connection included.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.lag = Gauge(
            "enrolment_consumer_lag", "Records not yet committed.", ("topic", "partition"), registry=registry
        )
        self._retries = Counter(
            "enrolment_retries",
            "Calls repeated in place, by fault, and records moved to a retry topic, by their reason.",
            ("reason",),
            registry=registry,
        )
        self.api_outage = Gauge(
            "enrolment_api_outage",
            "1 while the API is taken for down and consumption is paused.",
            registry=registry,
        )
        self.api_limit = Gauge(
            "enrolment_api_concurrency_limit",
            "Requests to the API that may be under way at once.",
            registry=registry,
        )
        self.api_pace = Gauge(
            "enrolment_api_requests_per_second_limit",
            "Requests to the API that may leave a second; +Inf where nothing holds them.",
            registry=registry,
        )
        self.api_waiting = Gauge(
            "enrolment_api_requests_waiting", "Requests that wait for pace or concurrency.", registry=registry
        )
        self.ledger_entries = Gauge(
            "enrolment_ledger_entries", "Entries of the ledger held here, about.", registry=registry
        )
        self._is_first_keyless = True
        self._catalogue: tuple[int, int] | None = None
        self._dead_letters = Counter(
            "enrolment_dead_letters", "Records put aside.", ("reason",), registry=registry
        )

    def keyless(self, topic: str) -> None:
        """Count a record without a key, beside what is done with it; warn of it once."""
        if self._is_first_keyless:
            self._is_first_keyless = False
            log.warning("a record has no key: its order holds within one partition only", topic=topic)
        self.activity(OTHER_EVENT, "keyless")

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def activity(self, event_name: str, result: str) -> None:
        """Count an event; a name that nobody documented counts as `other`."""
        name = event_name if event_name in self._events else OTHER_EVENT
        self._activity.labels(name, result).inc()

    def outcome(self, outcome: Outcome) -> None:
        """Count an outcome and mark the event's span where it failed."""
        self.progress += 1
        self._outcomes.labels(outcome.outcome.value, outcome.reason or "").inc()
        if outcome.outcome in (OutcomeName.REJECTED, OutcomeName.DEAD_LETTERED):
            fail_current_span(outcome.reason or outcome.outcome.value)

    def waiting(self, endpoint: str, fault: Fault | Refused, attempt: int, seconds: float) -> None:
        """Count a repetition; log one a minute of each kind, so that an outage does not flood the log."""
        reason = _reason(fault)
        self.progress += 1
        self._retries.labels(reason).inc()
        before = self._unsaid(endpoint, reason)
        if before is not None:
            log.warning(
                "API call failed, trying again",
                endpoint=endpoint,
                reason=reason,
                detail=describe(fault),
                attempt=attempt,
                seconds=round(seconds, 3),
                unsaid=before,
            )

    def outage(self, call: str, *, is_open: bool, fault: Fault | Refused | None) -> None:
        """Show that the API is down, or back; log it once a minute, with what an operator may do about it."""
        self.progress += 1
        if not is_open:
            self._down.discard(call)
            self._said.pop((call, "outage"), None)
            log.info("the API serves again", endpoint=call)
        else:
            self._down.add(call)
        self.api_outage.set(1 if self._down else 0)
        if is_open and self._unsaid(call, "outage") is not None:
            reason = "unknown" if fault is None else _reason(fault)
            log.error(
                "the API is taken for down: consumption is paused, nothing is lost, a request tries every "
                "ENROLMENT_OUTAGE_PROBE_SECONDS",
                endpoint=call,
                reason=reason,
                detail=None if fault is None else describe(fault),
                remedy=_REMEDIES.get(reason, "none here: it is waited out"),
            )

    def _unsaid(self, what: str, reason: str) -> int | None:
        """Return how often this was kept quiet since it was said last, None where it still is to be."""
        said_at, since = self._said.get((what, reason), (float("-inf"), 0))
        now = self._timer()
        if now - said_at < _QUIET_SECONDS:
            self._said[what, reason] = said_at, since + 1
            return None
        self._said[what, reason] = now, 0
        return since

    def deferred(self, failure: Failure, hop: int) -> None:
        """Count and log a record that was moved to a retry topic."""
        self._retries.labels(failure.reason.value).inc()
        log.warning("deferred", hop=hop, why=failure.message, of=str(failure.position))

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
            )

    def dead_letter(self, failure: Failure) -> None:
        """Count and log a dead letter."""
        self._dead_letters.labels(failure.reason.value).inc()
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
        self.progress += 1
        self._requests.labels(endpoint, result).inc()
        self._request_seconds.labels(endpoint).observe(seconds)


_REMEDIES: Final = {
    "misconfigured": "correct the API credentials or the rights of their user, or ENROLMENT_API_BASE_URL; "
    "`enrolment-worker check` tries them",
    "refused": "customer after customer is refused for the same words: correct ENROLMENT_API_SOURCE or the "
    "organisation's identifiers",
}


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
