"""The ledger's local copy over restarts: read on from, or made anew once it is old; nothing is forgotten."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.e2e.desk import Desk, Told
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.worker_process import WorkerProcess
from worker.demo.simulator import Listing, RunningSimulator

pytestmark = pytest.mark.timeout(120)


def _lines(worker: WorkerProcess, *messages: str) -> list[str]:
    written = [json.loads(line)["message"] for line in worker.log().splitlines()]
    return [message for message in written if message in messages]


def test_an_old_copy_is_made_anew_from_kafka(lab: Lab, world_api: RunningSimulator) -> None:
    """Only the ledger knows of the enrolment: the API goes on listing the promotion and has no timeline."""
    anew, rebuilding = (
        "the local copy of the ledger is old, and is made anew from its changelog",
        "rebuilding the ledger",
    )
    with lab.stage(world_api.api_url, partitions=2) as stage:
        desk = Desk(stage, world_api, stage.worker(LEDGER_RETENTION_DAYS="8", **CREDENTIALS))
        customer = desk.customer()
        desk.promotion(customer, listing=Listing.UNTIL_LIMIT, timelines=False)
        key, told, lines = str(customer.customer_id).encode(), list[Told](), list[list[str]]()
        for age in (timedelta(0), timedelta(days=1.9), timedelta(days=2.1)):
            born = Path(stage.settings["STATE_DIR"]) / f"{stage.names.group_id}+ledger" / "born"
            if age:
                assert desk.worker.stop() == 0
                born.write_text((datetime.now(UTC) - age).isoformat())
                before = len(_lines(desk.worker, anew, rebuilding))
                desk.worker.start()
                desk.worker.wait_ready()
                lines.append(_lines(desk.worker, anew, rebuilding)[before:])
            name = f"{stage.names.group_id}-{len(told)}"
            told.append(desk.tell(event(name, {"customerId": customer.customer_id}, orgId=100), key=key))
        assert [one.only.name for one in told] == ["ENROLLED", "ALREADY_ENROLLED", "ALREADY_ENROLLED"]
        assert lines == [[], [anew, rebuilding]]
        assert desk.requests(customer).count("issue") == 1
