"""Which spans the SDK is asked to make, and what of a trace that is not sampled travels on."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
)

from tests.support.use_case.values import record
from topics.record import Headers
from worker.capillary.connections import always
from worker.capillary.exchange import Exchange, Target
from worker.capillary.ports import Endpoint, NoObserver, OpenGate
from worker.capillary.reply import Reply
from worker.domain.answers import Issued
from worker.domain.priority import Priority
from worker.telemetry import semantic
from worker.telemetry.spans import Spans
from worker.telemetry.tracing import Processing, Sending

pytestmark = pytest.mark.asyncio

TRACE = "0af7651916cd43dd8448eb211c80319c"
UPSTREAM = f"00-{TRACE}-b7ad6b7169203331"
OFF = (("traceparent", f"{UPSTREAM}-00".encode()), ("tracestate", b"vendor=1"))
ON = (("traceparent", f"{UPSTREAM}-01".encode()),)


class _Api:
    """Answers every request, and keeps the headers of each. Stands for `Transport`."""

    def __init__(self) -> None:
        self.headers: list[httpx.Headers] = []

    async def send(self, request: httpx.Request, may_send: Callable[[], bool] = always) -> Reply:
        assert may_send()
        self.headers.append(request.headers)
        return Reply(200, httpx.Headers(), b"", None)


class _ByName(Sampler):
    """Keeps the spans of these names, whatever their parents are."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def should_sample(self, *arguments: object, **named: object) -> SamplingResult:
        name = named.get("name") or arguments[2]
        return SamplingResult(Decision.RECORD_AND_SAMPLE if name in self.names else Decision.DROP)

    def get_description(self) -> str:
        return "ByName"


class _Headstrong(ParentBased):
    """Is called parent-based, and decides for itself."""

    def should_sample(self, *_: object, **__: object) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE)


class _Story:
    """The work on one event by a worker with this sampler, None for one without an SDK."""

    def __init__(self, sampler: Sampler | None) -> None:
        self._exporter, self._api = InMemorySpanExporter(), _Api()
        if sampler is None:
            self.spans = Spans()
        else:
            provider = TracerProvider(sampler, shutdown_on_exit=False)
            provider.add_span_processor(SimpleSpanProcessor(self._exporter))
            self.spans = Spans(provider.get_tracer("test"))
        self.exchange = Exchange(self._api, NoObserver(), self.spans, OpenGate())  # type: ignore[arg-type]  # see above

    @property
    def recorded(self) -> list[str]:
        return [span.name for span in self._exporter.get_finished_spans()]

    async def request(self) -> dict[str, str]:
        """Send a request; return the headers that came with it."""
        url = "http://127.0.0.1/v2/promotion/issue"
        target = Target(Endpoint.ISSUE, "POST", url, Priority.BEGUN)
        await self.exchange.once(
            target, lambda headers: httpx.Request("POST", url, headers=headers), lambda _: Issued(1, ())
        )
        return dict(self._api.headers[-1])

    async def work(self, headers: Headers) -> list[str]:
        """Work on a record; return the `traceparent` of the work, of the request and of the outcome."""
        with Processing(record(b"", headers=headers), "group", self.spans):
            at = trace.get_current_span().get_span_context()
            own = f"00-{at.trace_id:032x}-{at.span_id:016x}-{at.trace_flags:02x}"
            request = await self.request()
            with Sending("outcomes", self.spans) as outcome:
                pass
        sent = {name: (value or b"").decode() for name, value in outcome}
        assert sent.get("tracestate") == request.get("tracestate")
        return [own, request.get("traceparent", ""), sent.get("traceparent", "")]


@pytest.mark.parametrize("headers", [(), OFF])
async def test_unsampled_work_passes_its_own_context_on(headers: Headers) -> None:
    """Nothing is recorded, and whoever comes after finds the trace all the same, as not sampled."""
    story = _Story(ParentBasedTraceIdRatio(0))
    own, request, outcome = await story.work(headers)
    assert story.recorded == []
    assert own == request == outcome
    version, trace_id, span_id, flags = own.split("-")
    assert (version, int(flags, 16) & trace.TraceFlags.SAMPLED) == ("00", 0)
    assert int(trace_id, 16) > 0
    assert int(span_id, 16) > 0
    assert trace_id == TRACE or headers == ()


