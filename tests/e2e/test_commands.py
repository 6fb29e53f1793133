"""The program at its edges: refused settings, missing Kafka, and what answers on its port."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.worker_process import environment
from tests.support.kafka.brokers import create_topic, delete_topics, unique
from worker.demo.broker import Broker
from worker.demo.ports import HOST, free_ports

_PATIENCE_SECONDS = 60.0
_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class _Ended:
    status: int
    out: str
    err: str
    seconds: float


def _program(*arguments: str, **settings: str) -> _Ended:
    """Run the program to its end with these settings and no others."""
    started = time.monotonic()
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "worker", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    return _Ended(ended.returncode, ended.stdout, ended.stderr, time.monotonic() - started)


def test_version() -> None:
    """The program must know its version."""
    assert _program("--version").out == f"enrolment-worker {version('enrolment-worker')}\n"


@pytest.mark.parametrize(
    ("settings", "faults"),
    [
        (
            {},
            [
                r"ENROLMENT_KAFKA_BOOTSTRAP_SERVERS is required; .*",
                r"ENROLMENT_API_BASE_URL is required; .*",
                r".*ENROLMENT_API_USERNAME.*ENROLMENT_API_CLIENT_KEY.*",
            ],
        ),
        ({"KAFKA_BOOTSTRAP_SERVER": "k:1"}, [r".*did you mean ENROLMENT_KAFKA_BOOTSTRAP_SERVERS\?"]),
        ({"MAX_INFLIGHT": "5"}, [r"ENROLMENT_MAX_INFLIGHT .*did you mean ENROLMENT_MAX_IN_FLIGHT\?"]),
        ({"API_PASWORD_FILE": "x"}, [r".*did you mean ENROLMENT_API_PASSWORD_FILE\?"]),
        (
            {"HTTP_PORT": "http", "DRAIN_SECONDS": "-1", "REENROL": "twice"},
            [r".*ENROLMENT_REENROL.*once.*", r".*ENROLMENT_DRAIN_SECONDS.*", r".*ENROLMENT_HTTP_PORT.*"],
        ),
        (
            {"DRY_RUN": "true"},
            [r"ENROLMENT_GROUP_ID is required .*", r"ENROLMENT_OUTCOME_TOPIC is required .*"],
        ),
        ({"REENROL": "after-expiry", "API_VERSION": "v2.1", "API_DATA_SCOPE": "SELF"}, [r".*timelines.*"]),
        (
            {"API_ATTRIBUTION_ENTITY_TYPE": "TILL"},
            ["ENROLMENT_API_ATTRIBUTION_ENTITY_CODE is required with ENROLMENT_API_ATTRIBUTION_ENTITY_TYPE"],
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, Mapping) else "",
)
def test_refused_settings(settings: dict[str, str], faults: list[str]) -> None:
    """Bad settings must end it with 2, a line each that says what to do, and no traceback."""
    sound = {"KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:9", "API_BASE_URL": _NOWHERE, **CREDENTIALS}
    ended = _program("run", **({**sound, **settings} if settings else {}))
    lines = ended.err.splitlines()
    assert (ended.status, ended.out) == (2, "")
    assert len(lines) == len(faults), ended.err
    assert all(line.startswith("enrolment-worker: ") for line in lines), ended.err
    for fault in faults:
        assert any(re.fullmatch(f"enrolment-worker: {fault}", line) for line in lines), (fault, lines)


@pytest.mark.parametrize("arguments", [("run",), ("explain", "--customer-id", "1")], ids=lambda each: each[0])
def test_missing_certificates(kafka: Broker, lab: Lab, arguments: tuple[str, ...]) -> None:
    """Certificates that are not there are a fault of configuration, not an outage of the API."""
    topic = unique("commands")
    where = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "ACTIVITY_TOPIC": topic, "GROUP_ID": topic}
    lab.loop.run(create_topic(kafka.bootstrap_servers, topic, 1, None))
    missing = {"SSL_CERT_FILE": "/nowhere.pem"}
    ended = _program(*arguments, API_BASE_URL=_NOWHERE, **where, **CREDENTIALS, **missing)
    assert (ended.status, ended.out) == (2, "")
    (line,) = [line for line in ended.err.splitlines() if not line.startswith("{")]
    assert re.fullmatch("enrolment-worker: .*SSL_CERT_FILE.*FileNotFoundError", line)


def test_topics_are_created_once(kafka: Broker, lab: Lab) -> None:
    """`topics create` must create what is missing, leave what is there, and say which was which."""
    name = unique("commands")
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ACTIVITY_TOPIC": name,
        "OUTCOME_TOPIC": f"{name}-outcomes",
        "GROUP_ID": name,
        "TOPIC_PARTITIONS": "2",
    }
    first, second = (_program("topics", "create", **settings) for _ in range(2))
    listed = json.loads(_program("topics", "list", "--json", **settings).out)
    names = [topic["name"] for topic in listed]
    lab.loop.run(delete_topics(kafka.bootstrap_servers, names))
    assert (first.status, second.status) == (0, 0), first.err + second.err
    for run, word in ((first, "created"), (second, "exists")):
        assert [line.split()[:2] for line in run.out.splitlines()] == [[word, each] for each in names]
    suffixes = ["", "-retry-1", "-retry-2", "-retry-3", "-dlt", "-outcomes", "-ledger-changelog"]
    assert names == [name + suffix for suffix in suffixes]
    assert all(topic["exists"] and topic["partitions"] == 2 for topic in listed)


def test_unreachable_kafka() -> None:
    """A worker that is not to wait for Kafka must give up at once, with 1, and name whom it did not reach."""
    address = f"{HOST}:{free_ports(1)[0]}"
    where = {"KAFKA_BOOTSTRAP_SERVERS": address, "START_WAIT_SECONDS": "0"}
    ended = _program("run", API_BASE_URL=_NOWHERE, **where, **CREDENTIALS)
    assert (ended.status, ended.out) == (1, "")
    (line,) = ended.err.splitlines()
    assert address in json.loads(line)["message"]
    assert ended.seconds < 30


def test_missing_activity_topic(kafka: Broker) -> None:
    """A missing activity topic must not be made silently: exit 1, with what to do."""
    topic = unique("nowhere")
    where = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "ACTIVITY_TOPIC": topic}
    ended = _program("run", API_BASE_URL=_NOWHERE, **where, **CREDENTIALS)
    assert (ended.status, ended.out) == (1, "")
    (line,) = ended.err.splitlines()
    message = json.loads(line)["message"]
    assert topic in message
    assert "enrolment-worker topics create" in message


def test_http_port(desk: Desk) -> None:
    """Health and metrics must answer, and nothing else must."""
    assert desk.worker.get("/live").status == 200
    assert desk.worker.get("/ready").status == 200
    metrics = desk.worker.get("/metrics")
    assert (metrics.status, metrics.content_type.split(";")[0]) == (200, "text/plain")
    named = set(re.findall(r"^# TYPE (\S+)", metrics.body, re.MULTILINE))
    assert named >= {
        "enrolment_outcomes_total",
        "enrolment_activity_total",
        "enrolment_in_flight",
        "enrolment_activity_duration_seconds",
        "enrolment_api_requests_total",
        "enrolment_api_request_duration_seconds",
        "enrolment_consumer_lag",
        "enrolment_retries_total",
        "enrolment_dead_letters_total",
    }
    for path in ("/", "/index.html", "/metrics/", "/live/x", "/docs", "/graph", "/table/", "/stats/"):
        assert desk.worker.get(path).status == 404, path
    assert {desk.worker.get(path, method="POST").status for path in ("/live", "/ready", "/metrics")} == {405}
