"""A start while Kafka is away, or is not whole yet: it waits, says for what, and can be stopped."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.support.e2e.breakable import Breakable, breakable_lab
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.waiting import wait_until
from worker.demo.ports import HOST, free_ports

pytestmark = pytest.mark.timeout(180)

_API = "http://127.0.0.1:9"
_WAITS = "the start waits for Kafka"


@pytest.fixture(scope="module")
def kafka_of_its_own() -> Iterator[Breakable]:
    """Give a broker that tests of this module stop and start."""
    with breakable_lab() as breakable:
        yield breakable


@pytest.fixture
def stage(kafka_of_its_own: Breakable) -> Iterator[Stage]:
    """Give a stage on it; the broker serves before and after."""
    with kafka_of_its_own.lab.stage(_API) as stage:
        try:
            yield stage
        finally:
            kafka_of_its_own.broker.restart()


@contextmanager
def _mute() -> Iterator[str]:
    """Give the address of a server that takes connections and says nothing."""
    with socket.create_server((HOST, 0)) as server:
        yield f"{HOST}:{server.getsockname()[1]}"


def _lines(worker: WorkerProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in worker.log().splitlines()]


def _ask(worker: WorkerProcess, path: str) -> tuple[int, str]:
    """Ask its port, which answers as soon as the process is there."""

    def answer() -> tuple[int, str] | None:
        try:
            found = worker.get(path)
        except OSError:
            return None
        return found.status, found.body

    return wait_until(answer, f"{path} is answered", evidence=worker.tail) or (0, "")


def _wait_for_the_wait(worker: WorkerProcess) -> None:
    wait_until(lambda: _WAITS in worker.log(), "it waits", evidence=worker.tail)


@pytest.mark.long
def test_a_broker_that_comes_up_15_s_after_the_worker(kafka_of_its_own: Breakable, stage: Stage) -> None:
    """It tells every ten seconds what it waits for, is alive and not ready, and then works."""
    kafka_of_its_own.broker.kill()
    worker = stage.worker(**CREDENTIALS)
    _wait_for_the_wait(worker)
    began = time.monotonic()
    address = stage.settings["KAFKA_BOOTSTRAP_SERVERS"]
    assert _ask(worker, "/live") == (200, "live")
    why = f"Kafka at {address} gave no answer: Connection refused"
    assert _ask(worker, "/ready") == (503, f"not ready: waiting for Kafka, to look at the topics: {why}")
    assert "enrolment_in_flight" in _ask(worker, "/metrics")[1]
    wait_until(lambda: time.monotonic() - began > 15, "15 s are over")
    assert worker.poll() is None, worker.tail()
    kafka_of_its_own.broker.restart()
    worker.wait_ready()
    told = [line for line in _lines(worker) if line["message"] == _WAITS]
    assert [line["waited_seconds"] for line in told][:2] == [0, 10]
    assert told[1]["left_seconds"] == 290
    assert {(line["servers"], line["why"]) for line in told[:2]} == {(address, why)}
    assert worker.stop() == 0, worker.tail()


def test_told_to_stop_while_it_waits(kafka_of_its_own: Breakable, stage: Stage) -> None:
    """At once, with 0 and without a traceback."""
    kafka_of_its_own.broker.kill()
    worker = stage.worker(**CREDENTIALS)
    _wait_for_the_wait(worker)
    began = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - began < 2
    assert "Traceback" not in worker.log()


def test_the_time_to_wait_is_over(kafka_of_its_own: Breakable, stage: Stage) -> None:
    """Exit status 1, and one line with how long it waited and for what."""
    kafka_of_its_own.broker.kill()
    worker = stage.worker(START_WAIT_SECONDS="3", **CREDENTIALS)
    assert worker.wait(30) == 1
    last = _lines(worker)[-1]
    assert re.fullmatch(
        r"waited 3 s for Kafka, to look at the topics: Kafka at \S+ gave no answer: Connection refused",
        last["message"],
    )
    assert "Traceback" not in worker.log()


def test_each_of_the_servers_named_is_tried(stage: Stage) -> None:
    """One lives, in each place; the others are dead, mute, or of a name that leads nowhere."""
    alive = stage.settings["KAFKA_BOOTSTRAP_SERVERS"]
    with ExitStack() as stack:
        dead = [f"{HOST}:{port}" for port in free_ports(2)]
        mute = [stack.enter_context(_mute()) for _ in range(2)]
        nameless = ["nowhere.invalid:9092", dead[0]]
        for place, others in [(0, dead), (1, dead), (2, dead), (2, mute), (1, nameless)]:
            servers = [*others[:place], alive, *others[place:]]
            worker = stage.worker(KAFKA_BOOTSTRAP_SERVERS=",".join(servers), **CREDENTIALS)
            worker.wait_ready()
            assert _WAITS not in worker.log(), worker.tail()
            assert worker.stop() == 0, worker.tail()


def test_a_missing_activity_topic_is_not_waited_for(stage: Stage) -> None:
    """Once the listing was asked for three times: that of a broker that has just started may lack some."""
    worker = stage.worker(ACTIVITY_TOPIC="misspelt", **CREDENTIALS)
    assert worker.wait(30) == 1
    told = [line for line in _lines(worker) if line["level"] not in ("info", "warning")]
    assert [line["message"].partition(";")[0] for line in told] == ["topic misspelt does not exist"]
    assert _WAITS not in worker.log()


@pytest.mark.long
def test_kafka_goes_away_between_the_preparations_and_the_application(
    kafka_of_its_own: Breakable, stage: Stage
) -> None:
    """The time that the API is asked for is the moment: the application's own clients then wait too."""
    with _mute() as api:
        worker = stage.worker(**CREDENTIALS, API_BASE_URL=f"http://{api}")
        wait_until(lambda: '"starting"' in worker.log(), "it is prepared", evidence=worker.tail)
        kafka_of_its_own.broker.kill()
        _wait_for_the_wait(worker)
        assert _ask(worker, "/live") == (200, "live")
        assert _ask(worker, "/ready")[1].startswith("not ready: waiting for Kafka, to connect the producer: ")
        kafka_of_its_own.broker.restart()
        worker.wait_ready(60)
        assert worker.stop() == 0, worker.tail()
        assert "Traceback" not in worker.log()


