"""A worker that froze right before its request for a customer, whom another worker takes over."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.e2e.crashing import CrashingWorker, crashing_worker
from tests.support.e2e.desk import Desk
from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.lab import Stage
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, RunningSimulator
from worker.enrolment.checkpoints import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenAtWork:
    """It has planned the enrolment of an event's customer, and not asked for it."""

    worker: CrashingWorker
    desk: Desk
    customer: Customer
    event_id: str
    key: str
    """Of the enrolment, which is to be applied once."""

    def thaw(self) -> None:
        """Let it wake up; block until it has learnt that the group knows it no more."""
        self.worker.send(signal.SIGCONT)
        wait_until(
            lambda: "member_id was not recognized" in self.worker.log(),
            "it has woken up",
            evidence=self.worker.tail,
        )

    def applied(self) -> list[str | None]:
        """Return the keys of the enrolments that were applied to the customer."""
        return [one.idempotency_key for one in self.desk.applied(self.customer)]


@contextmanager
def frozen_before_its_request(
    stage: Stage, simulator: RunningSimulator, settings: Mapping[str, str]
) -> Iterator[FrozenAtWork]:
    """Give one, on a stage that has no other worker yet."""
    with crashing_worker(stage, **settings) as worker:
        worker.wait_ready()
        desk = Desk(stage, simulator, worker)
        customer = desk.customer()
        promotion = desk.promotion(customer)
        worker.freeze_at(Checkpoint.PLANNED)
        name = unique("event")
        stage.feed.send(event(name, {"customerId": customer.customer_id}), b"key")
        worker.wait_frozen()
        key = enrolment_key(0, customer.customer_id, promotion.program_id, promotion.promotion_id)
        yield FrozenAtWork(worker=worker, desk=desk, customer=customer, event_id=name, key=key)
