"""Settings that only the brokers or the system know to be bad: one line with the remedy, exit 2."""

import socket

import pytest

from tests.support.e2e.breakable import breakable_lab
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.worker_process import WorkerProcess
from worker.demo import apache_kafka

pytestmark = pytest.mark.timeout(120)

_API = "http://127.0.0.1:9"


def _refused(worker: WorkerProcess) -> str:
    """Wait for its end; return the line that says why."""
    assert worker.wait(40.0) == 2, worker.tail()
    assert "Traceback" not in worker.log(), worker.tail()
    (line,) = [line for line in worker.log().splitlines() if line.startswith("enrolment-worker: ")]
    return line.removeprefix("enrolment-worker: ")


def test_a_session_time_out_that_the_brokers_do_not_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found out when it joins the group; it does not idle there for ever."""
    monkeypatch.setitem(apache_kafka.SETTINGS, "group.max.session.timeout.ms", "5000")
    with breakable_lab() as own, own.lab.stage(_API) as stage:
        line = _refused(stage.worker(**CREDENTIALS))
    assert line.startswith("ENROLMENT_KAFKA_SESSION_TIMEOUT_SECONDS is 6, which the brokers do not allow; ")


def test_more_replicas_than_there_are_brokers(lab: Lab) -> None:
    """Found out when the worker creates its topics."""
    with lab.stage(_API) as stage:
        line = _refused(stage.worker(TOPIC_REPLICATION_FACTOR="9", **CREDENTIALS))
    assert line.endswith("; lower ENROLMENT_TOPIC_REPLICATION_FACTOR to the number of brokers")


def test_an_http_port_that_is_taken(lab: Lab) -> None:
    """Found out before Kafka is asked for anything."""
    with socket.create_server(("127.0.0.1", 0)) as server, lab.stage(_API) as stage:
        port = str(server.getsockname()[1])
        line = _refused(stage.worker(HTTP_PORT=port, **CREDENTIALS))
    assert line.startswith(
        f"ENROLMENT_HTTP_PORT is {port}, and another process listens there on 127.0.0.1; stop"
    )
