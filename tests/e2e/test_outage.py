"""The API is down, refuses our credentials, or throttles: waited out, and nothing but time is lost."""

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, FaultRule, Promotion, RunningSimulator, World
from worker.demo.simulator.pace import Throttle

pytestmark = pytest.mark.timeout(120)

_CUSTOMERS: Final = [Customer.synthetic(810_000 + number) for number in range(40)]
_PROBE: Final = 1.0


@pytest.fixture
def calm(lab: Lab) -> Iterator[tuple[Stage, RunningSimulator]]:
    """Give a stage and an API of its own, which a test may take down for everybody."""
    world = World([Promotion(promotion_id=61_000)])
    for customer in _CUSTOMERS:
        world.customers.add(customer)
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url, partitions=2) as stage:
        yield stage, simulator


@pytest.mark.parametrize(
    ("fault", "seconds"), [("error_503", 8.0), pytest.param("unauthorised_401", 3.0, marks=pytest.mark.long)]
)
def test_an_outage_longer_than_the_session_costs_nothing_but_time(
    calm: tuple[Stage, RunningSimulator], fault: str, seconds: float
) -> None:
    """Consumption pauses, a request a probe is made, the probes of health are fine; then all are enrolled."""
    stage, simulator = calm
    worker = stage.worker(
        OUTAGE_THRESHOLD="5", OUTAGE_PROBE_SECONDS=str(_PROBE), MAX_IN_FLIGHT="16", **CREDENTIALS
    )
    worker.wait_ready()
    down(stage, simulator, fault)
    events = send(stage, 300)
    wait_until(
        lambda: worker.metric("enrolment_api_outage") == 1, "the outage is noticed", evidence=stage.tails
    )
    time.sleep(1.0)
    before, since = asked(stage, simulator), time.monotonic()
    time.sleep(seconds)
    tried = asked(stage, simulator) - before
    assert 1 <= tried <= 2 * (time.monotonic() - since) / _PROBE, "the API is not left alone"
    assert (worker.get("/live").status, worker.get("/ready").status) == (200, 200)
    assert worker.metric("enrolment_in_flight") <= 16

    up(stage, simulator)
    stage.wait_for_outcomes(events)
    assert worker.metric("enrolment_api_outage") == 0
    told = {each.event_id: each.name for each in stage.outcomes.read()}
    assert {told[each] for each in events} == {"ENROLLED", "ALREADY_ENROLLED"}
    assert stage.dead_letters.read() == []
    assert {each.name for each in stage.outcomes.read()} == {"ENROLLED", "ALREADY_ENROLLED"}
    lines = [json.loads(line) for line in worker.log().splitlines() if line.startswith("{")]
    said = [line for line in lines if line["level"] == "error" and "taken for down" in line["message"]]
    assert len(said) == 1, "one clear line a minute"
    if fault == "unauthorised_401":
        assert "correct the API credentials" in said[0]["remedy"]


@pytest.mark.long
def test_a_worker_told_to_stop_in_an_outage_ends_soon_and_loses_nothing(
    calm: tuple[Stage, RunningSimulator],
) -> None:
    """SIGTERM does not wait for the API; the next worker goes on where this one was."""
    stage, simulator = calm
    first = stage.worker(OUTAGE_THRESHOLD="5", OUTAGE_PROBE_SECONDS="1", **CREDENTIALS)
    first.wait_ready()
    down(stage, simulator, "error_503")
    events = send(stage, 60)
    wait_until(
        lambda: first.metric("enrolment_api_outage") == 1, "the outage is noticed", evidence=stage.tails
    )
    begun = time.monotonic()
    first.send(signal.SIGTERM)
    assert first.wait(20.0) == 0
    assert time.monotonic() - begun < 10.0
    up(stage, simulator)
    stage.worker(**CREDENTIALS).wait_ready()
    stage.wait_for_outcomes(events)
    assert stage.dead_letters.read() == []


