"""The worker is killed at each point between two durable steps; the restart must neither lose nor repeat.

The simulator ignores idempotency keys: sent twice is enrolled twice. Both kinds of promotion are in play:
those that AVAILABLE_TO_ENROL goes on listing after an enrolment, and those that it does not.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.e2e.crashing import CrashingWorker, crashing_worker
from tests.support.e2e.desk import Desk, Told, told_as
from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.feeds import OutcomeRecord
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from topics.record import Record
from worker.demo.simulator import Customer, Endpoint, Listing, Promotion, RunningSimulator
from worker.enrolment.checkpoints import Checkpoint

pytestmark = pytest.mark.timeout(60)

_ORG = 7


@dataclass(frozen=True, slots=True)
class Case:
    """One customer with one promotion, and one event about them."""

    desk: Desk
    worker: CrashingWorker
    customer: Customer
    promotion: Promotion
    event_id: str

    @property
    def key(self) -> str:
        """The idempotency key that the contract gives the enrolment."""
        return enrolment_key(
            _ORG, self.customer.customer_id, self.promotion.program_id, self.promotion.promotion_id
        )

    def feed(self) -> Record:
        """Produce the event."""
        value = event(self.event_id, {"customerId": self.customer.customer_id}, orgId=_ORG)
        return self.desk.stage.feed.send(value, b"key")

    def requests(self) -> list[tuple[str, bool]]:
        """Return endpoint and whether the status filter was on, of each request so far."""
        log = self.desk.stage.lab.loop.call(
            lambda: self.desk.simulator.requests.of_customer(self.customer.customer_id)
        )
        return [(record.endpoint.value, "promotionStatusForCustomer" in record.query) for record in log]

    def applied(self) -> list[str | None]:
        """Return the idempotency key of each enrolment that the simulator applied."""
        return [one.idempotency_key for one in self.desk.applied(self.customer)]

    def outcomes(self) -> list[OutcomeRecord]:
        """Return the event's outcomes so far."""
        return self.desk.stage.outcomes.of(self.event_id)

    def restart(self, record: Record) -> Told:
        """Start the worker again; return the event's outcomes once it and what followed it are committed."""
        assert not self.desk.stage.committed().get(0, 0) > record.position.offset, "committed before the kill"
        self.worker.start()
        told = self.desk.collect(record)
        wait_until(
            lambda: self.desk.stage.committed().get(0, 0) > record.position.offset,
            "the event's offset is committed",
            evidence=self.worker.tail,
        )
        return told


@pytest.fixture(scope="module")
def place(lab: Lab, world_api: RunningSimulator) -> Iterator[tuple[Desk, CrashingWorker]]:
    """Give a stage whose worker can be killed; each test leaves it running."""
    with (
        lab.stage(world_api.api_url) as stage,
        crashing_worker(
            stage,
            KAFKA_SESSION_TIMEOUT_SECONDS="4",
            API_TIMEOUT_SECONDS="3",
            RECONCILE_SETTLE_SECONDS="0.5",
            **CREDENTIALS,
        ) as worker,
    ):
        yield Desk(stage, world_api, worker), worker


@pytest.fixture(params=[Listing.UNTIL_LIMIT, Listing.UNTIL_ENROLLED], ids=["stays listed", "vanishes"])
def case(place: tuple[Desk, CrashingWorker], request: pytest.FixtureRequest) -> Case:
    """Give a customer who can be enrolled, and a worker that is ready."""
    desk, worker = place
    if worker.poll() is not None:
        worker.start()
    worker.wait_ready()
    customer = desk.customer()
    return Case(desk, worker, customer, desk.promotion(customer, listing=request.param), unique("event"))


FIRST_LOOKUP = ("lookup", True)
RECONCILIATION = ("lookup", False)
POST = ("issue", False)
COMMIT_SECONDS = 1.3
"""Longer than the worker's pause between commits: whatever it would commit, it has committed."""


