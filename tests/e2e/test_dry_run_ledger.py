"""A dry run beside production, with what production's ledger knows."""

import json
import subprocess
import sys

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.feeds import ActivityFeed
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.worker_process import WorkerProcess, environment
from tests.support.kafka.brokers import create_topic, delete_topics, unique
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, Promotion, RunningSimulator
from worker.domain.ledger import Enrolment, Standing
from worker.domain.settlement import Subject
from worker.ledger.entries import OrganisationEntry, StandingEntry
from worker.ledger.format import write

_ORG = 100


def _enrolled(customer: Customer, promotion: Promotion) -> tuple[bytes, bytes]:
    """Return the ledger entry of an enrolment that the API shows nothing of."""
    subject = Subject(promotion.promotion_id, promotion.program_id, promotion.name, _ORG)
    entry = StandingEntry(
        customer.customer_id, subject, Standing(Enrolment(key="key", event_id="evt", attempts=1))
    )
    return write(entry, None)


@pytest.mark.parametrize("store", ["rocksdb", "memory"])
def test_it_knows_what_production_knows(lab: Lab, world_api: RunningSimulator, store: str) -> None:
    """Enrolments of before its start and of while it runs must count, and nothing must be written there."""
    production = unique("production")
    ledger = f"{production}-ledger-changelog"
    lab.loop.run(create_topic(lab.bootstrap_servers, ledger, 1, None))
    feed = ActivityFeed(lab.loop, lab.bootstrap_servers, ledger)
    with lab.stage(world_api.api_url) as stage:
        desk = Desk(stage, world_api, WorkerProcess(lab.household, {}))
        before, meanwhile, never = (desk.customer() for _ in range(3))
        offers = {each.customer_id: desk.promotion(each) for each in (before, meanwhile, never)}
        key, value = _enrolled(before, offers[before.customer_id])
        feed.send(value, key)
        feed.send(b"no plan of ours", b"plan/evt")
        dry = stage.worker(DRY_RUN="true", DRY_RUN_LEDGER_GROUP=production, LEDGER_STORE=store, **CREDENTIALS)
        dry.wait_ready()

        def outcome(customer: Customer) -> str:
            value = event(unique("event"), {"customerId": customer.customer_id}, orgId=_ORG)
            return desk.tell(value).only.name

        assert [outcome(each) for each in (before, meanwhile, never)] == [
            "ALREADY_ENROLLED",
            "WOULD_ENROL",
            "WOULD_ENROL",
        ]
        key, value = _enrolled(meanwhile, offers[meanwhile.customer_id])
        written = feed.send(value, key)
        wait_until(
            lambda: outcome(meanwhile) == "ALREADY_ENROLLED", "the entry is followed", evidence=dry.tail
        )
        assert outcome(never) == "WOULD_ENROL"
        assert dry.metric("enrolment_ledger_entries") == 2
        assert feed.send(None, key).position.offset == written.position.offset + 1, "somebody else wrote"
        wait_until(lambda: outcome(meanwhile) == "WOULD_ENROL", "the entry is taken away", evidence=dry.tail)
        assert "issue" not in desk.requests(meanwhile) + desk.requests(before)
        key, value = write(OrganisationEntry(0, _ORG), None)
        feed.send(value, key)

        def is_foreign() -> bool:
            value = event(unique("event"), {"customerId": 1}, orgId=_ORG + 1)
            return desk.tell(value).only.value.get("reason") == "other_organisation"

        wait_until(is_foreign, "the organisation is followed", evidence=dry.tail)
    feed.close()
    lab.loop.run(delete_topics(lab.bootstrap_servers, [ledger]))


def test_a_ledger_that_cannot_be_followed(lab: Lab, world_api: RunningSimulator) -> None:
    """A group without a ledger, and one of another partition count, must be refused in a line."""
    production = unique("production")
    ledger = f"{production}-ledger-changelog"
    with lab.stage(world_api.api_url, partitions=2) as stage:
        settings = stage.settings | CREDENTIALS | {"DRY_RUN": "true", "DRY_RUN_LEDGER_GROUP": production}
        assert "ENROLMENT_DRY_RUN_LEDGER_GROUP" in _refusal(settings)
        lab.loop.run(create_topic(lab.bootstrap_servers, ledger, 1, None))
        assert "ledger move" in _refusal(settings)
        lab.loop.run(delete_topics(lab.bootstrap_servers, [ledger]))


def _refusal(settings: dict[str, str]) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "worker", "run"],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    *_, line = ended.stderr.splitlines()
    message: str = json.loads(line)["message"]
    return message
