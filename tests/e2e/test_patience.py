"""Who waits for the API is not stuck, and who is stuck ends with 70: with a patience of seconds."""

import socket
import sys
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.e2e.breakable import Breakable
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.impatient_worker import BLOCKED_AT, PATIENCE
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess, environment
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, FaultRule, Promotion, RunningSimulator, World

pytestmark = [pytest.mark.timeout(120), pytest.mark.long]

_PATIENCE: Final = 6.0
"""Longer than a start takes."""
_PROBE_FAILS: Final = 10 * _PATIENCE / 2
"""After so long with one event that gives no sign of life."""
_CUSTOMERS: Final = range(830_000, 830_003)


class ImpatientWorker(WorkerProcess):
    """A worker with a short patience."""

    def start(self, **changed: str) -> None:
        """Start it; with `BLOCKED_AT` among the settings its event loop blocks there."""
        settings = self.settings | changed
        surroundings = environment({name: settings[name] for name in settings if name != BLOCKED_AT})
        surroundings |= {PATIENCE: str(_PATIENCE), BLOCKED_AT: settings.get(BLOCKED_AT, "")}
        command = [sys.executable, "-m", "tests.support.e2e.impatient_worker"]
        self._process = self._household.start(self._name, command, surroundings)


@pytest.fixture
def quiet(lab: Lab) -> Iterator[tuple[Stage, RunningSimulator]]:
    """Give a stage with three customers, and an API of its own."""
    world = World([Promotion(promotion_id=63_000)])
    for customer in _CUSTOMERS:
        world.customers.add(Customer.synthetic(customer))
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        yield stage, simulator


def _worker(stage: Stage, **settings: str) -> ImpatientWorker:
    worker = ImpatientWorker(
        stage.lab.household, stage.settings | CREDENTIALS | {"RETRY_MAX_SECONDS": "0.5"} | settings
    )
    worker.start()
    worker.wait_ready()
    return worker


def _send(stage: Stage) -> list[str]:
    ids = [f"patience-{customer}" for customer in _CUSTOMERS]
    stage.feed.send_all(
        Message(event(event_id, {"customerId": customer}), b"%d" % customer)
        for event_id, customer in zip(ids, _CUSTOMERS, strict=True)
    )
    return ids


def test_an_outage_on_a_quiet_worker_is_no_failure(quiet: tuple[Stage, RunningSimulator]) -> None:
    """Three events are too few to open a circuit; they wait all the same, and `/live` is 200."""
    stage, simulator = quiet
    worker = _worker(stage)
    try:
        stage.lab.loop.call(lambda: simulator.faults.replace(FaultRule(name="error_503")))
        events = _send(stage)
        until, seen = time.monotonic() + _PROBE_FAILS + 5.0, set[int]()
        while time.monotonic() < until:
            assert worker.poll() is None, worker.tail()
            seen.add(worker.get("/live").status)
            time.sleep(0.5)
        assert seen == {200}
        assert worker.metric("enrolment_api_outage") == 0, "it is too quiet to be taken for an outage"
        stage.lab.loop.call(simulator.faults.replace)
        stage.wait_for_outcomes(events)
        assert {outcome.name for outcome in stage.outcomes.read()} == {"ENROLLED"}
    finally:
        worker.close()


def test_a_start_that_waits_for_kafka_is_not_stuck(breakable: Breakable) -> None:
    """Kafka goes away while the API is asked for its time: the application waits longer than its patience."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        api = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with breakable.lab.stage(api) as stage:
            worker = ImpatientWorker(stage.lab.household, stage.settings | CREDENTIALS)
            worker.start()
            try:
                wait_until(lambda: '"starting"' in worker.log(), "it is prepared", evidence=worker.tail)
                breakable.broker.kill()
                wait_until(lambda: "waits for Kafka" in worker.log(), "it waits", evidence=worker.tail)
                until, seen = time.monotonic() + 2.5 * _PATIENCE, set[int]()
                while time.monotonic() < until:
                    assert worker.poll() is None, worker.tail()
                    seen.add(worker.get("/live").status)
                    time.sleep(0.5)
                assert seen == {200}
                breakable.broker.restart()
                worker.wait_ready(60.0)
            finally:
                worker.close()


def test_an_event_loop_that_is_blocked_ends_the_process_with_70(
    quiet: tuple[Stage, RunningSimulator],
) -> None:
    """Nothing else would notice: heartbeats go on by their own thread, and the partitions stay here."""
    stage, _ = quiet
    worker = _worker(stage, **{BLOCKED_AT: "answered"})
    try:
        _send(stage)
        assert worker.wait(30.0) == 70
        wait_until(lambda: "the event loop is blocked" in worker.log(), "it says so", evidence=worker.tail)
    finally:
        worker.close()
