"""Known customers: what a lookup showed is trusted, what Capillary tells changes it, and nothing more."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import pytest

from tests.support.e2e.desk import Desk, Told
from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, Listing, Promotion, World

ORG: Final = 100
PROGRAM: Final = 469
_ISSUALS: Final = count(700_000)
_OPEN: Final = Promotion(promotion_id=1)


@pytest.fixture(scope="module")
def desk(lab: Lab) -> Iterator[Desk]:
    """Give a worker that trusts for an hour, and reads the list each second."""
    world = World([_OPEN])
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        worker = stage.worker(
            LOOKUP_TRUST_SECONDS="3600",
            CATALOGUE_REFRESH_SECONDS="1",
            PII_KEY="pepper",
            ORG_ID=str(ORG),
            **CREDENTIALS,
        )
        worker.wait_ready()
        yield Desk(stage, simulator, worker)


def test_the_second_event_asks_nobody(desk: Desk) -> None:
    """Its outcome is the one that a lookup would have led to, and says that it rests on what was known."""
    customer = desk.customer()
    first, second = _tell(desk, customer), _tell(desk, customer)
    assert _requests(desk, customer) == ["lookup", "issue"]
    assert first.only.name == "ENROLLED"
    assert "cached" not in first.only.value
    assert second.only.name == "ALREADY_ENROLLED"
    assert second.only.value["cached"] is True
    assert second.only.value["customerId"] == customer.customer_id
    assert desk.worker.metric("enrolment_lookups_saved_total", reason="known") >= 1


@pytest.mark.parametrize("name", ["mobile", "email", "externalId"])
def test_a_customer_is_known_by_any_name_that_was_looked_up(desk: Desk, name: str) -> None:
    """The first event by a name asks, the next one does not; the outcome names the customer's id."""
    customer = desk.customer()
    who = {"mobile": customer.mobile, "email": customer.email, "externalId": customer.external_id}[name]
    told = [_tell_of(desk, customer, {name: who}) for _ in range(2)]
    assert _requests(desk, customer) == ["lookup", "issue"]
    assert told[1].only.value["customerId"] == customer.customer_id
    assert told[1].only.value["cached"] is True


def test_what_is_known_survives_a_kill_and_a_lost_disk(desk: Desk) -> None:
    """It lies in the ledger: a worker that starts with nothing knows it all the same."""
    customer = desk.customer()
    by_name = desk.customer()
    _tell(desk, customer)
    _tell_of(desk, by_name, {"mobile": by_name.mobile})
    desk.worker.kill()
    desk.worker.settings["STATE_DIR"] += "-new"
    desk.worker.start()
    desk.worker.wait_ready()
    assert _tell(desk, customer).only.value["cached"] is True
    assert _tell_of(desk, by_name, {"mobile": by_name.mobile}).only.value["cached"] is True
    assert _requests(desk, customer) == _requests(desk, by_name) == ["lookup", "issue"]


def test_a_promotion_that_goes_live_is_found_by_the_first_event_after_the_list_is_read(desk: Desk) -> None:
    """Everybody who was known is asked for once more, and enrolled."""
    customers = [desk.customer() for _ in range(5)]
    for customer in customers:
        _tell(desk, customer)
    with _promotion(desk, Promotion(promotion_id=2)):
        _wait_for_list(desk)
        for customer in customers:
            assert _outcomes(_tell(desk, customer)) == {1: "ALREADY_ENROLLED", 2: "ENROLLED"}
            assert _outcomes(_tell(desk, customer)) == {1: "ALREADY_ENROLLED", 2: "ALREADY_ENROLLED"}


def test_an_audience_is_missed_for_as_long_as_is_promised(lab: Lab) -> None:
    """A promotion that opens for one customer alone is found once the trust has ended, not before."""
    customer = Customer.synthetic(1)
    world = World([_OPEN, Promotion(promotion_id=2, customer_ids=frozenset())], [customer])
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        worker = stage.worker(LOOKUP_TRUST_SECONDS="4", CATALOGUE_REFRESH_SECONDS="1", **CREDENTIALS)
        worker.wait_ready()
        desk = Desk(stage, simulator, worker)
        _tell(desk, customer)
        opened = replace(world.promotions[2], customer_ids=frozenset({1}))
        lab.loop.call(lambda: world.put_promotion(opened))
        assert _outcomes(_tell(desk, customer)) == {1: "ALREADY_ENROLLED"}
        wait_until(lambda: 2 in _outcomes(_tell(desk, customer)), "the audience is found", seconds=8)


