"""What a collector gets of an event, over gRPC and over HTTP: one trace that tells the event's story."""

from collections.abc import Iterator
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import pytest

from tests.support.e2e.desk import Desk, Told
from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.otlp import Collector, SeenSpan, collecting
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, Endpoint, Promotion, RunningSimulator

pytestmark = pytest.mark.timeout(90)


@dataclass(frozen=True, slots=True)
class Story:
    """The spans of one event, whose producer's span was `upstream`."""

    upstream: str
    told: Told
    process: SeenSpan
    requests: list[SeenSpan]
    sends: list[SeenSpan]


@dataclass(frozen=True, slots=True)
class Observatory:
    """A desk whose worker sends its spans to a collector."""

    desk: Desk
    collector: Collector

    def tell(self, customer: Customer | int, *more: tuple[str, bytes]) -> Story:
        """Produce an event under a trace of its own; return what became of it."""
        who = customer if isinstance(customer, int) else customer.customer_id
        value = event(unique("event"), {"customerId": who})
        return self.tell_value(value, str(who).encode(), *more)

    def tell_value(self, value: bytes, key: bytes, *more: tuple[str, bytes]) -> Story:
        """Produce a record under a trace of its own; return what became of it."""
        trace, upstream = token_hex(16), token_hex(8)
        header = ("traceparent", f"00-{trace}-{upstream}-01".encode())
        told = self.desk.tell(value, key=key, headers=(header, *more))
        name = f"process {self.desk.stage.names.activity}"
        wait_until(lambda: [s for s in self.collector.spans(trace) if s.name == name], "the trace has come")
        spans = self.collector.spans(trace)
        (process,) = [span for span in spans if span.name == name]
        requests = [span for span in spans if span.kind == "CLIENT"]
        sends = [span for span in spans if span.kind == "PRODUCER"]
        assert len(spans) == 1 + len(requests) + len(sends), spans
        assert {span.parent for span in requests + sends} <= {process.id}
        return Story(upstream, told, process, requests, sends)


@pytest.fixture(scope="module", params=["grpc", "http/protobuf"])
def observatory(
    lab: Lab, world_api: RunningSimulator, request: pytest.FixtureRequest
) -> Iterator[Observatory]:
    """Give a worker that sends everything to a collector, by either protocol."""
    with collecting(request.param) as (collector, variables), lab.stage(world_api.api_url) as stage:
        worker = stage.worker(
            RETRY_MAX_ATTEMPTS="2",
            RETRY_MAX_SECONDS="0.05",
            RETRY_DELAYS_SECONDS="0.2,0.2,0.2",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
            **CREDENTIALS,
            **variables,
        )
        worker.wait_ready()
        yield Observatory(Desk(stage, world_api, worker), collector)


def test_an_enrolment(observatory: Observatory) -> None:
    """Below the producer's span the work, below that each request and outcome, with all that names them."""
    desk = observatory.desk
    customer = desk.customer()
    promotion = desk.promotion(customer)
    story = observatory.tell(customer)
    activity, outcomes = desk.stage.names.activity, desk.stage.names.outcomes
    key = _key(customer, promotion)
    about = {
        "enrolment.promotion.id": promotion.promotion_id,
        "enrolment.program.id": promotion.program_id,
        "enrolment.idempotency_key": key,
    }
    process = story.process
    assert (process.kind, process.status) == ("CONSUMER", "UNSET")
    assert process.parent == story.upstream
    assert process.links == [(process.trace, story.upstream)]
    assert process.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": activity,
        "messaging.destination.partition.id": "0",
        "messaging.consumer.group.name": desk.stage.names.group_id,
        "messaging.kafka.offset": story.told.record.position.offset,
        "enrolment.outcome": "ENROLLED",
        **about,
    }
    assert process.events == [("enrolment.outcome", {"enrolment.outcome": "ENROLLED", **about})]
    assert (
        process.resource.items()
        >= {
            "service.name": "enrolment-worker",
            "deployment.environment.name": "test",
        }.items()
    )

    lookup, issue = story.requests
    port = int(desk.simulator.api_url.rpartition(":")[2])
    server = {"server.address": "127.0.0.1", "server.port": port, "http.response.status_code": 200}
    assert lookup.attributes == server | {
        "http.request.method": "GET",
        "url.full": f"{desk.simulator.api_url}/v2/customers/lookup/promotionData",
        "capillary.request_id": desk.traced(customer, 0),
    }
    assert issue.attributes == server | about | {
        "http.request.method": "POST",
        "url.full": f"{desk.simulator.api_url}/v2/promotion/issue",
        "capillary.request_id": desk.traced(customer, 1),
    }
    assert story.told.only.value["apiRequestId"] == issue.attributes["capillary.request_id"]
    assert [span.name for span in story.requests] == ["GET", "POST"]

    (send,) = story.sends
    assert (send.name, send.status) == (f"send {outcomes}", "UNSET")
    assert send.attributes == about | {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": outcomes,
        "messaging.message.id": story.told.only.value["outcomeId"],
        "enrolment.outcome": "ENROLLED",
    }
    assert story.told.only.headers["traceparent"] == f"00-{send.trace}-{send.id}-01"


