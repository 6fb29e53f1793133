"""Spans and metrics on their way to a collector, set by OpenTelemetry's own OTEL_* variables.

They are sent by OTLP, over gRPC or HTTP, if an endpoint is set. If none is, nothing is recorded and
nothing of the SDK is imported. What else the variables say (sampler, resource, headers, time-outs, intervals)
is read by the SDK itself.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

from opentelemetry import metrics, trace

from worker.telemetry import semantic

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

Signal = Literal["TRACES", "METRICS"]

_OTLP: Final = "opentelemetry.exporter.otlp.proto"
_EXPORTERS: Final = {
    ("TRACES", "grpc"): (f"{_OTLP}.grpc.trace_exporter", "OTLPSpanExporter"),
    ("TRACES", "http/protobuf"): (f"{_OTLP}.http.trace_exporter", "OTLPSpanExporter"),
    ("METRICS", "grpc"): (f"{_OTLP}.grpc.metric_exporter", "OTLPMetricExporter"),
    ("METRICS", "http/protobuf"): (f"{_OTLP}.http.metric_exporter", "OTLPMetricExporter"),
}
_DEFAULT_PROTOCOL: Final = "http/protobuf"
_FLUSH_SECONDS: Final = 3.0


class BadVariable(Exception):  # noqa: N818 - reads as what happened
    """An OTEL_* variable asks for what the worker has not. Its text is one line, with the remedy."""


class Export:
    """What was set up to be sent; close it when there is nothing more to send."""

    def __init__(self, closers: tuple[Callable[[], object], ...]) -> None:
        self._closers = closers

    def close(self, seconds: float = _FLUSH_SECONDS) -> bool:
        """Send what is left, and block for at most so many seconds; return whether all was done with."""
        threads = [threading.Thread(target=close, daemon=True) for close in self._closers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds / len(threads))
        return not any(thread.is_alive() for thread in threads)


def start_export(version: str, environ: Mapping[str, str] = os.environ) -> Export:
    """Set up what the variables ask for, for the whole process. Raises BadVariable."""
    try:
        return _start(version, environ)
    except (ValueError, OSError) as error:
        # The SDK's own words name the variable, most of the time.
        said = " ".join(str(error).split())
        raise BadVariable(f"OpenTelemetry refuses one of the OTEL_* variables: {said}; correct it") from None


def _start(version: str, environ: Mapping[str, str]) -> Export:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Export(())
    spans, readings = _exporter("TRACES", environ), _exporter("METRICS", environ)
    if spans is None and readings is None:
        return Export(())
    resource = _resource(version)
    closers: list[Callable[[], object]] = []
    if spans is not None:
        closers.append(_start_spans(spans, resource))
    if readings is not None:
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - see above
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 - see above

        meters = MeterProvider(
            [PeriodicExportingMetricReader(readings())], resource=resource, shutdown_on_exit=False
        )
        metrics.set_meter_provider(meters)
        semantic.switch_on(meters)
        closers.append(meters.shutdown)
    return Export(tuple(closers))


def _start_spans(exporter: Callable[[], Any], resource: "Resource") -> Callable[[], object]:
    """Set up how spans are sent; return what ends it.

    Auto-instrumentation has set it up before us, once for the process: ours go the same way then.
    """
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - costs nothing if it is off
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - see above

    injected = trace.get_tracer_provider()
    if isinstance(injected, TracerProvider):
        return injected.force_flush
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(exporter()))
    trace.set_tracer_provider(tracers)
    return tracers.shutdown


def _exporter(signal: Signal, environ: Mapping[str, str]) -> Callable[[], Any] | None:
    """Import what makes the signal's exporter; None if it is off."""
    chosen = environ.get(f"OTEL_{signal}_EXPORTER", "").strip() or "otlp"
    if chosen not in ("otlp", "none"):
        raise BadVariable(f"OTEL_{signal}_EXPORTER is {chosen!r}; set it to otlp or none")
    endpoint = _first(environ, f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if chosen == "none" or endpoint is None:
        return None
    names = (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    name, protocol = _first(environ, *names) or (names[1], _DEFAULT_PROTOCOL)
    if (signal, protocol) not in _EXPORTERS:
        raise BadVariable(f"{name} is {protocol!r}; set it to grpc or http/protobuf")
    if protocol != "grpc" and not endpoint[1].startswith(("http://", "https://")):
        raise BadVariable(f"{endpoint[0]} is no URL; it begins with http:// or https://")
    module, kind = _EXPORTERS[signal, protocol]
    made: Callable[[], Any] = getattr(import_module(module), kind)
    return made


def _first(environ: Mapping[str, str], *names: str) -> tuple[str, str] | None:
    """Return the first of the variables that is given, and its value. An empty one counts as not given."""
    return next(((name, text) for name in names if (text := environ.get(name, "").strip())), None)


def _resource(version: str) -> "Resource":
    """Return what the worker says of itself; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - see above

    ours = {
        "service.name": "enrolment-worker",
        "service.version": version,
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
    }
    return Resource.create(ours | dict(OTELResourceDetector().detect().attributes))
