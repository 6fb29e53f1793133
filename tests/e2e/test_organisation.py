"""One organisation for a credential: a customer has one standing in a promotion, whatever events name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.kafka.brokers import unique
from worker.demo.simulator import Customer, Listing, RunningSimulator

pytestmark = pytest.mark.timeout(60)

_CUSTOMERS: Final = 10
_ORG: Final = 1800


@pytest.mark.parametrize("first", [None, _ORG], ids=["silent first", "named first"])
def test_an_event_that_is_silent_about_its_organisation_enrols_nobody_twice(
    lab: Lab, world_api: RunningSimulator, first: int | None
) -> None:
    """Ten customers, two events each, one of them with `orgId`: the books show one enrolment for each."""
    with _desk(lab, world_api) as desk:
        customers = [_customer(desk) for _ in range(_CUSTOMERS)]
        second = _ORG if first is None else None
        for org in (first, second):
            names = [_send(desk, customer, org) for customer in customers]
            desk.stage.wait_for_outcomes(names)
        assert [_enrolments(desk, customer) for customer in customers] == [1] * _CUSTOMERS


def test_the_first_organisation_is_the_ledgers(lab: Lab, world_api: RunningSimulator) -> None:
    """Learnt once, on every partition, also by the next process: an event of another one is dead-lettered."""
    with _desk(lab, world_api, partitions=3) as desk:
        desk.stage.wait_for_outcomes([_send(desk, _customer(desk), _ORG)])
        names = [_send(desk, _customer(desk), None) for _ in range(6)]
        desk.stage.wait_for_outcomes(names)
        told = {each.event_id: each.value for each in desk.stage.outcomes.read()}
        assert [told[name].get("orgId") for name in names] == [_ORG] * len(names)
        assert desk.worker.stop() == 0
        desk.worker.start()
        others = [_send(desk, _customer(desk), _ORG + 1) for _ in range(6)]
        desk.stage.wait_for_outcomes(others)
        told = {each.event_id: each.value for each in desk.stage.outcomes.read()}
        assert {told[name].get("reason") for name in others} == {"other_organisation"}
        letters = desk.stage.dead_letters.read()
        assert len(letters) == len(others)
        assert all(letter.error["message"].startswith("orgId: ") for letter in letters)


@contextmanager
def _desk(lab: Lab, world_api: RunningSimulator, partitions: int = 1) -> Iterator[Desk]:
    with lab.stage(world_api.api_url, partitions) as stage:
        worker = stage.worker(**CREDENTIALS)
        worker.wait_ready()
        yield Desk(stage, world_api, worker)


def _customer(desk: Desk) -> Customer:
    """Make a customer whose promotion stays listed and shows no timeline: the ledger alone remembers."""
    customer = desk.customer()
    desk.promotion(customer, listing=Listing.ALWAYS, timelines=False, limit_per_customer=None)
    return customer


def _send(desk: Desk, customer: Customer, org: int | None) -> str:
    name = unique("event")
    value = event(name, {"customerId": customer.customer_id}, orgId=org)
    desk.stage.feed.send(value, str(customer.customer_id).encode())
    return name


def _enrolments(desk: Desk, customer: Customer) -> int:
    return desk.requests(customer).count("issue")
