"""Spans that OpenTelemetry's SDK makes, and those that need not be made because nobody would see them."""

from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    NoOpTracer,
    ProxyTracer,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.telemetry import names
from worker.telemetry.semantic import Attributes

_propagator: Final = TraceContextTextMapPropagator()

_NONE_BELOW: Final = (
    ",remoteParentNotSampled:AlwaysOffSampler"
    ",localParentSampled:AlwaysOnSampler"
    ",localParentNotSampled:AlwaysOffSampler}"
)
"""How a parent-based sampler with the SDK's own rules for parents ends its description."""


class Spans:
    """Starts spans, and spares the SDK those that it would not record.

    In a trace that is not sampled a parent-based sampler samples nothing more: what would be started stands
    for its parent there, as it does without an SDK. Any other sampler is asked for every span.
    """

    __slots__ = ("_are_off", "_follow_parents", "_tracer")

    def __init__(self, tracer: Tracer | None = None) -> None:
        """Take the process's tracer unless one is given; its sampler is looked at here, once."""
        self._tracer = tracer or trace.get_tracer(names.TRACER)
        self._are_off = isinstance(self._tracer, NoOpTracer | ProxyTracer)
        self._follow_parents = not self._are_off and _follows_parents(self._tracer)

    def start(
        self,
        name: str,
        kind: SpanKind,
        attributes: Callable[[], Attributes],
        context: Context | None = None,
        links: Sequence[Link] = (),
    ) -> Span:
        """Start a span below the one in `context`, the current one unless given; end it, it is not current.

        `attributes` are asked for only if the span is made.
        """
        parent = trace.get_current_span(context).get_span_context()
        if self._are_off or (self._follow_parents and parent.is_valid and not parent.trace_flags.sampled):
            return NonRecordingSpan(parent)
        return self._tracer.start_span(name, context, kind, attributes(), links)


class InSpan:
    """A span that is the current one while a block runs; base of the context managers that say which.

    Of an exception only the type is kept: its text might hold what a record held.
    """

    __slots__ = ("_error_type", "_token", "context", "span")

    def enter(self, span: Span) -> None:
        """Make the span the current one."""
        self.span = span
        self.context = trace.set_span_in_context(span)
        self._error_type: str | None = None
        self._token = attach(self.context)

    def failed(self, error_type: str, description: str | None = None) -> None:
        """Note that the block has failed, on the span and for metrics."""
        self._error_type = error_type
        self.span.set_attribute(names.ERROR_TYPE, error_type)
        self.span.set_status(StatusCode.ERROR, description)

    def leave(self, error: BaseException | None) -> None:
        """End the span, failed if the block was left by an exception."""
        if error is not None:
            self.failed(type(error).__name__)
        detach(self._token)
        self.span.end()

    def with_error(self, attributes: Attributes) -> Attributes:
        """Add the kind of failure, if there was one."""
        if self._error_type is not None:
            attributes[names.ERROR_TYPE] = self._error_type
        return attributes


def trace_headers(span: Span) -> list[tuple[str, str]]:
    """Return what carries the span's context to others, nothing if it has none; baggage is not in it."""
    if not span.get_span_context().is_valid:
        return []
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span, Context()))
    return list(carrier.items())


def _follows_parents(tracer: Tracer) -> bool:
    """Whether the tracer never records below a parent, here or upstream, that is not sampled."""
    # The SDK is there already if there is a tracer that does something.
    from opentelemetry.sdk.trace.sampling import ParentBased  # noqa: PLC0415 - see above

    sampler = getattr(tracer, "sampler", None)
    return (
        isinstance(sampler, ParentBased)
        and type(sampler).should_sample is ParentBased.should_sample
        and str(sampler.get_description()).endswith(_NONE_BELOW)  # type: ignore[no-untyped-call]  # the SDK's gap
    )
