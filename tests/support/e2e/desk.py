"""A stage with one worker and one simulator, where a test puts an event in and gets its outcomes back."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from tests.support.e2e.events import outcome_id
from tests.support.e2e.feeds import OutcomeRecord
from tests.support.e2e.lab import Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from topics.record import Headers, Record
from worker.demo.simulator import Customer, Enrolment, FaultRule, Promotion, RunningSimulator

_NUMBERS: Final = count(1)


@dataclass(frozen=True, slots=True)
class Told:
    """An activity record and the outcomes that it led to, all of them."""

    record: Record
    outcomes: list[OutcomeRecord]

    @property
    def only(self) -> OutcomeRecord:
        """The outcome, where there is exactly one."""
        assert len(self.outcomes) == 1, [outcome.value for outcome in self.outcomes]
        return self.outcomes[0]


@dataclass(frozen=True, slots=True)
class Desk:
    """The worker is ready. Customers, promotions and faults are each test's own."""

    stage: Stage
    simulator: RunningSimulator
    worker: WorkerProcess

    def customer(self, **more: Any) -> Customer:  # noqa: ANN401 - see Customer
        """Put a new customer, synthetic unless told otherwise, into the simulated world."""
        synthetic = Customer.synthetic(700_000 + next(_NUMBERS))
        customer = Customer(**{name: getattr(synthetic, name) for name in Customer.__slots__} | more)
        self.stage.lab.loop.call(lambda: self.simulator.world.customers.add(customer))
        return customer

    def promotion(self, customer: Customer, **more: Any) -> Promotion:  # noqa: ANN401 - see Promotion
        """Put a new promotion into the simulated world, which only this customer has."""
        number = 60_000 + next(_NUMBERS)
        ours: dict[str, Any] = {"promotion_id": number, "name": f"Offer {number}"} | more
        promotion = Promotion(customer_ids=frozenset({customer.customer_id}), **ours)
        self.stage.lab.loop.call(lambda: self.simulator.world.put_promotion(promotion))
        return promotion

    def enrol_elsewhere(self, customer: Customer, promotion: Promotion) -> int:
        """Enrol the customer as another channel does; return the enrolment's id in the timeline."""
        at, who, what = datetime.now(UTC), customer.customer_id, promotion.promotion_id
        world = self.simulator.world
        return self.stage.lab.loop.call(lambda: world.enrol_elsewhere(who, what, at=at)).enrolment_id

    def fault(self, name: str, customer: Customer, **more: Any) -> None:  # noqa: ANN401 - see FaultRule
        """Let requests about this customer fail in that way."""
        rule = FaultRule(name=name, customer_ids=frozenset({customer.customer_id}), **more)
        self.stage.lab.loop.call(lambda: self.simulator.faults.add(rule))

    def requests(self, customer: Customer) -> list[str]:
        """Return the endpoints that were asked about this customer, in order of arrival."""
        who = customer.customer_id
        log = self.stage.lab.loop.call(lambda: self.simulator.requests.of_customer(who))
        return [record.endpoint.value for record in log]

    def applied(self, customer: Customer) -> list[Enrolment]:
        """Return the enrolments that the API has applied to this customer, in order."""
        world, who = self.simulator.world, customer.customer_id
        return self.stage.lab.loop.call(lambda: [one for one in world.applied if one.customer_id == who])

    def traced(self, customer: Customer | int, number: int = -1) -> str:
        """Return by what the API traces the n-th request about this customer, the last one by default."""
        who = customer if isinstance(customer, int) else customer.customer_id
        log = self.stage.lab.loop.call(lambda: self.simulator.requests.of_customer(who))
        return log[number].request_id

    def tell(self, value: bytes | None, *, key: bytes | None = b"key", headers: Headers = ()) -> Told:
        """Produce an activity record; return it with all of its outcomes."""
        return self.collect(self.stage.feed.send(value, key, headers))

    def collect(self, record: Record) -> Told:
        """Return all outcomes of a record of the feed.

        An empty record of the same key follows: by the order of keys its outcome ends the wait.
        """
        last = unique("last")
        self.stage.feed.send(b"", record.key, (("ce_id", last.encode()),))
        self.wait_for(last)
        offset = record.position.offset
        outcomes = self.stage.outcomes.read()
        return Told(record, [each for each in outcomes if each.value["activity"]["offset"] == offset])

    def wait_for(self, event_id: str) -> OutcomeRecord:
        """Block until the event has an outcome."""
        of = lambda: self.stage.outcomes.of(event_id)  # noqa: E731 - named for the line below
        return wait_until(of, f"{event_id} has an outcome", evidence=self.stage.tails)[0]


def told_as(
    told: Told,
    outcome: str,
    severity: str,
    *,
    customer: Customer | int | None = None,
    promotion: Promotion | None = None,
    org: int | None = None,
    hop: int | None = None,
    **fields: Any,  # noqa: ANN401 - fields of the JSON object
) -> dict[str, Any]:
    """Return the value that the contract gives the outcome of a plain event; `occurredAt` is the told one."""
    at = told.record.position
    given = json.loads(told.record.value or b"")
    about = {} if promotion is None else _promotion_fields(promotion)
    who = customer.customer_id if isinstance(customer, Customer) else customer
    expected = {
        "outcomeId": outcome_id(
            given["eventId"], promotion.promotion_id if promotion else None, outcome, hop
        ),
        "outcome": outcome,
        "severity": severity,
        "orgId": org,
        "customerId": who,
        **about,
        **fields,
        "activity": {
            "eventId": given["eventId"],
            "eventName": given["eventName"],
            "occurredAt": given["occurredAt"],
            "topic": at.topic,
            "partition": at.partition,
            "offset": at.offset,
        },
    }
    return {name: value for name, value in expected.items() if value is not None}


def _promotion_fields(promotion: Promotion) -> dict[str, Any]:
    return {
        "programId": promotion.program_id,
        "promotionId": promotion.promotion_id,
        "promotionName": promotion.name,
    }
