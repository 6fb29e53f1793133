"""OpenTelemetry's own metrics. Without an SDK nothing is measured."""

from typing import Final

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram
from opentelemetry.util.types import AttributeValue

from worker.telemetry import names
from worker.telemetry.catalogue import CONSUMED, HTTP_SECONDS, PROCESS_SECONDS, SENT, SemanticMetric

_meter: Final = metrics.get_meter(names.TRACER)

Attributes = dict[str, AttributeValue]


def _histogram(metric: SemanticMetric) -> Histogram:
    return _meter.create_histogram(
        metric.name, metric.unit, metric.help, explicit_bucket_boundaries_advisory=metric.buckets
    )


def _counter(metric: SemanticMetric) -> Counter:
    return _meter.create_counter(metric.name, metric.unit, metric.help)


_http_seconds: Final = _histogram(HTTP_SECONDS)
_process_seconds: Final = _histogram(PROCESS_SECONDS)
_consumed: Final = _counter(CONSUMED)
_sent: Final = _counter(SENT)


def requested(span_attributes: Attributes, seconds: float, context: Context) -> None:
    """Measure an HTTP request by its span's attributes; `context` holds the span, for the exemplar."""
    _http_seconds.record(seconds, _kept(HTTP_SECONDS, span_attributes), context)


def consumed(span_attributes: Attributes) -> None:
    """Count a record that was handed to the use case."""
    _consumed.add(1, _kept(CONSUMED, span_attributes))


def processed(span_attributes: Attributes, seconds: float, context: Context) -> None:
    """Measure the work on a record, see `requested`."""
    _process_seconds.record(seconds, _kept(PROCESS_SECONDS, span_attributes), context)


def sent(span_attributes: Attributes) -> None:
    """Count a record that was sent, also one that Kafka did not acknowledge."""
    _sent.add(1, _kept(SENT, span_attributes))


def _kept(metric: SemanticMetric, attributes: Attributes) -> Attributes:
    """Keep what the metric is declared to have: offsets and ids must not become series."""
    return {name: attributes[name] for name in metric.attributes if name in attributes}
