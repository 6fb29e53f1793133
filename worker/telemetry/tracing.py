"""Spans of an event's way, after OpenTelemetry's messaging conventions.

Without an SDK no span is made and the producer's context passes through unchanged.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from topics.record import Headers, Record
from worker.telemetry import names

_tracer: Final = trace.get_tracer("enrolment-worker")


class _HeadersGetter(Getter[Headers]):
    """Reads trace context from record headers, whatever else they hold."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        found = [value for name, value in carrier if name.lower() == key and value is not None]
        return [value.decode("ascii", "replace") for value in found] or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name for name, _ in carrier]


_GETTER: Final = _HeadersGetter()


@contextmanager
def processing(record: Record, group_id: str) -> Iterator[None]:
    """Span the work on one record: a child of the producer's context, linked to it as well."""
    context = propagate.extract(record.headers, Context(), _GETTER)
    origin = trace.get_current_span(context).get_span_context()
    at = record.position
    with _tracer.start_as_current_span(
        f"process {at.topic}",
        context,
        SpanKind.CONSUMER,
        attributes={
            names.MESSAGING_SYSTEM: "kafka",
            names.MESSAGING_OPERATION_NAME: "process",
            names.MESSAGING_OPERATION_TYPE: "process",
            names.MESSAGING_DESTINATION_NAME: at.topic,
            names.MESSAGING_DESTINATION_PARTITION_ID: str(at.partition),
            names.MESSAGING_CONSUMER_GROUP_NAME: group_id,
            names.MESSAGING_KAFKA_OFFSET: at.offset,
        },
        links=[Link(origin)] if origin.is_valid else [],
    ):
        yield


@contextmanager
def sending(topic: str, message_id: str) -> Iterator[Headers]:
    """Span the sending of an outcome; yields the headers that carry its context, none where there is none."""
    with _tracer.start_as_current_span(
        f"send {topic}",
        kind=SpanKind.PRODUCER,
        attributes={
            names.MESSAGING_SYSTEM: "kafka",
            names.MESSAGING_OPERATION_NAME: "send",
            names.MESSAGING_OPERATION_TYPE: "send",
            names.MESSAGING_DESTINATION_NAME: topic,
            names.MESSAGING_MESSAGE_ID: message_id,
        },
    ):
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        yield tuple((name, value.encode()) for name, value in carrier.items())


def fail_current_span(reason: str) -> None:
    """Set the current span's status to error: a rejection or a dead letter, not an exhausted limit."""
    trace.get_current_span().set_status(Status(StatusCode.ERROR, reason))