@pytest.mark.long
def test_told_to_stop_while_the_application_waits(kafka_of_its_own: Breakable, stage: Stage) -> None:
    """As before there is an application; and when the time is over it ends with its line."""
    with _mute() as api:
        worker = stage.worker(**CREDENTIALS, API_BASE_URL=f"http://{api}")
        wait_until(lambda: '"starting"' in worker.log(), "it is prepared", evidence=worker.tail)
        kafka_of_its_own.broker.kill()
        _wait_for_the_wait(worker)
        began = time.monotonic()
        assert worker.stop() == 0, worker.tail()
        assert time.monotonic() - began < 5
        assert "Traceback" not in worker.log(), worker.tail()


@pytest.mark.long
def test_the_time_of_the_application_is_over(kafka_of_its_own: Breakable, stage: Stage) -> None:
    """It ends with 1 and one line, as the preparations do."""
    with _mute() as api:
        worker = stage.worker(**CREDENTIALS, API_BASE_URL=f"http://{api}", START_WAIT_SECONDS="4")
        wait_until(lambda: '"starting"' in worker.log(), "it is prepared", evidence=worker.tail)
        kafka_of_its_own.broker.kill()
        assert worker.wait(40) == 1, worker.tail()
        assert "waited 4 s for Kafka, to connect the producer: " in _lines(worker)[-1]["message"]
        assert "Traceback" not in worker.log(), worker.tail()


@pytest.mark.long
def test_events_are_handled_after_the_wait(kafka_of_its_own: Breakable, stage: Stage) -> None:
    """What lay there before the outage has its outcome."""
    stage.feed.send(event("before", {}), b"key")
    kafka_of_its_own.broker.kill()
    worker = stage.worker(**CREDENTIALS)
    _wait_for_the_wait(worker)
    kafka_of_its_own.broker.restart()
    worker.wait_ready()
    stage.wait_for_outcomes(["before"])
    assert worker.stop() == 0, worker.tail()