def test_an_unknown_customer_is_unknown_for_a_while_and_until_it_is_added(desk: Desk) -> None:
    """The second event asks nobody; a customerAdded is looked up whatever is known."""
    customer = Customer.synthetic(880_001)
    told = [_tell(desk, customer) for _ in range(2)]
    assert [one.only.name for one in told] == ["CUSTOMER_NOT_FOUND"] * 2
    assert told[1].only.value["cached"] is True
    assert told[1].only.value["errors"] == told[0].only.value["errors"]
    desk.stage.lab.loop.call(lambda: desk.simulator.world.customers.add(customer))
    added = _tell_of(desk, customer, {"mobile": customer.mobile}, name="customerAdded")
    assert added.only.name == "ENROLLED"


@pytest.mark.parametrize("name", ["customerAdded", "customerUpdated"])
def test_an_event_that_forgets_the_customer(desk: Desk, name: str) -> None:
    """After it the next event asks again; it tells no outcome of its own unless it is a trigger."""
    customer = desk.customer()
    _tell(desk, customer)
    _feed(desk, customer, name, {})
    _tell(desk, customer)
    lookups = _requests(desk, customer).count("lookup")
    # A customerAdded is looked up itself, and known from then on.
    assert lookups == 2


def test_an_old_notification_forgets_nothing(desk: Desk) -> None:
    """What was read after the change knows it already."""
    customer = desk.customer()
    _tell(desk, customer)
    _feed(desk, customer, "customerUpdated", {}, at=datetime(2026, 1, 1, tzinfo=UTC))
    assert _tell(desk, customer).only.value["cached"] is True
    assert _requests(desk, customer) == ["lookup", "issue"]


def test_customers_that_are_merged_are_forgotten(desk: Desk) -> None:
    """Both are: the key is either's."""
    customers = [desk.customer() for _ in range(2)]
    for customer in customers:
        _tell(desk, customer)
    survivor, victim = (one.customer_id for one in customers)
    body = {
        "eventName": "loyaltyCustomerMerge",
        "createdAt": _ms(datetime.now(UTC)),
        "data": {
            "survivorCustomerIdentifiers": {"customerId": survivor},
            "victimCustomerIdentifiers": {"customerId": victim},
        },
    }
    _feed_body(desk, body, b"%d" % victim)
    wait_until(lambda: _counted(desk, "loyaltyCustomerMerge") == 1, "the merge is heeded")
    for customer in customers:
        _tell(desk, customer)
        assert _requests(desk, customer).count("lookup") == 2


def test_an_enrolment_that_is_told_needs_no_lookup(desk: Desk) -> None:
    """A promotion that the customer was not enrolled into, and then was by another channel, is settled."""
    customer = desk.customer()
    promotion = Promotion(promotion_id=3, configuration_fault=True)
    with _promotion(desk, promotion):
        _wait_for_list(desk)
        assert _outcomes(_tell(desk, customer))[3] == "LIMIT_EXHAUSTED"
        _feed(desk, customer, "promotionIssued", _about(3, issualId=next(_ISSUALS)))
        before = len(_requests(desk, customer))
        told = _tell(desk, customer)
        assert _outcomes(told)[3] == "ALREADY_ENROLLED"
        assert all(one.value["cached"] for one in told.outcomes)
        assert len(_requests(desk, customer)) == before
        assert desk.worker.metric("enrolment_lookups_saved_total", reason="feedback") >= 1


def test_an_enrolment_that_is_taken_back_is_not_repeated(desk: Desk) -> None:
    """Once is once, unless the operator wants it otherwise."""
    customer = desk.customer()
    _tell(desk, customer)
    _revoke(desk, customer)
    told = _tell(desk, customer)
    assert told.only.name == "ALREADY_ENROLLED"
    assert _requests(desk, customer).count("issue") == 1


