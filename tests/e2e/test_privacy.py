"""Names of people go in by every door; none comes out in a log line, span, metric or outcome."""

import json
import signal
from itertools import count, cycle
from typing import Final

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.otlp import collecting
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, Endpoint, RunningSimulator

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

_MARKS: Final = ("9770077", "marked77")
"""Part of every mobile number; of every address, external id, key and header. Compared in lower case."""
_NUMBERS: Final = count(10_000)
_FAULTS: Final = (
    ("api_error", Endpoint.LOOKUP),
    ("garbage", Endpoint.LOOKUP),
    ("html_502", Endpoint.LOOKUP),
    ("reset_before", Endpoint.LOOKUP),
    ("timeout_before", Endpoint.LOOKUP),
    ("unauthorised_401", Endpoint.LOOKUP),
    ("redirect_302", Endpoint.LOOKUP),
    ("throttle_429", Endpoint.LOOKUP),
    ("api_error", Endpoint.ISSUE),
    ("not_issued", Endpoint.ISSUE),
    ("warned", Endpoint.ISSUE),
    ("html_200", Endpoint.ISSUE),
    ("error_500_after_apply", Endpoint.ISSUE),
    ("reset_before", Endpoint.ISSUE),
    ("timeout_after_apply", Endpoint.ISSUE),
    ("forbidden_403", Endpoint.ISSUE),
)


def test_no_name_of_a_person_comes_out(lab: Lab, world_api: RunningSimulator) -> None:
    """Whatever happens to an event, and however much is logged, its customer's names stay inside."""
    with collecting() as (collector, variables), lab.stage(world_api.api_url) as stage:
        worker = stage.worker(
            LOG_LEVEL="DEBUG",
            API_TIMEOUT_SECONDS="1",
            RETRY_MAX_ATTEMPTS="2",
            RETRY_MAX_SECONDS="0.05",
            RETRY_DELAYS_SECONDS="0.5,0.5,0.5",
            OUTAGE_THRESHOLD="1000",
            OUTAGE_PROBE_SECONDS="0.2",
            ORG_ID="100",
            DRAIN_SECONDS="0.5",
            OTEL_TRACES_SAMPLER="always_on",
            **CREDENTIALS,
            **variables,
        )
        worker.wait_ready()
        desk = Desk(stage, world_api, worker)
        messages = [*_healthy(desk), *_failing(desk), *_useless()]
        stage.feed.send_all(messages)
        wait_until(
            lambda: stage.committed().get(0) == len(messages),
            "all is worked through",
            seconds=80,
            evidence=worker.tail,
        )
        # One more is in work when the process has to go, and gives it up.
        customer = _customer(desk)
        desk.fault("slow", customer, endpoint=Endpoint.LOOKUP, seconds=10.0)
        stage.feed.send(_event(customer, "mobile"), b"marked77-last")
        wait_until(lambda: desk.requests(customer), "it is in work")
        metrics = [worker.get("/metrics", accept=kind).body for kind in ("", "application/openmetrics-text")]
        worker.send(signal.SIGTERM)
        worker.wait(30)
        outcomes = stage.outcomes.read()
        letters = [json.dumps(letter.error) for letter in stage.dead_letters.read()]
        doors = {
            "log": worker.log(),
            "spans and metrics": collector.everything(),
            "/metrics": "".join(metrics),
            "outcomes": "".join(
                map(repr, [(o.record.key, o.record.value, o.record.headers) for o in outcomes])
            ),
            "reasons of dead letters": "".join(letters),
        }
    named = {outcome.name for outcome in outcomes}
    assert named >= {"ENROLLED", "LIMIT_EXHAUSTED", "REJECTED", "CUSTOMER_NOT_FOUND", "DEAD_LETTERED"}
    assert "API call failed" in doors["log"]
    assert "url.full" in doors["spans and metrics"]
    for name, text in doors.items():
        assert text, name
        found = [line for line in text.lower().splitlines() if any(mark in line for mark in _MARKS)]
        assert not found, f"{name}: {found[:3]}"


def _healthy(desk: Desk) -> list[Message]:
    """Return events that end well, by each name of a customer, under keys and headers that are names too."""
    messages = []
    for name in ("mobile", "email", "externalId"):
        customer = _customer(desk)
        headers = (("marked77", b"marked77"), ("baggage", b"who=marked77@pii.example"))
        messages.append(Message(_event(customer, name), (customer.mobile or "").encode(), headers))
    return messages


def _failing(desk: Desk) -> list[Message]:
    """Return events of which a request fails, in each way, for good or twice."""
    messages = []
    for (fault, endpoint), name in zip(_FAULTS, cycle(("mobile", "email", "externalId"))):
        customer = _customer(desk)
        desk.fault(fault, customer, endpoint=endpoint, count=2, seconds=0.2)
        messages.append(Message(_event(customer, name), b"marked77-%d" % next(_NUMBERS)))
    return messages


def _useless() -> list[Message]:
    """Return records that lead to no request, or to nobody."""
    marked = {"mobile": "919770077001", "email": "marked77@pii.example", "externalId": "MARKED77"}
    values = [
        b'{"customer": {"mobile": "919770077001", "email": "marked77@pii.example"',
        b"marked77@pii.example 919770077001",
        json.dumps([marked]).encode(),
        json.dumps(marked).encode(),
        event(unique("event"), {name: [value] for name, value in marked.items()}),
        event(unique("event"), {"mobile": "919770077001" * 60}),
        event(unique("event"), {"email": "marked77\u0000@pii.example"}),
        event(unique("event"), {"mobile": "919770077999"}),
        event(unique("event"), marked, orgId=100),
        event(unique("event"), marked, name="somethingElse"),
        event(unique("event"), marked, occurred="marked77"),
    ]
    return [Message(value, b"marked77") for value in values]


def _customer(desk: Desk) -> Customer:
    number = next(_NUMBERS)
    customer = desk.customer(
        mobile=f"919770077{number}",
        email=f"marked77.{number}@pii.example",
        external_id=f"MARKED77-{number}",
    )
    desk.promotion(customer)
    return customer


def _event(customer: Customer, name: str) -> bytes:
    names = {"mobile": customer.mobile, "email": customer.email, "externalId": customer.external_id}
    return event(unique("event"), {name: names[name], "source": "INSTORE"})
