"""What spans say of the work on a record, and what is never in them."""

from collections.abc import Callable

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from tests.support.use_case.values import NOW, record
from topics.outcome import SEVERITY, ActivityReference, CodeAndMessage, Outcome, OutcomeName
from worker.telemetry.spans import Spans
from worker.telemetry.tracing import Processing, Sending, exemplar, record_in_work, told

Finished = Callable[[], list[ReadableSpan]]
PARENT = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture
def recording() -> tuple[Spans, Finished]:
    """Give what records every span, and what returns the finished ones."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Spans(provider.get_tracer("test")), lambda: list(exporter.get_finished_spans())


def outcome(name: OutcomeName, promotion: int | None = None, **more: object) -> Outcome:
    """Return an outcome."""
    at = ActivityReference(event_id="evt-1", topic="customer-activity", partition=3, offset=42)
    fields = {"outcome_id": "o", "outcome": name, "severity": SEVERITY[name], "promotion_id": promotion}
    return Outcome.model_validate({**fields, "activity": at, "occurred_at": NOW, **more})


@pytest.mark.parametrize(
    ("names", "shown", "status"),
    [
        (["ALREADY_ENROLLED", "ENROLLED", "ALREADY_ENROLLED"], 1, StatusCode.UNSET),
        (["LIMIT_EXHAUSTED", "ENROLLED"], 0, StatusCode.UNSET),
        (["REJECTED", "ENROLLED"], 0, StatusCode.ERROR),
        (["DEFERRED", "ENROLLED"], 0, StatusCode.UNSET),
        (["ENROLLED", "REJECTED", "DEAD_LETTERED"], 2, StatusCode.ERROR),
        (["ENROLLED", "ENROLLED"], 0, StatusCode.UNSET),
        (["CUSTOMER_NOT_FOUND"], 0, StatusCode.UNSET),
    ],
)
def test_the_weightiest_outcome_is_shown(
    recording: tuple[Spans, Finished], names: list[str], shown: int, status: StatusCode
) -> None:
    """Of several outcomes the span has the one that an operator would ask about, and only its attributes."""
    spans, finished = recording
    with Processing(record(b""), "group", spans):
        for number, name in enumerate(names):
            told(outcome(OutcomeName(name), number, reconciled=True if number == 0 else None))
    (span,) = finished()
    attributes = span.attributes or {}
    assert (attributes["enrolment.outcome"], attributes["enrolment.promotion.id"]) == (names[shown], shown)
    assert ("enrolment.reconciled" in attributes) is (shown == 0)
    assert [(event.attributes or {})["enrolment.promotion.id"] for event in span.events] == [
        *range(len(names))
    ]
    assert span.status.status_code is status


def test_every_outcome_has_its_weight(recording: tuple[Spans, Finished]) -> None:
    """A new outcome must not end the work on an event."""
    spans, finished = recording
    with Processing(record(b""), "group", spans):
        for name in OutcomeName:
            told(outcome(name))
    assert (finished()[0].attributes or {})["enrolment.outcome"] == "DEAD_LETTERED"


def test_8890_is_shown_before_other_warnings(recording: tuple[Spans, Finished]) -> None:
    """One code stands on a span: the one that dashboards count."""
    spans, finished = recording
    warnings = tuple(CodeAndMessage(code=code, message="said") for code in (7001, 8890))
    with Sending("outcomes", spans, outcome=outcome(OutcomeName.LIMIT_EXHAUSTED, warnings=warnings)):
        pass
    assert (finished()[0].attributes or {})["enrolment.warning.code"] == 8890


def test_an_exception_is_its_type_alone(recording: tuple[Spans, Finished]) -> None:
    """Its text might hold what the record held."""
    spans, finished = recording
    with (
        pytest.raises(ValueError, match="919845012345"),
        Processing(record(b""), "group", spans),
        Sending("outcomes", spans),
    ):
        raise ValueError("919845012345")
    for span in finished():
        assert (span.attributes or {})["error.type"] == "ValueError"
        assert span.status.status_code is StatusCode.ERROR
        assert "919845012345" not in span.to_json()
    assert record_in_work() is None


def test_without_an_sdk_the_producers_context_passes_through() -> None:
    """Tracing that is off here must not tear upstream's trace from downstream's; baggage does not pass."""
    spans = Spans()
    headers = (PARENT, ("tracestate", b"vendor=1"), ("baggage", b"mobile=1"))
    with Processing(record(b"", headers=headers), "group", spans), Sending("outcomes", spans) as carried:
        assert carried == (PARENT, ("tracestate", b"vendor=1"))
    with Processing(record(b""), "group", spans), Sending("outcomes", spans) as carried:
        assert carried == ()


def test_a_context_that_a_record_carries_stays(recording: tuple[Spans, Finished]) -> None:
    """A record that is dead-lettered keeps upstream's trace; one without gets that of the work."""
    spans, finished = recording
    with Processing(record(b""), "group", spans):
        with Sending("dlt", spans, carried=(PARENT,)) as first:
            assert first == ()
        with Sending("dlt", spans) as second:
            pass
    at = finished()[-1].get_span_context()
    assert at is not None
    assert [name for name, _ in second] == ["traceparent"]
    assert trace.format_trace_id(at.trace_id) in str(second)


def test_exemplars_name_kept_traces_only(recording: tuple[Spans, Finished]) -> None:
    """A trace that is not sampled leads nowhere."""
    spans, _ = recording
    assert exemplar() is None
    with Processing(record(b"", headers=(PARENT,)), "group", spans):
        labels = exemplar()
        assert labels is not None
        assert labels["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    unsampled = (PARENT[0], PARENT[1][:-2] + b"00")
    with Processing(record(b"", headers=(unsampled,)), "group", spans):
        assert exemplar() is None


def test_damaged_contexts_begin_a_trace(recording: tuple[Spans, Finished]) -> None:
    """Whatever upstream wrote into the header, the event is worked on."""
    spans, finished = recording
    damaged = [b"", b"\xff\xfe", b"00-0-0-01", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", None]
    for value in damaged:
        with Processing(record(b"", headers=(("traceparent", value),)), "group", spans):
            pass
    assert [(span.parent, list(span.links)) for span in finished()] == [(None, [])] * len(damaged)
