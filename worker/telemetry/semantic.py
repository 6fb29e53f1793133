"""OpenTelemetry's own metrics, measured once they are switched on."""

from dataclasses import dataclass

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation
from opentelemetry.util.types import AttributeValue

from worker.telemetry import names
from worker.telemetry.catalogue import CONSUMED, HTTP_SECONDS, PROCESS_SECONDS, SENT, SemanticMetric

Attributes = dict[str, AttributeValue]


class _Count:
    """A counter that the SDK asks for when it sends: telling it of each event costs ten times as much."""

    def __init__(self, meter: Meter, metric: SemanticMetric) -> None:
        self._names = metric.attributes
        self._counts: dict[tuple[AttributeValue | None, ...], int] = {}
        meter.create_observable_counter(metric.name, [self._read], metric.unit, metric.help)

    def add(self, attributes: Attributes) -> None:
        """Count one, under those of the attributes that the metric is declared to have."""
        key = tuple([attributes.get(name) for name in self._names])
        self._counts[key] = self._counts.get(key, 0) + 1

    def _read(self, _: CallbackOptions) -> list[Observation]:
        """Read a copy: the SDK asks from a thread of its own."""
        return [
            Observation(
                count,
                {name: value for name, value in zip(self._names, key, strict=True) if value is not None},
            )
            for key, count in self._counts.copy().items()
        ]


@dataclass(frozen=True, slots=True)
class _Instruments:
    http_seconds: Histogram
    process_seconds: Histogram
    consumed: _Count
    sent: _Count


_instruments: _Instruments | None = None


def switch_on(provider: MeterProvider | None) -> None:
    """Measure from now on; nothing again where the provider is None."""
    global _instruments  # noqa: PLW0603 - one for the process, like OpenTelemetry's own provider
    _instruments = None
    if provider is not None:
        meter = provider.get_meter(names.TRACER)
        _instruments = _Instruments(
            _histogram(meter, HTTP_SECONDS),
            _histogram(meter, PROCESS_SECONDS),
            _Count(meter, CONSUMED),
            _Count(meter, SENT),
        )


def is_on() -> bool:
    """Whether anything is measured: where it is not, attributes need not be put together."""
    return _instruments is not None


def requested(span_attributes: Attributes, seconds: float, context: Context) -> None:
    """Measure an HTTP request by its span's attributes; `context` holds the span, for the exemplar."""
    if _instruments is not None:
        _instruments.http_seconds.record(seconds, _kept(HTTP_SECONDS, span_attributes), context)


def consumed(span_attributes: Attributes) -> None:
    """Count a record that was handed to the use case."""
    if _instruments is not None:
        _instruments.consumed.add(span_attributes)


def processed(span_attributes: Attributes, seconds: float, context: Context) -> None:
    """Measure the work on a record, see `requested`."""
    if _instruments is not None:
        _instruments.process_seconds.record(seconds, _kept(PROCESS_SECONDS, span_attributes), context)


def sent(span_attributes: Attributes) -> None:
    """Count a record that was sent, also one that Kafka did not acknowledge."""
    if _instruments is not None:
        _instruments.sent.add(span_attributes)


def _kept(metric: SemanticMetric, attributes: Attributes) -> Attributes:
    """Keep what the metric is declared to have: offsets and ids must not become series."""
    return {name: attributes[name] for name in metric.attributes if name in attributes}


def _histogram(meter: Meter, metric: SemanticMetric) -> Histogram:
    return meter.create_histogram(
        metric.name, metric.unit, metric.help, explicit_bucket_boundaries_advisory=metric.buckets
    )
