"""The worker under OpenTelemetry's auto-instrumentation, as operators inject it: its spans are ours alone."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from tests.support.e2e.events import event
from tests.support.e2e.feeds import OutcomeRecord
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.otlp import Collector, collecting
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, Promotion, World

pytestmark = pytest.mark.timeout(90)

_ROOT = Path(__file__).resolve().parents[2]
_SITE = Path(sys.prefix, "lib", f"python3.{sys.version_info.minor}", "site-packages")
_INJECTED = _SITE / "opentelemetry" / "instrumentation" / "auto_instrumentation"
"""What `opentelemetry-instrument` and the operator put before PYTHONPATH."""


@dataclass(frozen=True)
class _Scene:
    stage: Stage
    collector: Collector
    trace: str
    mobile: str


@pytest.fixture(scope="module")
def scene(lab: Lab) -> Iterator[_Scene]:
    """Let one customer, named by mobile number and with it as the key, be enrolled under injection."""
    world = World.with_customers(1, Promotion(promotion_id=1))
    mobile = Customer.synthetic(1).mobile
    assert mobile is not None
    with (
        lab.simulator(world) as simulator,
        collecting("http/protobuf") as (collector, variables),
        lab.stage(simulator.api_url) as stage,
    ):
        injected = {"OTEL_SERVICE_NAME": "injected"}
        path = os.pathsep.join(map(str, (_INJECTED, _ROOT)))
        worker = stage.worker(PYTHONPATH=path, **injected, **variables, **CREDENTIALS)
        worker.wait_ready()
        trace = token_hex(16)
        twice = [("traceparent", f"00-{trace}-{token_hex(8)}-01".encode()) for _ in range(2)]
        stage.feed.send(event("one", {"mobile": mobile}), mobile.encode(), tuple(twice))
        stage.wait_for_outcomes(["one"])
        assert worker.stop() == 0, worker.tail()
        yield _Scene(stage, collector, trace, mobile)


def test_no_span_is_doubled(scene: _Scene) -> None:
    """One span for each request, each record read and each record sent."""
    wait_until(lambda: scene.collector.spans(scene.trace), "the spans have come")
    kinds = Counter(span.kind for span in scene.collector.spans(scene.trace))

    # Read, looked up and enrolled, told.
    assert kinds == {"CONSUMER": 1, "CLIENT": 2, "PRODUCER": 1}
    others = [span for span in scene.collector.spans() if span.trace != scene.trace and span.kind != "SERVER"]
    # The API's time is asked for once, before any event.
    (sounding,) = others
    assert str(sounding.attributes["url.full"]).endswith("/promotions/list")
    assert {span.resource["service.name"] for span in scene.collector.spans()} == {"injected"}


def test_no_span_holds_an_identifier(scene: _Scene) -> None:
    """Neither an address nor a key."""
    assert scene.mobile not in json.dumps([span.attributes for span in scene.collector.spans()])


def test_outcomes_have_one_traceparent(scene: _Scene) -> None:
    """Also of an event that has two."""
    (outcome,) = scene.stage.outcomes.of("one")
    assert isinstance(outcome, OutcomeRecord)
    assert [name for name, _ in outcome.record.headers].count("traceparent") == 1
    assert scene.trace in outcome.headers["traceparent"]