async def test_sampled_work_has_all_its_spans() -> None:
    """Each request and outcome has a span of its own, whose context it carries."""
    story = _Story(ParentBasedTraceIdRatio(0))
    contexts = await story.work(ON)
    assert story.recorded == ["POST", "send outcomes", "process customer-activity"]
    assert len(set(contexts)) == 3
    assert all(each.startswith(f"00-{TRACE}-") and each.endswith("-01") for each in contexts)


@pytest.mark.parametrize(
    ("sampler", "recorded"),
    [
        (ALWAYS_ON, ["POST", "send outcomes", "process customer-activity"]),
        (_ByName("POST"), ["POST"]),
        (_Headstrong(ALWAYS_OFF), ["POST", "send outcomes", "process customer-activity"]),
        (ParentBased(ALWAYS_OFF, local_parent_not_sampled=ALWAYS_ON), ["POST", "send outcomes"]),
        (
            ParentBased(ALWAYS_OFF, remote_parent_not_sampled=_ByName("process customer-activity")),
            ["POST", "send outcomes", "process customer-activity"],
        ),
        (ParentBased(ALWAYS_OFF, local_parent_not_sampled=ParentBased(ALWAYS_ON)), []),
        (ALWAYS_OFF, []),
    ],
)
async def test_a_sampler_of_its_own_mind_decides_for_each_span(sampler: Sampler, recorded: list[str]) -> None:
    """Only what the SDK's own parent-based samplers would not record anyway is left out."""
    story = _Story(sampler)
    contexts = await story.work(OFF)
    assert story.recorded == recorded
    assert len(set(contexts)) == 3
    assert all(each.startswith(f"00-{TRACE}-") for each in contexts)


async def test_without_an_sdk_upstreams_context_goes_on_unchanged() -> None:
    """To the API and with the outcome; where upstream names none there is none."""
    story = _Story(None)
    assert await story.work(ON) == [f"{UPSTREAM}-01"] * 3
    assert (await story.work(()))[1:] == ["", ""]


async def test_the_vendors_state_of_an_unsampled_trace_goes_on() -> None:
    """A `tracestate` belongs to the `traceparent` that it came with."""
    story = _Story(ParentBasedTraceIdRatio(0))
    with Processing(record(b"", headers=OFF), "group", story.spans):
        assert (await story.request())["tracestate"] == "vendor=1"


async def test_a_request_that_outlives_its_sampled_work_is_recorded() -> None:
    """A token that several events wait for is fetched by a task of its own: its trace stays whole."""
    story = _Story(ParentBasedTraceIdRatio(0))
    may_go = asyncio.Event()

    async def later() -> None:
        await may_go.wait()
        await story.request()

    with Processing(record(b"", headers=ON), "group", story.spans):
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    may_go.set()
    await task
    assert story.recorded == ["process customer-activity", "POST"]


async def test_requests_outside_of_any_work_begin_a_trace() -> None:
    """Readings of the catalogue are nobody's event: the sampler decides about them as about any root."""
    story = _Story(ParentBasedTraceIdRatio(1))
    await story.request()
    assert story.recorded == ["POST"]


async def test_what_is_not_sampled_is_measured() -> None:
    """Metrics of the conventions count every event, with the kind of failure and without an id."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    story = _Story(ParentBasedTraceIdRatio(0))
    semantic.switch_on(provider)
    try:
        await story.work(())
        with pytest.raises(ValueError, match="secret"), Processing(record(b""), "group", story.spans):
            raise ValueError("secret")
    finally:
        semantic.switch_on(None)
    data = reader.get_metrics_data()
    provider.shutdown()
    assert data is not None
    (measured,) = data.resource_metrics[0].scope_metrics
    points = {
        metric.name: [dict(point.attributes or {}) for point in metric.data.data_points]
        for metric in measured.metrics
    }
    work = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.destination.name": "customer-activity",
        "messaging.destination.partition.id": "3",
        "messaging.consumer.group.name": "group",
    }
    assert points == {
        "messaging.client.consumed.messages": [work],
        "messaging.process.duration": [work, {**work, "error.type": "ValueError"}],
        "messaging.client.sent.messages": [
            {
                "messaging.system": "kafka",
                "messaging.operation.name": "send",
                "messaging.destination.name": "outcomes",
            }
        ],
        "http.client.request.duration": [
            {
                "http.request.method": "POST",
                "server.address": "127.0.0.1",
                "server.port": 80,
                "http.response.status_code": 200,
            }
        ],
    }