def test_an_exhausted_limit_is_an_event_and_no_error(observatory: Observatory) -> None:
    """8890 must be found on the request, on the outcome and on the work, none of which has failed."""
    customer = observatory.desk.customer()
    promotion = observatory.desk.promotion(customer, configuration_fault=True)
    story = observatory.tell(customer)
    _, issue, _ = story.requests
    assert issue.events == [("enrolment.warning", {"enrolment.warning.code": 8890})]
    for span in (issue, story.process, *story.sends):
        assert span.attributes["enrolment.warning.code"] == 8890
        assert span.attributes["enrolment.promotion.id"] == promotion.promotion_id
    assert {span.status for span in (story.process, *story.requests, *story.sends)} == {"UNSET"}
    assert story.process.outcome == "LIMIT_EXHAUSTED"


def test_a_reconciliation(observatory: Observatory) -> None:
    """A lost answer is a failed request; what was found out stands on the outcome and on the work."""
    customer = observatory.desk.customer()
    observatory.desk.promotion(customer)
    observatory.desk.fault("reset_after_apply", customer, endpoint=Endpoint.ISSUE, count=1)
    story = observatory.tell(customer)
    issue = story.requests[1]
    assert (issue.name, issue.status, issue.attributes["error.type"]) == ("POST", "ERROR", "disconnected")
    assert [span.name for span in story.requests[2:]] == ["GET"] * len(story.requests[2:])
    for span in (story.process, *story.sends):
        assert (span.outcome, span.attributes["enrolment.reconciled"]) == ("ENROLLED", True)
        assert span.status == "UNSET"


def test_repeated_requests(observatory: Observatory) -> None:
    """One span an attempt, counted; also where an enrolment is sent again under the same key.

    Before the last attempt the worker asks whether the API serves at all: that request is no attempt.
    """
    customer = observatory.desk.customer()
    observatory.desk.promotion(customer)
    observatory.desk.fault("error_503", customer, endpoint=Endpoint.LOOKUP, count=1)
    observatory.desk.fault("reset_before", customer, endpoint=Endpoint.ISSUE, count=1)
    story = observatory.tell(customer)
    presence = f"{observatory.desk.simulator.api_url}/api_gateway/loyalty/v1/programs/promotions/list"
    asked = [span for span in story.requests if span.attributes["url.full"] == presence]
    assert {(span.name, span.status) for span in asked} == {("GET", "UNSET")}
    attempts = [span for span in story.requests if span not in asked]
    sent = [(s.name, s.status, s.attributes.get("http.request.resend_count")) for s in attempts]
    assert sent[:3] == [("GET", "ERROR", None), ("GET", "UNSET", 1), ("POST", "ERROR", None)]
    assert sent[-1] == ("POST", "UNSET", 1)
    posts = [span for span in story.requests if span.name == "POST"]
    assert len({span.attributes["enrolment.idempotency_key"] for span in posts}) == 1
    assert (story.process.outcome, story.process.status) == ("ENROLLED", "UNSET")


