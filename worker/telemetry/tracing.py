"""Spans of an event's way, after OpenTelemetry's messaging conventions.

Without an SDK no span is made and the producer's context passes through unchanged. Baggage does not pass:
nobody knows what upstream put into it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from topics.outcome import Outcome, OutcomeName
from topics.record import Headers, Record
from worker.telemetry import names, semantic
from worker.telemetry.semantic import Attributes

_tracer: Final = trace.get_tracer(names.TRACER)
_propagator: Final = TraceContextTextMapPropagator()

LIMIT_WARNING: Final = 8890

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


@contextmanager
def processing(record: Record, group_id: str, tracer: Tracer = _tracer) -> Iterator[None]:
    """Span the work on one record: a child of the producer's context, linked to it as well.

    Of several outcomes the span shows the weightiest as its own attributes, and each as an event. A span with
    a rejection or a dead letter among them has failed, one with an exhausted limit has not.
    """
    context = _propagator.extract(record.headers, Context(), _GETTER)
    origin = trace.get_current_span(context).get_span_context()
    at = record.position
    attributes: Attributes = {
        names.MESSAGING_SYSTEM: "kafka",
        names.MESSAGING_OPERATION_NAME: "process",
        names.MESSAGING_OPERATION_TYPE: "process",
        names.MESSAGING_DESTINATION_NAME: at.topic,
        names.MESSAGING_DESTINATION_PARTITION_ID: str(at.partition),
        names.MESSAGING_CONSUMER_GROUP_NAME: group_id,
        names.MESSAGING_KAFKA_OFFSET: at.offset,
    }
    links = [Link(origin)] if origin.is_valid else []
    work, began, within = Work(record), time.perf_counter(), context
    semantic.consumed(attributes)
    token = _WORK.set(work)
    try:
        with _span(tracer, f"process {at.topic}", context, SpanKind.CONSUMER, attributes, links) as span:
            within = trace.set_span_in_context(span)
            yield
            _conclude(span, work, attributes)
    finally:
        _WORK.reset(token)
        semantic.processed(attributes, time.perf_counter() - began, within)


@contextmanager
def sending(
    topic: str,
    message_id: str | None = None,
    outcome: Outcome | None = None,
    carried: Headers = (),
    tracer: Tracer = _tracer,
) -> Iterator[Headers]:
    """Span the sending of a record; yields the headers that carry its context, none where there is none.

    A context that is `carried` already is upstream's and stays: the headers then are none.
    """
    attributes: Attributes = {
        names.MESSAGING_SYSTEM: "kafka",
        names.MESSAGING_OPERATION_NAME: "send",
        names.MESSAGING_OPERATION_TYPE: "send",
        names.MESSAGING_DESTINATION_NAME: topic,
    }
    if message_id is not None:
        attributes[names.MESSAGING_MESSAGE_ID] = message_id
    if outcome is not None:
        attributes |= outcome_attributes(outcome)
    try:
        with _span(tracer, f"send {topic}", None, SpanKind.PRODUCER, attributes):
            carrier: dict[str, str] = {}
            if not _GETTER.get(carried, "traceparent"):
                _propagator.inject(carrier)
            yield tuple((name, value.encode()) for name, value in carrier.items())
    finally:
        semantic.sent(attributes)


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
    """Return the labels that lead from a sample to its trace, None where no trace is kept."""
    context = trace.get_current_span().get_span_context()
    if not (context.is_valid and context.trace_flags.sampled):
        return None
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _conclude(span: Span, work: Work, attributes: Attributes) -> None:
    outcome = work.outcome
    if outcome is None:
        return
    span.set_attributes(outcome_attributes(outcome))
    if outcome.outcome in _FAILURES:
        attributes[names.ERROR_TYPE] = outcome.reason or outcome.outcome.value
        span.set_attribute(names.ERROR_TYPE, attributes[names.ERROR_TYPE])
        span.set_status(Status(StatusCode.ERROR, outcome.reason or outcome.outcome.value))


@contextmanager
def _span(
    tracer: Tracer,
    name: str,
    context: Context | None,
    kind: SpanKind,
    attributes: Attributes,
    links: list[Link] | None = None,
) -> Iterator[Span]:
    """Span the block; of an exception only its type is kept, its text might hold what a record held."""
    with tracer.start_as_current_span(
        name, context, kind, attributes, links, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            attributes[names.ERROR_TYPE] = type(error).__name__
            span.set_attribute(names.ERROR_TYPE, type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise
