"""Spans of an event's way, after OpenTelemetry's messaging conventions.

Without an SDK no span is made and the producer's context passes through unchanged; `spans` says what is made
of a trace that is not sampled. Baggage does not pass: nobody knows what upstream put into it.
"""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from topics.outcome import Outcome, OutcomeName
from topics.record import Headers, Record
from worker.domain.settlement import LIMIT_WARNING
from worker.telemetry import names, semantic
from worker.telemetry.semantic import Attributes
from worker.telemetry.spans import InSpan, Spans, trace_headers

_propagator: Final = TraceContextTextMapPropagator()

_BY_WEIGHT: Final = (
    OutcomeName.NO_PROMOTION_AVAILABLE,
    OutcomeName.ALREADY_ENROLLED,
    OutcomeName.WOULD_ENROL,
    OutcomeName.ENROLLED,
    OutcomeName.LIMIT_EXHAUSTED,
    OutcomeName.CUSTOMER_NOT_FOUND,
    OutcomeName.DEFERRED,
    OutcomeName.REJECTED,
    OutcomeName.DEAD_LETTERED,
)
"""Which of an event's outcomes its processing span shows, the last the most."""

_FAILURES: Final = (OutcomeName.REJECTED, OutcomeName.DEAD_LETTERED)


@dataclass(slots=True)
class Work:
    """The record in work, and the weightiest of the outcomes that were told of it."""

    record: Record = field(repr=False)
    outcome: Outcome | None = None


_WORK: ContextVar[Work | None] = ContextVar("_WORK", default=None)


def record_in_work() -> Record | None:
    """Return the record that the caller, or the task it runs in, works on."""
    work = _WORK.get()
    return None if work is None else work.record


class _HeadersGetter(Getter[Headers]):
    """Reads trace context from record headers, whatever else they hold."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        found = [value for name, value in carrier if name.lower() == key and value is not None]
        return [value.decode("ascii", "replace") for value in found] or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name for name, _ in carrier]


_GETTER: Final = _HeadersGetter()


class Processing(InSpan):
    """Span the work on one record: a child of the producer's context, linked to it as well.

    Of several outcomes the span shows the weightiest as its own attributes, and each as an event. A span with
    a rejection or a dead letter among them has failed, one with an exhausted limit has not.
    """

    __slots__ = ("_began", "_group_id", "_record", "_spans", "_work", "_work_token")

    def __init__(self, record: Record, group_id: str, spans: Spans) -> None:
        self._record = record
        self._group_id = group_id
        self._spans = spans

    def __enter__(self) -> None:
        record = self._record
        context = _propagator.extract(record.headers, Context(), _GETTER)
        origin = trace.get_current_span(context).get_span_context()
        links = [Link(origin)] if origin.is_valid else []
        self._began = time.perf_counter()
        if semantic.is_on():
            semantic.consumed(self._attributes())
        name = f"process {record.position.topic}"
        self.enter(self._spans.start(name, SpanKind.CONSUMER, self._attributes, context, links))
        self._work = Work(record)
        self._work_token = _WORK.set(self._work)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and self._work.outcome is not None:
            self._conclude(self._work.outcome)
        self.leave(error)
        _WORK.reset(self._work_token)
        if semantic.is_on():
            seconds = time.perf_counter() - self._began
            semantic.processed(self.with_error(self._attributes()), seconds, self.context)

    def _attributes(self) -> Attributes:
        at = self._record.position
        return {
            names.MESSAGING_SYSTEM: "kafka",
            names.MESSAGING_OPERATION_NAME: "process",
            names.MESSAGING_OPERATION_TYPE: "process",
            names.MESSAGING_DESTINATION_NAME: at.topic,
            names.MESSAGING_DESTINATION_PARTITION_ID: str(at.partition),
            names.MESSAGING_CONSUMER_GROUP_NAME: self._group_id,
            names.MESSAGING_KAFKA_OFFSET: at.offset,
        }

    def _conclude(self, outcome: Outcome) -> None:
        if self.span.is_recording():
            self.span.set_attributes(outcome_attributes(outcome))
        if outcome.outcome in _FAILURES:
            reason = outcome.reason or outcome.outcome.value
            self.failed(reason, reason)


class Sending(InSpan):
    """Span the sending of a record; gives the headers that carry its context, none if there is none.

    A context that is `carried` already is upstream's and stays: the headers then are none.
    """

    __slots__ = ("_carried", "_outcome", "_spans", "_topic")

    def __init__(
        self,
        topic: str,
        spans: Spans,
        *,
        outcome: Outcome | None = None,
        carried: Headers = (),
    ) -> None:
        self._topic = topic
        self._spans = spans
        self._outcome = outcome
        self._carried = carried

    def __enter__(self) -> Headers:
        span = self._spans.start(f"send {self._topic}", SpanKind.PRODUCER, self._attributes)
        self.enter(span)
        if _GETTER.get(self._carried, "traceparent"):
            return ()
        return tuple((name, value.encode()) for name, value in trace_headers(span))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave(error)
        if semantic.is_on():
            semantic.sent(self.with_error(self._attributes()))

    def _attributes(self) -> Attributes:
        attributes: Attributes = {
            names.MESSAGING_SYSTEM: "kafka",
            names.MESSAGING_OPERATION_NAME: "send",
            names.MESSAGING_OPERATION_TYPE: "send",
            names.MESSAGING_DESTINATION_NAME: self._topic,
        }
        if self._outcome is not None:
            attributes[names.MESSAGING_MESSAGE_ID] = self._outcome.outcome_id
            attributes |= outcome_attributes(self._outcome)
        return attributes


def told(outcome: Outcome) -> None:
    """Note an outcome that was written, on the span of the work that it came from."""
    work = _WORK.get()
    if work is None:
        return
    known = work.outcome
    if known is None or _BY_WEIGHT.index(outcome.outcome) > _BY_WEIGHT.index(known.outcome):
        work.outcome = outcome
    span = trace.get_current_span()
    if span.is_recording():
        span.add_event(names.ENROLMENT_OUTCOME, outcome_attributes(outcome))


def outcome_attributes(outcome: Outcome) -> Attributes:
    """Return what makes an outcome, an 8890 or a reconciliation recognisable; absent parts are left out."""
    codes = [warning.code for warning in outcome.warnings or ()]
    found = {
        names.ENROLMENT_OUTCOME: outcome.outcome.value,
        names.ENROLMENT_PROMOTION_ID: outcome.promotion_id,
        names.ENROLMENT_PROGRAM_ID: outcome.program_id,
        names.ENROLMENT_IDEMPOTENCY_KEY: outcome.idempotency_key,
        names.ENROLMENT_WARNING_CODE: warning_code(codes),
        names.ENROLMENT_RECONCILED: outcome.reconciled,
    }
    return {name: value for name, value in found.items() if value is not None}


def warning_code(codes: list[int]) -> int | None:
    """Return the code that a span shows of several: 8890 if it is among them, else the first."""
    return LIMIT_WARNING if LIMIT_WARNING in codes else next(iter(codes), None)


def exemplar() -> dict[str, str] | None:
    """Return the labels that lead from a sample to its trace, None if no trace is kept."""
    context = trace.get_current_span().get_span_context()
    if not (context.is_valid and context.trace_flags.sampled):
        return None
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