def test_several_promotions(observatory: Observatory) -> None:
    """Each promotion can be told from the others; the work shows the one that matters most."""
    desk = observatory.desk
    customer = desk.customer()
    good, exhausted, refused = (
        desk.promotion(customer),
        desk.promotion(customer, configuration_fault=True),
        desk.promotion(customer),
    )
    ids = frozenset({refused.promotion_id})
    desk.fault("api_error", customer, endpoint=Endpoint.ISSUE, code=8874, promotion_ids=ids)
    story = observatory.tell(customer)
    expected = [
        ("ENROLLED", good.promotion_id, None),
        ("LIMIT_EXHAUSTED", exhausted.promotion_id, 8890),
        ("REJECTED", refused.promotion_id, None),
    ]
    assert [_told(span.attributes) for span in story.sends] == expected
    assert [_told(attributes) for _, attributes in story.process.events] == expected
    assert _told(story.process.attributes) == expected[2]
    assert story.process.status == "ERROR"
    rejected = [span for span in story.requests if span.status == "ERROR"]
    assert [span.attributes["enrolment.promotion.id"] for span in rejected] == [refused.promotion_id]
    assert {span.status for span in story.sends} == {"UNSET"}


@pytest.mark.parametrize(
    ("failures", "final", "status", "traced"),
    [
        (2, "ENROLLED", "UNSET", True),
        (2, "ENROLLED", "UNSET", False),
        (8, "DEAD_LETTERED", "ERROR", True),
    ],
)
def test_one_trace_through_the_retry_topics(
    observatory: Observatory, failures: int, final: str, status: str, *, traced: bool
) -> None:
    """From the activity to the final outcome it is one trace, with the work for each topic on the way."""
    desk, names = observatory.desk, observatory.desk.stage.names
    customer = desk.customer()
    desk.promotion(customer)
    desk.fault("garbage", customer, endpoint=Endpoint.LOOKUP, count=failures)
    trace, event_id = token_hex(16), unique("event")
    headers = (("traceparent", f"00-{trace}-{token_hex(8)}-01".encode()),) if traced else ()
    desk.stage.feed.send(event(event_id, {"customerId": customer.customer_id}), b"key", headers)

    def of_event() -> list[SeenSpan]:
        """Return the event's trace once its final outcome is part of it."""
        told = [one for one in desk.stage.outcomes.of(event_id) if one.name == final]
        return observatory.collector.spans(told[0].headers["traceparent"].split("-")[1]) if told else []

    def works() -> list[SeenSpan]:
        found = [span for span in of_event() if span.kind == "CONSUMER"]
        return found if found and found[-1].outcome == final else []

    done = wait_until(works, "the event came to its end", evidence=desk.stage.tails)
    way = [names.activity, *names.retries][: failures // 2 + 1]
    assert [span.name for span in done] == [f"process {topic}" for topic in way]
    assert [span.outcome for span in done] == [*["DEFERRED"] * (len(way) - 1), final]
    assert [span.status for span in done] == [*["UNSET"] * (len(way) - 1), status]
    spans = of_event()
    if traced:
        assert done[0].trace == trace
        assert len({span.parent for span in done}) == 1
    else:
        assert [span.name for span in spans if span.parent == ""] == [f"process {names.activity}"]
    sends = [span.name for span in spans if span.kind == "PRODUCER" and span.outcome is None]
    letters = [names.dead_letters] if final == "DEAD_LETTERED" else []
    assert sends == [f"send {topic}" for topic in [*way[1:], *letters]]
    outcomes = [span.outcome for span in spans if span.kind == "PRODUCER" and span.outcome is not None]
    assert outcomes == [span.outcome for span in done]


def test_a_dead_letter(observatory: Observatory) -> None:
    """The work has failed, for the dead letter's reason; the record is dead-lettered under its own trace."""
    story = observatory.tell_value(b"nonsense", b"any")
    names = observatory.desk.stage.names
    assert [span.name for span in story.sends] == [f"send {names.dead_letters}", f"send {names.outcomes}"]
    assert (story.process.outcome, story.process.status) == ("DEAD_LETTERED", "ERROR")
    assert story.process.attributes["error.type"] == "malformed_event"
    (letter,) = observatory.desk.stage.dead_letters.of(story.told.record)
    assert letter.record.header("traceparent") == story.told.record.header("traceparent")


def test_a_record_without_a_trace_begins_one_that_goes_on(observatory: Observatory) -> None:
    """Where upstream names no trace the work begins one; a dead letter carries it, so that it goes on."""
    record = observatory.desk.tell(b"no trace", key=b"any").record
    name = f"process {observatory.desk.stage.names.activity}"
    offset = record.position.offset

    def root() -> list[SeenSpan]:
        spans = [span for span in observatory.collector.spans() if span.name == name]
        return [span for span in spans if span.attributes["messaging.kafka.offset"] == offset]

    (process,) = wait_until(root, "the trace has come")
    assert (process.parent, process.links) == ("", [])
    (letter,) = observatory.desk.stage.dead_letters.of(record)
    assert (letter.record.header("traceparent") or "").startswith(f"00-{process.trace}-")


def test_baggage_stays_where_it_is(observatory: Observatory) -> None:
    """Nobody knows what upstream packed: it must not reach an outcome or a span."""
    customer = observatory.desk.customer()
    story = observatory.tell(customer, ("baggage", b"mobile=919800012345"))
    assert "baggage" not in story.told.only.headers
    assert "919800012345" not in observatory.collector.everything()


def test_semantic_metrics(observatory: Observatory) -> None:
    """Metrics of the conventions are sent as well, without an id among their attributes."""
    observatory.tell(observatory.desk.customer())
    observatory.tell_value(b"nonsense", b"any")

    def sent() -> bool:
        found = observatory.collector.metrics()
        failed = [point for point in found.get("messaging.process.duration", ()) if "error.type" in point]
        return bool(failed) and len(found) >= 4

    wait_until(sent, "the metrics have come", evidence=lambda: str(observatory.collector.metrics()))
    found = observatory.collector.metrics()
    topic, outcomes = observatory.desk.stage.names.activity, observatory.desk.stage.names.outcomes
    process = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": "0",
        "messaging.consumer.group.name": observatory.desk.stage.names.group_id,
    }
    assert process in found["messaging.process.duration"]
    assert process | {"error.type": "malformed_event"} in found["messaging.process.duration"]
    assert process in found["messaging.client.consumed.messages"]
    assert {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.destination.name": outcomes,
    } in found["messaging.client.sent.messages"]
    assert {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": int(observatory.desk.simulator.api_url.rpartition(":")[2]),
        "http.response.status_code": 200,
    } in found["http.client.request.duration"]


def test_exemplars_lead_from_metrics_to_traces(observatory: Observatory) -> None:
    """A scraper that takes OpenMetrics finds a trace beside a figure; another gets the plain format."""
    story = observatory.tell(observatory.desk.customer())
    worker = observatory.desk.worker
    answer = worker.get("/metrics", accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert answer.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert answer.body.endswith("# EOF\n")
    (line,) = [at for at in answer.body.splitlines() if story.process.trace in at and "outcomes_total" in at]
    assert line.startswith('enrolment_outcomes_total{outcome="NO_PROMOTION_AVAILABLE"')
    assert worker.get("/metrics").content_type.startswith("text/plain; version=0.0.4")


def _told(attributes: dict[str, Any]) -> tuple[str | None, int | None, int | None]:
    named = ("enrolment.outcome", "enrolment.promotion.id", "enrolment.warning.code")
    outcome, promotion, code = (attributes.get(name) for name in named)
    return outcome, promotion, code


def _key(customer: Customer, promotion: Promotion) -> str:
    return enrolment_key(0, customer.customer_id, promotion.program_id, promotion.promotion_id)