def test_an_enrolment_that_is_taken_back_may_be_repeated(lab: Lab) -> None:
    """With REENROL_AFTER_REVOKE: once, under a key of its own; a repeated notification changes nothing."""
    customer = Customer.synthetic(1)
    world = World([replace(_OPEN, listing=Listing.UNTIL_ENROLLED, limit_per_customer=1)], [customer])
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        worker = stage.worker(
            LOOKUP_TRUST_SECONDS="3600", REENROL_AFTER_REVOKE="true", ORG_ID=str(ORG), **CREDENTIALS
        )
        worker.wait_ready()
        desk = Desk(stage, simulator, worker)
        issual = _tell(desk, customer).only.value["issualId"]
        at = datetime.now(UTC)
        lab.loop.call(lambda: world.revoke(1, 1, at=at))
        for _ in range(2):
            _feed(desk, customer, "revokeIssuedPromotion", _about(1, revokedIssualId=issual), at=at)
        again = _tell(desk, customer).only.value
        assert again["outcome"] == "ENROLLED"
        assert again["idempotencyKey"] == enrolment_key(ORG, 1, PROGRAM, 1, "v1")
        _feed(desk, customer, "revokeIssuedPromotion", _about(1, revokedIssualId=issual), at=at)
        assert _tell(desk, customer).only.name == "ALREADY_ENROLLED"


def test_notifications_that_say_nothing_usable_are_counted_and_passed_over(desk: Desk) -> None:
    """They lead to no outcome, no dead letter and no fault."""
    customer = desk.customer()
    _tell(desk, customer)
    for name in ("promotionIssued", "revokeIssuedPromotion", "loyaltyCustomerMerge", "promotionCreated"):
        for data in ({}, {"promotionId": "x"}, {"promotionId": [1]}, {"customerIdentifiers": "nobody"}):
            _feed_body(desk, {"eventName": name, "data": data}, b"%d" % customer.customer_id)
    assert _tell(desk, customer).only.value["cached"] is True
    assert _counted(desk, "promotionIssued") >= 4
    told = [one.value["activity"] for one in desk.stage.outcomes.read()]
    assert not [one for one in told if one.get("eventName", "").startswith("promotion")]


@contextmanager
def _promotion(desk: Desk, promotion: Promotion) -> Iterator[None]:
    """Put a promotion into the world for the time of the block, and let the list tell of its end."""
    world = desk.simulator.world
    desk.stage.lab.loop.call(lambda: world.put_promotion(promotion))
    try:
        yield
    finally:
        desk.stage.lab.loop.call(lambda: world.promotions.pop(promotion.promotion_id))
        _wait_for_list(desk)


def _wait_for_list(desk: Desk) -> None:
    """Wait until the worker has read the list again; it reads while somebody asks."""
    read = desk.worker.metric("enrolment_api_requests_total", endpoint="catalogue", result="found")

    def is_read() -> bool:
        _tell(desk, Customer.synthetic(1))
        return (
            desk.worker.metric("enrolment_api_requests_total", endpoint="catalogue", result="found")
            > read + 1
        )

    wait_until(is_read, "the list is read again", seconds=10)


def _counted(desk: Desk, name: str) -> float:
    return desk.worker.metric("enrolment_activity_total", event_name=name)


def _about(promotion_id: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"promotionId": promotion_id, "loyaltyProgramId": PROGRAM, **more}


def _revoke(desk: Desk, customer: Customer) -> None:
    _feed(desk, customer, "revokeIssuedPromotion", _about(1, revokedIssualId=None))


def _feed(
    desk: Desk, customer: Customer, name: str, data: dict[str, Any], at: datetime | None = None
) -> None:
    """Feed one of Capillary's notifications under the customer's key, flat as they come."""
    who = {"customerId": customer.customer_id, "instore": {"mobile": customer.mobile}}
    body = {
        "eventName": name,
        "eventId": unique("notification"),
        "orgId": ORG,
        "createdAt": _ms(at or datetime.now(UTC)),
        "data": {"customerIdentifiers": who, **data},
    }
    _feed_body(desk, body, b"%d" % customer.customer_id)


def _feed_body(desk: Desk, body: dict[str, Any], key: bytes) -> None:
    desk.stage.feed.send(json.dumps(body).encode(), key)


def _tell(desk: Desk, customer: Customer) -> Told:
    return _tell_of(desk, customer, {"customerId": customer.customer_id})


def _tell_of(desk: Desk, customer: Customer, who: dict[str, Any], name: str = "transactionAdded") -> Told:
    return desk.tell(event(unique("event"), who, name=name), key=b"%d" % customer.customer_id)


def _outcomes(told: Told) -> dict[int, str]:
    return {one.value["promotionId"]: one.name for one in told.outcomes}


def _requests(desk: Desk, customer: Customer) -> list[str]:
    return desk.requests(customer)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