def test_a_few_customers_in_an_outage_are_not_deferred_either(calm: tuple[Stage, RunningSimulator]) -> None:
    """Fewer than the threshold open no circuit; their events wait all the same while nobody is served."""
    stage, simulator = calm
    worker = stage.worker(
        RETRY_MAX_ATTEMPTS="2", RETRY_MAX_SECONDS="0.1", RETRY_DELAYS_SECONDS="1,1,1", **CREDENTIALS
    )
    worker.wait_ready()
    down(stage, simulator, "error_500")
    events = send(stage, 3)
    time.sleep(6.0)
    assert [each.name for each in stage.outcomes.read()] == []
    up(stage, simulator)
    stage.wait_for_outcomes(events)
    assert {each.name for each in stage.outcomes.read()} == {"ENROLLED"}


@pytest.mark.long
def test_the_group_keeps_its_budget_through_a_rebalance(calm: tuple[Stage, RunningSimulator]) -> None:
    """Two replicas, the second joining in the middle: no 20 s have more requests than their share and 2 %."""
    stage, simulator = calm
    settings = CREDENTIALS | {"API_REQUESTS_PER_MINUTE": "1200", "HTTP_HOST": "127.0.0.1"}
    stage.worker(**settings).wait_ready()
    events = send(stage, 600)
    time.sleep(12.0)
    stage.worker(STATE_DIR=f"{stage.settings['STATE_DIR']}-2", **settings).wait_ready()
    stage.wait_for_outcomes(events, seconds=60.0)
    log = stage.lab.loop.call(lambda: list(simulator.requests.log))
    times = sorted(each.at for each in log)
    window = timedelta(seconds=20)
    busiest = max(sum(1 for other in times if at <= other < at + window) for at in times)
    assert busiest <= 400 * 1.02, f"{busiest} requests in 20 s"
    assert busiest >= 400 * 0.8, f"only {busiest} requests in 20 s: the budget is not made use of"


@pytest.mark.long
def test_throttling_slows_the_whole_replica_down(calm: tuple[Stage, RunningSimulator]) -> None:
    """An API that allows 20 requests a second is asked for little more, and every event is enrolled."""
    stage, simulator = calm
    stage.lab.loop.call(lambda: throttle(simulator, 100, timedelta(seconds=5)))
    stage.worker(**CREDENTIALS).wait_ready()
    events = send(stage, 200)
    stage.wait_for_outcomes(events, seconds=60.0)
    log = stage.lab.loop.call(lambda: list(simulator.requests.log))
    refused = sum(1 for each in log if each.result == "throttled")
    assert {each.name for each in stage.outcomes.read()} == {"ENROLLED", "ALREADY_ENROLLED"}
    assert refused <= 0.4 * len(log), f"{refused} of {len(log)} requests were throttled"


def throttle(simulator: RunningSimulator, requests: int, window: timedelta) -> None:
    """Let the API allow so many requests a window."""
    simulation = simulator.simulation
    simulation.settings = replace(simulation.settings, throttle=Throttle(requests, window))


def send(stage: Stage, count: int) -> list[str]:
    """Put so many events on the activity topic, over all customers; return their ids."""
    ids = [unique("event") for _ in range(count)]
    messages = []
    for number, event_id in enumerate(ids):
        customer = _CUSTOMERS[number % len(_CUSTOMERS)].customer_id
        messages.append(Message(event(event_id, {"customerId": customer}), str(customer).encode()))
    stage.feed.send_all(messages)
    return ids


def down(stage: Stage, simulator: RunningSimulator, fault: str) -> None:
    """Let every request fail."""
    stage.lab.loop.call(lambda: simulator.faults.replace(FaultRule(name=fault)))


def up(stage: Stage, simulator: RunningSimulator) -> None:
    """Let every request be served."""
    stage.lab.loop.call(simulator.faults.replace)


def asked(stage: Stage, simulator: RunningSimulator) -> int:
    """Return how many requests the API has had."""
    return stage.lab.loop.call(lambda: simulator.requests.total)
