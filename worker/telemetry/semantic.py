"""OpenTelemetry's own metrics, measured once they are switched on."""

from dataclasses import dataclass

from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider
from opentelemetry.util.types import AttributeValue

from worker.telemetry import names
from worker.telemetry.instruments import CONSUMED, HTTP_SECONDS, PROCESS_SECONDS, SENT, SemanticMetric

Attributes = dict[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class _Instruments:
    http_seconds: Histogram
    process_seconds: Histogram
    consumed: Counter
    sent: Counter


_instruments: _Instruments | None = None


def switch_on(provider: MeterProvider | None) -> None:
    """Measure from now on; nothing again if the provider is None."""
    global _instruments  # noqa: PLW0603 - one for the process, like OpenTelemetry's own provider
    _instruments = None
    if provider is not None:
        meter = provider.get_meter(names.TRACER)
        _instruments = _Instruments(
            _histogram(meter, HTTP_SECONDS),
            _histogram(meter, PROCESS_SECONDS),
            _counter(meter, CONSUMED),
            _counter(meter, SENT),
        )


def is_on() -> bool:
    """Whether anything is measured: if it is not, attributes need not be put together."""
    return _instruments is not None


def requested(span_attributes: Attributes, seconds: float, context: Context) -> None:
    """Measure an HTTP request by its span's attributes; `context` holds the span, for the exemplar."""
    if _instruments is not None:
        _instruments.http_seconds.record(seconds, _kept(HTTP_SECONDS, span_attributes), context)


def consumed(span_attributes: Attributes) -> None:
    """Count a record that was handed to the use case."""
    if _instruments is not None:
        _instruments.consumed.add(1, _kept(CONSUMED, span_attributes))


def processed(span_attributes: Attributes, seconds: float, context: Context) -> None:
    """Measure the work on a record, see `requested`."""
    if _instruments is not None:
        _instruments.process_seconds.record(seconds, _kept(PROCESS_SECONDS, span_attributes), context)


def sent(span_attributes: Attributes) -> None:
    """Count a record that was sent, also one that Kafka did not acknowledge."""
    if _instruments is not None:
        _instruments.sent.add(1, _kept(SENT, span_attributes))


def _kept(metric: SemanticMetric, attributes: Attributes) -> Attributes:
    """Keep what the metric is declared to have: offsets and ids must not become series."""
    return {name: attributes[name] for name in metric.attributes if name in attributes}


def _histogram(meter: Meter, metric: SemanticMetric) -> Histogram:
    return meter.create_histogram(
        metric.name, metric.unit, metric.help, explicit_bucket_boundaries_advisory=metric.buckets
    )


def _counter(meter: Meter, metric: SemanticMetric) -> Counter:
    return meter.create_counter(metric.name, metric.unit, metric.help)
