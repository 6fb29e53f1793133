"""The promotion list saves lookups while nothing can be enrolled into, and only then."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.e2e.desk import Desk, told_as
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, Endpoint, FaultRule, OfferType, Promotion, World

_GENERIC = Promotion(promotion_id=1, offer_type=OfferType.GENERIC)
_OVER = Promotion(promotion_id=2, ends=datetime(2025, 1, 1, tzinfo=UTC))
_OTHER_PROGRAM = Promotion(promotion_id=3, program_id=999)
_EXCLUDED = Promotion(promotion_id=4)
_OPEN = Promotion(promotion_id=5)


@pytest.fixture(scope="module", params=[0, 1], ids=["pages from 0", "pages from 1"])
def desk(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Give a worker that reads the list of a world in which nothing can be enrolled into."""
    world = World([_GENERIC, _OVER, _OTHER_PROGRAM, _EXCLUDED])
    with (
        lab.simulator(world, first_list_page=request.param) as simulator,
        lab.stage(simulator.api_url) as stage,
    ):
        worker = stage.worker(
            CATALOGUE_REFRESH_SECONDS="1",
            PROGRAM_IDS="469,470",
            EXCLUDED_PROMOTION_IDS="4",
            **CREDENTIALS,
        )
        worker.wait_ready()
        yield Desk(stage, simulator, worker)


def test_nothing_to_enrol_into(desk: Desk) -> None:
    """Once the list is known, an event costs no request, and its outcome says why."""
    customer = _until(desk, "CATALOGUE")
    told = desk.tell(_event(customer))
    value = {name: value for name, value in told.only.value.items() if name != "occurredAt"}
    expected = told_as(told, "NO_PROMOTION_AVAILABLE", "info", customer=customer, reason="CATALOGUE")
    assert value == expected
    assert desk.requests(customer) == []


def test_a_promotion_that_appears(desk: Desk) -> None:
    """A new promotion is missed for at most one refresh; once it is gone again lookups are saved again."""
    _until(desk, "CATALOGUE")
    world = desk.simulator.world
    desk.stage.lab.loop.call(lambda: world.put_promotion(_OPEN))
    customer = _until(desk, None)
    assert "issue" in desk.requests(customer)
    desk.stage.lab.loop.call(lambda: world.put_promotion(replace(_OPEN, active=False)))
    _until(desk, "CATALOGUE")


@pytest.mark.parametrize(
    "fault",
    [
        FaultRule(name="api_error", endpoint=Endpoint.LIST, code=4054),
        FaultRule(name="error_500", endpoint=Endpoint.LIST),
        FaultRule(name="html_200", endpoint=Endpoint.LIST),
    ],
    ids=lambda fault: fault.name,
)
def test_a_list_that_fails(desk: Desk, fault: FaultRule) -> None:
    """Without a list every event is looked up; the worker goes on."""
    _until(desk, "CATALOGUE")
    desk.stage.lab.loop.call(lambda: desk.simulator.faults.replace(fault))
    customer = _until(desk, None)
    assert desk.requests(customer) == ["lookup"]
    desk.stage.lab.loop.call(desk.simulator.faults.replace)
    _until(desk, "CATALOGUE")


def _until(desk: Desk, reason: str | None) -> Customer:
    """Tell events of new customers until one's outcome has that reason; return its customer, untouched."""

    def try_one() -> Customer | None:
        customer = desk.customer()
        told = desk.tell(_event(customer))
        return customer if told.only.value.get("reason") == reason else None

    found = wait_until(try_one, f"an outcome with reason {reason}", seconds=15, evidence=desk.worker.tail)
    assert found is not None
    return found


def _event(customer: Customer) -> bytes:
    return event(unique("event"), {"customerId": customer.customer_id})
