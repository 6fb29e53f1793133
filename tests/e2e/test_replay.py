"""`run --from ... --until ...`: a window of the activity topic handled once more."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.worker_process import environment
from tests.support.kafka.brokers import unique
from topics.record import Record
from worker.demo.ports import HOST, free_ports
from worker.demo.simulator import Customer, Endpoint, RunningSimulator

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class _Past:
    """A group that has handled events, whose worker has stopped, and an event that came since."""

    desk: Desk
    customers: list[Customer]
    records: list[Record]

    def run(self, first: int, last: int, *more: str, **settings: str) -> tuple[int, list[str]]:
        """Replay the events from the one to the other; return exit status and log messages."""
        since, until = (self.records[n].timestamp.isoformat() for n in (first, last))
        ours = {"HTTP_HOST": HOST, "HTTP_PORT": str(free_ports(1)[0]), **CREDENTIALS}
        ended = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "worker", "run", "--from", since, "--until", until, *more],
            env=environment(self.desk.stage.settings | ours | settings),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        return ended.returncode, [json.loads(line)["message"] for line in ended.stderr.splitlines()]

    def outcomes(self, number: int) -> list[str]:
        """Return what an event led to so far."""
        return [one.name for one in self.desk.stage.outcomes.of(f"{self.desk.stage.names.group_id}-{number}")]


@pytest.fixture
def past(lab: Lab, world_api: RunningSimulator) -> Iterator[_Past]:
    """Give four customers' events: enrolled, enrolled, rejected, enrolled; and one not handled yet."""
    with lab.stage(world_api.api_url, partitions=2) as stage:
        desk = Desk(stage, world_api, stage.worker(**CREDENTIALS))
        customers = [desk.customer() for _ in range(5)]
        for customer in customers:
            desk.promotion(customer)
        desk.fault("api_error", customers[2], endpoint=Endpoint.ISSUE, code=8874, count=1)
        records = []
        for number, customer in enumerate(customers):
            name = f"{stage.names.group_id}-{number}"
            value = event(name, {"customerId": customer.customer_id}, orgId=100)
            if number == 4:
                assert desk.worker.stop() == 0
            records.append(desk.stage.feed.send(value, str(customer.customer_id).encode()))
            if number < 4:
                desk.wait_for(name)
        yield _Past(desk, customers, records)


def test_a_window_is_handled_once_more(past: _Past) -> None:
    """Known results must be told again, what was rejected asked for again, and nothing else touched."""
    stage, before = past.desk.stage, past.desk.stage.committed()
    assert [past.outcomes(n) for n in range(5)] == [
        ["ENROLLED"],
        ["ENROLLED"],
        ["REJECTED"],
        ["ENROLLED"],
        [],
    ]
    status, log = past.run(1, 3, "--retry-rejected")
    assert (status, "all events of the window are done" in log) == (0, True), log
    assert [past.outcomes(n) for n in range(5)] == [
        ["ENROLLED"],
        ["ENROLLED", "ENROLLED"],
        ["REJECTED", "ENROLLED"],
        ["ENROLLED"],
        [],
    ]
    first, again = stage.outcomes.of(f"{stage.names.group_id}-1")
    assert first.value == again.value
    assert past.desk.requests(past.customers[1]) == ["lookup", "issue"]
    assert past.desk.requests(past.customers[2]) == ["lookup", "issue", "issue"]
    assert stage.committed() == before
    worker = stage.worker(**CREDENTIALS)
    past.desk.wait_for(f"{stage.names.group_id}-4")
    assert worker.stop() == 0
    assert [len(past.outcomes(n)) for n in range(5)] == [1, 2, 2, 1, 1]


def test_other_groups(past: _Past) -> None:
    """A group without a ledger must be refused unless confirmed; a dry run needs none."""
    other = unique("other")
    status, log = past.run(0, 4, "--group-id", other)
    assert (status, len(past.outcomes(1))) == (1, 1)
    assert "--yes" in log[-1]
    dry = {"DRY_RUN": "true", "OUTCOME_TOPIC": past.desk.stage.names.outcomes}
    status, log = past.run(0, 2, "--group-id", unique("dry"), **dry)
    assert status == 0, log
    assert [past.outcomes(n)[1:] for n in range(5)] == [
        ["ALREADY_ENROLLED"],
        ["ALREADY_ENROLLED"],
        [],
        [],
        [],
    ]
    status, log = past.run(0, 4, "--group-id", other, "--yes")
    assert status == 0, log
    assert [past.outcomes(n)[-1] for n in range(4)] == [
        "ALREADY_ENROLLED",
        "ALREADY_ENROLLED",
        "ENROLLED",
        "ALREADY_ENROLLED",
    ]
    assert past.outcomes(4) == []


def test_what_cannot_be_replayed(past: _Past) -> None:
    """Events that are not handled yet, and a group at work, must be refused, and its offsets kept."""
    before = past.desk.stage.committed()
    late = past.desk.stage.feed.send(b"{}", str(past.customers[4].customer_id).encode())
    past.records.extend([late, past.desk.stage.feed.send(b"{}", b"later")])
    status, log = past.run(5, 6)
    assert status == 1
    assert "before --from are not handled" in log[-1]
    assert past.desk.stage.committed() == before
    stage = past.desk.stage
    elsewhere = f"{stage.settings['STATE_DIR']}-elsewhere"
    stage.worker(STATE_DIR=elsewhere, **CREDENTIALS).wait_ready()
    status, log = past.run(0, 3)
    assert status == 1
    assert "stop all workers" in log[-1]
