"""The activity topic gets more partitions: no worker goes on with a ledger that is cut off from its keys."""

import json

import pytest
from click.testing import CliRunner

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.feeds import ActivityFeed
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess, environment
from tests.support.kafka.brokers import unique
from topics.record import Record
from worker.commands.main import program
from worker.demo.simulator import Customer, Listing, RunningSimulator
from worker.kafka.partition_admin import PartitionAdmin
from worker.settings import load_settings

pytestmark = [pytest.mark.long, pytest.mark.timeout(110)]


def test_more_partitions(lab: Lab, world_api: RunningSimulator) -> None:
    """The worker must end when they come, refuse to start, and after the move enrol nobody again."""
    with lab.stage(world_api.api_url, partitions=2) as stage:
        worker = stage.worker(**CREDENTIALS)
        worker.wait_ready()
        other = stage.worker(**CREDENTIALS, STATE_DIR=f"{worker.settings['STATE_DIR']}-other")
        other.wait_ready()
        desk = Desk(stage, world_api, worker)
        customers = [desk.customer() for _ in range(8)]
        for customer in customers:
            # Stays listed and shows no timeline: only the ledger knows of the enrolment.
            desk.promotion(customer, listing=Listing.ALWAYS, timelines=False)
        first = _feed(stage, customers)
        assert _outcomes(stage, first) == ["ENROLLED"] * len(customers)

        _grow(stage, worker, 4)
        meanwhile = _feed(stage, customers)
        assert {one.position.partition for one in meanwhile} > {one.position.partition for one in first}
        for each in (worker, other):
            assert each.wait(25) == 1
            (line,) = _critical(each)
            assert " now, and had 2 partitions when this worker started: stop all workers and run" in line
        assert stage.committed().keys() <= {0, 1}

        worker.start()
        assert worker.wait(30) == 1
        (refusal,) = _critical(worker)[1:]
        assert refusal.endswith(
            "has 2: run `enrolment-worker ledger move`, see 'More partitions' in the manual"
        )
        assert "Traceback" not in worker.log()

        moved = CliRunner().invoke(program, ["ledger", "move"], env=_kafka_settings(worker))
        assert moved.exit_code == 0, moved.output
        assert "not handled yet" not in moved.stderr, "events on the new partitions are where they belong"
        worker.start()
        worker.wait_ready()
        for records in (meanwhile, _feed(stage, customers)):
            assert _outcomes(stage, records) == ["ALREADY_ENROLLED"] * len(customers)
        applied = lab.loop.call(lambda: [one.customer_id for one in world_api.world.applied])
        assert [applied.count(customer.customer_id) for customer in customers] == [1] * len(customers)


def _feed(stage: Stage, customers: list[Customer]) -> list[Record]:
    """Produce an event for each customer, as a producer that knows today's partitions."""
    feed = ActivityFeed(stage.lab.loop, stage.lab.bootstrap_servers, stage.names.activity)
    records = [
        feed.send(event(unique("event"), {"customerId": one.customer_id}), f"key {one.customer_id}".encode())
        for one in customers
    ]
    feed.close()
    return records


def _outcomes(stage: Stage, records: list[Record]) -> list[str]:
    ids = [json.loads(record.value or b"")["eventId"] for record in records]
    stage.wait_for_outcomes(ids)
    return [outcome.name for event_id in ids for outcome in stage.outcomes.of(event_id)]


def _critical(worker: WorkerProcess) -> list[str]:
    """Return what the worker said with highest urgency, of every start."""
    lines = [json.loads(line) for line in worker.log().splitlines() if line.startswith("{")]
    return [line["message"] for line in lines if line["level"] == "critical"]


def _kafka_settings(worker: WorkerProcess) -> dict[str, str]:
    return {name: value for name, value in environment(worker.settings).items() if "ENROLMENT_" in name}


def _grow(stage: Stage, worker: WorkerProcess, partitions: int) -> None:
    admin = PartitionAdmin(load_settings(_kafka_settings(worker)))
    stage.lab.loop.run(admin.raise_partitions([stage.names.activity], partitions))
