"""What spans say of the work on a record, and what is never in them."""

from collections.abc import Callable

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer

from tests.unit.fakes import NOW, record
from topics.outcome import SEVERITY, ActivityReference, CodeAndMessage, Outcome, OutcomeName
from worker.telemetry.tracing import exemplar, processing, record_in_work, sending, told

Spans = Callable[[], list[ReadableSpan]]
PARENT = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture
def recording() -> tuple[Tracer, Spans]:
    """Give a tracer, and what returns its finished spans."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test"), lambda: list(exporter.get_finished_spans())


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
    recording: tuple[Tracer, Spans], names: list[str], shown: int, status: StatusCode
) -> None:
    """Of several outcomes the span has the one that an operator would ask about, and only its attributes."""
    tracer, spans = recording
    with processing(record(b""), "group", tracer):
        for number, name in enumerate(names):
            told(outcome(OutcomeName(name), number, reconciled=True if number == 0 else None))
    (span,) = spans()
    attributes = span.attributes or {}
    assert (attributes["enrolment.outcome"], attributes["enrolment.promotion.id"]) == (names[shown], shown)
    assert ("enrolment.reconciled" in attributes) is (shown == 0)
    assert [(event.attributes or {})["enrolment.promotion.id"] for event in span.events] == [
        *range(len(names))
    ]
    assert span.status.status_code is status


def test_every_outcome_has_its_weight(recording: tuple[Tracer, Spans]) -> None:
    """A new outcome must not end the work on an event."""
    tracer, spans = recording
    with processing(record(b""), "group", tracer):
        for name in OutcomeName:
            told(outcome(name))
    assert (spans()[0].attributes or {})["enrolment.outcome"] == "DEAD_LETTERED"


def test_8890_is_shown_before_other_warnings(recording: tuple[Tracer, Spans]) -> None:
    """One code stands on a span: the one that dashboards count."""
    tracer, spans = recording
    warnings = tuple(CodeAndMessage(code=code, message="said") for code in (7001, 8890))
    with sending("outcomes", "id", outcome(OutcomeName.LIMIT_EXHAUSTED, warnings=warnings), tracer=tracer):
        pass
    assert (spans()[0].attributes or {})["enrolment.warning.code"] == 8890


def test_an_exception_is_its_type_alone(recording: tuple[Tracer, Spans]) -> None:
    """Its text might hold what the record held."""
    tracer, spans = recording
    with (
        pytest.raises(ValueError, match="919845012345"),
        processing(record(b""), "group", tracer),
        sending("outcomes", "id", tracer=tracer),
    ):
        raise ValueError("919845012345")
    for span in spans():
        assert (span.attributes or {})["error.type"] == "ValueError"
        assert span.status.status_code is StatusCode.ERROR
        assert "919845012345" not in span.to_json()
    assert record_in_work() is None


def test_without_an_sdk_the_producers_context_passes_through() -> None:
    """Tracing that is off here must not tear upstream's trace from downstream's; baggage does not pass."""
    headers = (PARENT, ("tracestate", b"vendor=1"), ("baggage", b"mobile=1"))
    with processing(record(b"", headers=headers), "group"), sending("outcomes", "id") as carried:
        assert carried == (PARENT, ("tracestate", b"vendor=1"))
    with processing(record(b""), "group"), sending("outcomes", "id") as carried:
        assert carried == ()


def test_a_context_that_a_record_carries_stays(recording: tuple[Tracer, Spans]) -> None:
    """A record that is put aside keeps upstream's trace; one without gets that of the work."""
    tracer, spans = recording
    with processing(record(b""), "group", tracer):
        with sending("dlt", carried=(PARENT,), tracer=tracer) as first:
            assert first == ()
        with sending("dlt", tracer=tracer) as second:
            pass
    at = spans()[-1].get_span_context()
    assert at is not None
    assert [name for name, _ in second] == ["traceparent"]
    assert trace.format_trace_id(at.trace_id) in str(second)


def test_exemplars_name_kept_traces_only(recording: tuple[Tracer, Spans]) -> None:
    """A trace that is not sampled leads nowhere."""
    tracer, _ = recording
    assert exemplar() is None
    with processing(record(b"", headers=(PARENT,)), "group", tracer):
        labels = exemplar()
        assert labels is not None
        assert labels["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    unsampled = (PARENT[0], PARENT[1][:-2] + b"00")
    with processing(record(b"", headers=(unsampled,)), "group", tracer):
        assert exemplar() is None


def test_damaged_contexts_begin_a_trace(recording: tuple[Tracer, Spans]) -> None:
    """Whatever upstream wrote into the header, the event is worked on."""
    tracer, spans = recording
    damaged = [b"", b"\xff\xfe", b"00-0-0-01", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", None]
    for value in damaged:
        with processing(record(b"", headers=(("traceparent", value),)), "group", tracer):
            pass
    assert [(span.parent, list(span.links)) for span in spans()] == [(None, [])] * len(damaged)
