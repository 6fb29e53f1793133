"""Told to stop at any moment, the worker ends with 0 within DRAIN_SECONDS and five more."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pytest

from tests.support.e2e.breakable import Breakable
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess, environment
from tests.support.waiting import wait_until
from worker.demo.broker import Broker
from worker.demo.ports import HOST, free_ports
from worker.demo.simulator import Customer, FaultRule, Promotion, RunningSimulator, World

pytestmark = pytest.mark.timeout(120)

_DRAIN: Final = 3.0
_WITHIN: Final = _DRAIN + 5.0
_LISTENS_SECONDS: Final = 15.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_MOMENTS: Final = (0.0, 0.3, 0.8, 1.5, 3.0)
"""Seconds after it began to listen: imports, the first question to Kafka, topics, joining, the ledger."""

Kafka = Literal["present", "frozen", "killed"]


@pytest.fixture
def stage(breakable: Breakable) -> Iterator[tuple[Stage, RunningSimulator, Broker]]:
    """Give a stage, its API, and the broker, which serves again afterwards."""
    lab, broker = breakable.lab, breakable.broker
    world = World([Promotion(promotion_id=62_000)])
    for number in range(5):
        world.customers.add(Customer.synthetic(820_000 + number))
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        try:
            yield stage, simulator, broker
        finally:
            broker.thaw()
            if not _serves(broker):
                broker.restart()


@pytest.fixture
def silent_port() -> Iterator[str]:
    """Give an address that accepts connections and never answers."""
    with socket.create_server((HOST, 0)) as server:
        yield f"{HOST}:{server.getsockname()[1]}"


@pytest.mark.parametrize("number", _SIGNALS)
def test_a_start_without_kafka_is_ended_at_once(
    lab: Lab, tmp_path: Path, silent_port: str, number: signal.Signals
) -> None:
    """While it imports, and while it waits for a Kafka that does not answer."""
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": silent_port,
        "API_BASE_URL": "http://127.0.0.1:9",
        "STATE_DIR": str(tmp_path),
        "DRAIN_SECONDS": str(_DRAIN),
        **CREDENTIALS,
    }
    worker = WorkerProcess(lab.household, settings)
    for moment in _MOMENTS:
        worker.start()
        _listens(worker)
        time.sleep(moment)
        _stops(worker, number, within=1.0)


@pytest.mark.long
@pytest.mark.parametrize("number", _SIGNALS)
@pytest.mark.parametrize("kafka", ["present", "frozen"])
def test_a_start_is_ended_at_any_moment(
    stage: tuple[Stage, RunningSimulator, Broker], kafka: Kafka, number: signal.Signals
) -> None:
    """With a Kafka that serves: topics, joining, the ledger. With one that accepts and says nothing."""
    place, _, broker = stage
    if kafka == "frozen":
        broker.freeze()
    worker = WorkerProcess(place.lab.household, place.settings | CREDENTIALS | {"DRAIN_SECONDS": str(_DRAIN)})
    try:
        for moment in _MOMENTS:
            worker.start()
            _listens(worker)
            time.sleep(moment)
            _stops(worker, number)
    finally:
        worker.close()


@pytest.mark.parametrize(
    ("kafka", "number"),
    [
        ("killed", signal.SIGINT),
        ("frozen", signal.SIGTERM),
        pytest.param("present", signal.SIGINT, marks=pytest.mark.long),
        pytest.param("killed", signal.SIGTERM, marks=pytest.mark.long),
        pytest.param("frozen", signal.SIGINT, marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("work", ["idle", "in work"])
def test_a_worker_is_ended_whatever_it_waits_for(
    stage: tuple[Stage, RunningSimulator, Broker], work: str, kafka: Kafka, number: signal.Signals
) -> None:
    """With Kafka away or silent, with an API that does not answer, told once or again and again."""
    place, simulator, broker = stage
    worker = place.worker(DRAIN_SECONDS=str(_DRAIN), OUTAGE_THRESHOLD="2", **CREDENTIALS)
    worker.wait_ready()
    if work == "in work":
        _leave_unanswered(place, simulator)
        place.feed.send_all(
            Message(event(f"stop-{n}", {"customerId": 820_000 + n}), b"%d" % n) for n in range(5)
        )
        wait_until(lambda: worker.metric("enrolment_in_flight") == 5, "all is in work", evidence=worker.tail)
    if kafka == "killed":
        broker.kill()
        time.sleep(1.5)
    elif kafka == "frozen":
        broker.freeze()
    _stops(worker, number, again=work == "in work")


@pytest.mark.parametrize("number", _SIGNALS)
def test_process_1_of_a_container_hears_it_too(
    tmp_path: Path, silent_port: str, number: signal.Signals
) -> None:
    """What has no handler the kernel drops for process 1: so there is one before anything else."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("a PID namespace needs unshare and root")
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": silent_port,
        "API_BASE_URL": "http://127.0.0.1:9",
        "STATE_DIR": str(tmp_path),
        "HTTP_PORT": str(free_ports(1)[0]),
        **CREDENTIALS,
    }
    isolated = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    for moment in (0.0, 0.3, 1.5):
        with subprocess.Popen(  # noqa: S603 - our own command
            [*isolated, sys.executable, "-m", "worker", "run"],
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as outer:
            first = _listening_child(outer.pid)
            time.sleep(moment)
            os.kill(first, number)
            try:
                status = outer.wait(2.0)
            except subprocess.TimeoutExpired:
                outer.kill()
                raise
            assert outer.stdout is not None
            assert (status, "Traceback" in outer.stdout.read().decode()) == (0, False)


def _serves(broker: Broker) -> bool:
    host, _, port = broker.bootstrap_servers.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1.0):
            return True
    except OSError:
        return False


def _listens(worker: WorkerProcess) -> None:
    wait_until(
        lambda: worker.poll() is not None or _blocks(worker.pid),
        "it listens",
        seconds=_LISTENS_SECONDS,
        evidence=worker.tail,
    )


def _stops(
    worker: WorkerProcess, number: signal.Signals, *, within: float = _WITHIN, again: bool = False
) -> None:
    """Tell it to stop, and look at how it does."""
    began = time.monotonic()
    worker.send(number)
    while again and worker.poll() is None and time.monotonic() - began < within:
        time.sleep(0.5)
        worker.send(number)
    status = worker.wait(within + 30)
    took = time.monotonic() - began
    assert status == 0, worker.tail()
    assert took < within, f"{took:.1f} s\n{worker.tail()}"
    assert "Traceback" not in worker.log(), worker.tail()


def _blocks(pid: int) -> bool:
    """Whether it is our process, and keeps SIGTERM for a thread that waits for it, as Linux shows it."""
    if not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(os.fsencode(sys.executable)):
        return False
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:"))
    return bool(int(mask, 16) & 1 << (signal.SIGTERM - 1))


def _listening_child(pid: int) -> int:
    child = wait_until(lambda: _child(pid), "it runs")
    assert child is not None
    wait_until(lambda: _blocks(child), "it listens", seconds=_LISTENS_SECONDS)
    return child


def _child(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


def _leave_unanswered(stage: Stage, simulator: RunningSimulator) -> None:
    stage.lab.loop.call(lambda: simulator.faults.replace(FaultRule(name="timeout_before")))
