"""A collector in this process: takes spans and metrics by OTLP, over gRPC or HTTP, and keeps them."""

import gzip
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Literal

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from worker.demo.ports import HOST

Protocol = Literal["grpc", "http/protobuf"]
KINDS = {kind: name.removeprefix("SPAN_KIND_") for name, kind in trace_pb2.Span.SpanKind.items()}
STATUSES = {code: name.removeprefix("STATUS_CODE_") for name, code in trace_pb2.Status.StatusCode.items()}


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """A span as the collector has it; ids in hex, `parent` empty for a root."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: list[tuple[str, str]]
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    status: str
    start: int
    resource: dict[str, Any] = field(repr=False)

    @property
    def outcome(self) -> str | None:
        """The outcome that it shows."""
        return self.attributes.get("enrolment.outcome")


class Collector:
    """What arrived so far; safe to read while more arrives."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._spans: list[SeenSpan] = []
        self._metrics: dict[str, list[dict[str, Any]]] = {}
        self._texts: list[str] = []

    def spans(self, trace: str | None = None) -> list[SeenSpan]:
        """Return the spans, of one trace where it is given, in the order of their beginning."""
        with self._lock:
            found = [span for span in self._spans if trace in (None, span.trace)]
        return sorted(found, key=lambda span: span.start)

    def metrics(self) -> dict[str, list[dict[str, Any]]]:
        """Return the attributes of every data point, by the metric's name."""
        with self._lock:
            return {name: list(points) for name, points in self._metrics.items()}

    def everything(self) -> str:
        """Return all that arrived, as text."""
        with self._lock:
            return "\n".join(self._texts)

    def take_spans(self, request: trace_pb.ExportTraceServiceRequest) -> None:
        """Keep what an exporter sent."""
        with self._lock:
            self._texts.append(str(request))
            for batch in request.resource_spans:
                resource = _plain(batch.resource.attributes)
                self._spans += [_seen(s, resource) for scope in batch.scope_spans for s in scope.spans]

    def take_metrics(self, request: metrics_pb.ExportMetricsServiceRequest) -> None:
        """Keep what an exporter sent."""
        with self._lock:
            self._texts.append(str(request))
            for metric in (m for b in request.resource_metrics for s in b.scope_metrics for m in s.metrics):
                data = getattr(metric, metric.WhichOneof("data") or "sum")
                points = self._metrics.setdefault(metric.name, [])
                points += [_plain(point.attributes) for point in data.data_points]


@contextmanager
def collecting(protocol: Protocol = "http/protobuf") -> Iterator[tuple[Collector, dict[str, str]]]:
    """Give a collector, and the variables by which an exporter finds it and does not wait long."""
    collector = Collector()
    serve = _over_grpc if protocol == "grpc" else _over_http
    with serve(collector) as port:
        yield (
            collector,
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{port}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "OTEL_BSP_SCHEDULE_DELAY": "100",
                "OTEL_METRIC_EXPORT_INTERVAL": "500",
            },
        )


@contextmanager
def _over_grpc(collector: Collector) -> Iterator[int]:
    class Traces(trace_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802, ANN401, ARG002 - generated
            collector.take_spans(request)
            return trace_pb.ExportTraceServiceResponse()

    class Metrics(metrics_grpc.MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802, ANN401, ARG002 - generated
            collector.take_metrics(request)
            return metrics_pb.ExportMetricsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    trace_grpc.add_TraceServiceServicer_to_server(Traces(), server)  # type: ignore[no-untyped-call]  # generated
    metrics_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


@contextmanager
def _over_http(collector: Collector) -> Iterator[int]:
    takers: dict[str, Callable[[bytes], None]] = {
        "/v1/traces": lambda body: collector.take_spans(trace_pb.ExportTraceServiceRequest.FromString(body)),
        "/v1/metrics": lambda body: collector.take_metrics(
            metrics_pb.ExportMetricsServiceRequest.FromString(body)
        ),
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            takers[self.path](gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _seen(span: trace_pb2.Span, resource: dict[str, Any]) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        kind=KINDS[span.kind],
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        attributes=_plain(span.attributes),
        events=[(event.name, _plain(event.attributes)) for event in span.events],
        status=STATUSES[span.status.code],
        start=span.start_time_unix_nano,
        resource=resource,
    )


def _plain(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - a repeated field
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:  # noqa: ANN401 - a scalar
    return getattr(value, value.WhichOneof("value") or "string_value")