def test_killed_before_the_request(case: Case) -> None:
    """An attempt that never left must be found in the ledger, looked into, and then made, from the plan."""
    killed = _killed_at(case, Checkpoint.PLANNED)
    assert (case.requests(), case.applied(), case.outcomes()) == ([FIRST_LOOKUP], [], [])
    told = case.restart(killed)
    assert case.requests() == [FIRST_LOOKUP, RECONCILIATION, RECONCILIATION, POST]
    assert case.applied() == [case.key]
    assert _told(told) == _enrolled(case, told, attempts=2, issualId=told.only.value.get("issualId"))
    assert told.only.value["issualId"] is not None


def test_killed_between_request_and_answer(case: Case) -> None:
    """A request that was applied and never answered must not be sent again; the timeline settles it."""
    case.desk.fault("timeout_after_apply", case.customer, endpoint=Endpoint.ISSUE, count=1)
    record = case.feed()
    wait_until(case.applied, "the request is applied", evidence=case.worker.tail)
    time.sleep(COMMIT_SECONDS)
    case.worker.kill()
    _assert_reconciled(case, case.restart(record))


def test_killed_between_answer_and_ledger(case: Case) -> None:
    """An answer that only the dead process knew must be found out, not asked for again."""
    killed = _killed_at(case, Checkpoint.ANSWERED)
    assert (case.applied(), case.outcomes()) == ([case.key], [])
    _assert_reconciled(case, case.restart(killed))


def test_killed_between_ledger_and_outcome(case: Case) -> None:
    """A result in the ledger must be told as it stands there, with nothing asked of the API."""
    killed = _killed_at(case, Checkpoint.RECORDED)
    assert (case.applied(), case.outcomes()) == ([case.key], [])
    told = case.restart(killed)
    assert case.requests() == [FIRST_LOOKUP, POST]
    assert case.applied() == [case.key]
    assert _told(told) == _enrolled(case, told, attempts=1, issualId=told.only.value.get("issualId"))
    assert told.only.value["issualId"] is not None


def test_killed_between_outcome_and_commit(case: Case) -> None:
    """The replay must tell the identical outcome, byte for byte, with nothing asked of the API."""
    killed = _killed_at(case, Checkpoint.TOLD)
    wait_until(case.outcomes, "the outcome is told")
    told = case.restart(killed)
    assert case.requests() == [FIRST_LOOKUP, POST]
    assert case.applied() == [case.key]
    first, again = told.outcomes
    assert first.record.value == again.record.value
    assert (first.record.key, first.headers) == (again.record.key, again.headers)
    assert (first.name, first.value.get("reconciled")) == ("ENROLLED", None)


def _killed_at(case: Case, checkpoint: Checkpoint) -> Record:
    case.worker.die_at(checkpoint)
    record = case.feed()
    case.worker.wait_killed()
    return record


def _assert_reconciled(case: Case, told: Told) -> None:
    assert case.requests() == [FIRST_LOOKUP, POST, RECONCILIATION]
    assert case.applied() == [case.key]
    world, who = case.desk.simulator.world, case.customer.customer_id
    (shown,) = case.desk.stage.lab.loop.call(
        lambda: [one.enrolment_id for one in world.applied if one.customer_id == who]
    )
    assert _told(told) == _enrolled(case, told, attempts=1, reconciled=True, enrollmentId=shown)


def _told(told: Told) -> dict[str, object]:
    return {name: value for name, value in told.only.value.items() if name != "occurredAt"}


def _enrolled(case: Case, told: Told, **fields: Any) -> dict[str, object]:  # noqa: ANN401 - see told_as
    return told_as(
        told,
        "ENROLLED",
        "info",
        customer=case.customer,
        promotion=case.promotion,
        org=_ORG,
        idempotencyKey=case.key,
        apiRequestId=case.desk.traced(case.customer),
        **fields,
    )
