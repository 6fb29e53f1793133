"""What changes in a simulated organisation while it is in use, and the notifications of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.demo.simulator.model import Customer, Enrolment, Listing, NotIssued, Promotion
from worker.demo.simulator.notifications import Notification, Notifications
from worker.demo.simulator.queries import read_issue, read_lookup_v2
from worker.demo.simulator.reading import Refused
from worker.demo.simulator.world import World

_NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_ONCE = Promotion(promotion_id=11, limit_per_customer=1, listing=Listing.UNTIL_ENROLLED)
_WHO = (("identifierName", "id"), ("identifierValue", "2"), ("source", "INSTORE"))


def _watched(world: World, size: int = 100) -> Notifications:
    notifications = Notifications(world.org_id, size, lambda: _NOW)
    world.observer = notifications.note
    return notifications


def _issue(world: World, promotion: Promotion = _ONCE, now: datetime = _NOW) -> Enrolment:
    issued = world.issue(1, promotion, now=now, idempotency_key="key")
    assert isinstance(issued, Enrolment)
    return issued


def test_a_revoked_enrolment_is_gone_but_for_the_books() -> None:
    """Neither lookups nor limits know it any more; the promotion is open again, and the books have both."""
    promotion = Promotion(promotion_id=11, limit_per_customer=1, limit_per_promotion=1)
    world = World.with_customers(1, promotion)
    first = _issue(world, promotion)
    assert world.refusal(1, promotion, _NOW) is NotIssued.CUSTOMER_LIMIT
    world.revoke(1, 11, at=_NOW + _HOUR)
    assert world.enrolments(1, 11, _NOW + _HOUR) == []
    assert world.promotion_count(11) == 0
    assert world.can_enrol(1, promotion, _NOW + _HOUR)
    second = _issue(world, promotion, _NOW + 2 * _HOUR)
    assert [(one.enrolment_id, one.revoked_at) for one in world.applied] == [
        (first.enrolment_id, _NOW + _HOUR),
        (second.enrolment_id, None),
    ]


@pytest.mark.parametrize(("issual_id", "left"), [(None, [1]), (1, [2]), (2, [1])])
def test_which_enrolment_is_revoked(issual_id: int | None, left: list[int]) -> None:
    """The last one, if no other is named."""
    promotion = Promotion(promotion_id=11)
    world = World.with_customers(1, promotion)
    for _ in range(2):
        _issue(world, promotion)
    world.revoke(1, 11, at=_NOW, issual_id=issual_id)
    assert [one.issual_id for one in world.enrolments(1, 11, _NOW)] == left


def test_what_is_not_there_cannot_be_revoked() -> None:
    """Nor can what was revoked before, or what another has."""
    world = World.with_customers(2, _ONCE)
    issual_id = _issue(world).issual_id
    for customer_id, other in ((2, None), (1, issual_id + 1)):
        with pytest.raises(ValueError, match="no such enrolment"):
            world.revoke(customer_id, 11, at=_NOW, issual_id=other)
    world.revoke(1, 11, at=_NOW)
    with pytest.raises(ValueError, match="no such enrolment"):
        world.revoke(1, 11, at=_NOW)


def test_an_audience_grows_unannounced() -> None:
    """Who is let in has the promotion from then on, once; nobody is told."""
    world = World.with_customers(3, Promotion(promotion_id=11, customer_ids=frozenset({3})))
    notifications = _watched(world)
    assert [one.promotion_id for one in world.promotions_of(1)] == []
    world.open_for(11, (1, 3), at=_NOW)
    world.open_for(11, (1,), at=_NOW + _HOUR)
    assert [one.promotion_id for one in world.promotions_of(1)] == [11]
    assert [(one.customer_id, one.promotion_id, one.at) for one in world.opened] == [(1, 11, _NOW)]
    assert list(notifications.after(0)) == []


@pytest.mark.parametrize(("promotion_id", "says"), [(11, "everyone's"), (12, "no promotion 12")])
def test_an_audience_that_cannot_grow(promotion_id: int, says: str) -> None:
    """A promotion of everyone, and one that is not there, cannot be opened for somebody."""
    world = World.with_customers(1, _ONCE)
    with pytest.raises(ValueError, match=says):
        world.open_for(promotion_id, (1,), at=_NOW)


def test_a_merged_customer_is_not_served_any_more() -> None:
    """Lookup and issue answer 8069, for the survivor as before; a reset forgets the merge."""
    world = World.with_customers(2, _ONCE)
    world.merge(1, 2)
    body = b'{"programId": 469, "promotionId": 11}'
    with pytest.raises(Refused, match="merged") as lookup:
        read_lookup_v2(_WHO, world)
    with pytest.raises(Refused, match="merged") as issue:
        read_issue(_WHO, "application/json", body, world)
    assert (lookup.value.code, issue.value.code) == (8069, 8069)
    survivor = (_WHO[0], ("identifierValue", "1"), _WHO[2])
    assert read_lookup_v2(survivor, world).customer.customer_id == 1
    assert read_lookup_v2(_WHO, world.without_history()).customer.customer_id == 2


@pytest.mark.parametrize(("survivor", "victim"), [(1, 1), (1, 2), (2, 1), (1, 9), (9, 1)])
def test_who_cannot_be_merged(survivor: int, victim: int) -> None:
    """Not oneself, nobody who was merged before, no stranger."""
    world = World.with_customers(3)
    world.merge(3, 2)
    with pytest.raises(ValueError, match="customer"):
        world.merge(survivor, victim)


def _names(told: list[Notification]) -> list[tuple[int, int | None, object]]:
    return [(one.number, one.customer_id, one.event["eventName"]) for one in told]


def test_each_change_is_notified_in_its_order() -> None:
    """Numbered from 1, with its customer; what a world begins with is no change, nor is what stays."""
    world = World.with_customers(3, _ONCE)
    world.enrol_elsewhere(3, 11, at=_NOW)
    notifications = _watched(world)
    world.put_promotion(_ONCE)
    world.put_promotion(Promotion(promotion_id=11, name="Other"))
    world.put_promotion(Promotion(promotion_id=12))
    _issue(world)
    world.enrol_elsewhere(2, 12, at=_NOW)
    world.revoke(1, 11, at=_NOW)
    world.put_customer(Customer(customer_id=2, mobile="447700900000"))
    world.put_customer(Customer(customer_id=7))
    world.put_customers(2, first_id=20)
    world.merge(20, 21)
    assert _names(list(notifications.after(0))) == [
        (1, None, "promotionUpdated"),
        (2, None, "promotionCreated"),
        (3, 1, "promotionIssued"),
        (4, 2, "promotionIssued"),
        (5, 1, "revokeIssuedPromotion"),
        (6, 2, "customerUpdated"),
        (7, 7, "customerAdded"),
        (8, 20, "customerAdded"),
        (9, 21, "customerAdded"),
        (10, 20, "loyaltyCustomerMerge"),
    ]


def _only(notifications: Notifications) -> dict[str, Any]:
    (one,) = notifications.after(0)
    return dict(one.event)


def _envelope(event: dict[str, Any]) -> list[str]:
    return [event.pop("eventId"), event.pop("apiRequestId")]


_SYNTHETIC = {
    "customerId": 1,
    "instore": {
        "mobile": "910000000001",
        "email": "customer1@example.com",
        "externalId": "000000000001",
    },
}


def test_a_notification_of_an_enrolment() -> None:
    """It names customer, promotion and issual; a revocation names the issual as revoked, at its own time."""
    world = World.with_customers(1, _ONCE)
    notifications = _watched(world)
    issued = _issue(world)
    world.revoke(1, 11, at=_NOW + _HOUR)
    enrolled, revoked = (dict(one.event) for one in notifications.after(0))
    ids = [*_envelope(enrolled), *_envelope(revoked)]
    assert len({str(one) for one in ids}) == 4
    data = {
        "customerIdentifiers": _SYNTHETIC,
        "promotionId": 11,
        "loyaltyProgramId": 469,
        "promotionIssuedDate": "2026-01-31",
        "promotionIssuedExpiryDate": "2099-12-31",
        "issueRestrictions": [{"limitOn": "CUSTOMER", "kpi": "NUMBER_OF_ISSUALS", "maxLimit": 1}],
    }
    assert enrolled == {
        "eventName": "promotionIssued",
        "orgId": 100,
        "refId": "100_1",
        "createdAt": 1769853600000,
        "data": data | {"issualId": issued.issual_id},
    }
    assert revoked == {
        "eventName": "revokeIssuedPromotion",
        "orgId": 100,
        "refId": "100_1",
        "createdAt": 1769857200000,
        "data": data | {"revokedIssualId": issued.issual_id},
    }


def test_a_notification_of_a_promotion() -> None:
    """It has its dates in milliseconds, and whether it is active; no customer."""
    world = World()
    notifications = _watched(world)
    offer = Promotion(promotion_id=11, name="Offer", active=False, starts=_NOW, ends=_NOW + _HOUR)
    world.put_promotion(offer)
    event = _only(notifications)
    _envelope(event)
    assert event == {
        "eventName": "promotionCreated",
        "orgId": 100,
        "refId": "100_11",
        "createdAt": 1769853600000,
        "data": {
            "promotionId": 11,
            "loyaltyProgramId": 469,
            "promotionName": "Offer",
            "promotionStartDate": 1769853600000,
            "promotionEndDate": 1769857200000,
            "status": "INACTIVE",
            "type": "LOYALTY_EARNING",
            "sourceType": "UI",
        },
    }


def test_a_notification_of_a_merge() -> None:
    """It names both customers."""
    world = World.with_customers(2)
    notifications = _watched(world)
    world.merge(2, 1)
    data = _only(notifications)["data"]
    assert data["survivorCustomerIdentifiers"]["customerId"] == 2
    assert data["victimCustomerIdentifiers"] == _SYNTHETIC


def test_identifiers_of_each_source() -> None:
    """Those of the store are flat, those of others listed by account; what is absent is left out."""
    world = World()
    notifications = _watched(world)
    sources = ("INSTORE", "ECOMMERCE")
    world.put_customer(Customer(customer_id=7, email="a@example.com", sources=sources, account_id="shop"))
    assert _only(notifications)["data"]["customerIdentifiers"] == {
        "customerId": 7,
        "instore": {"email": "a@example.com"},
        "ecommerce": {
            "accounts": [
                {
                    "accountId": "shop",
                    "identifiers": [{"identifierType": "email", "identifierValue": "a@example.com"}],
                }
            ]
        },
    }
    world.put_customer(Customer(customer_id=8))
    assert [dict(one.event)["data"] for one in notifications.after(1)] == [
        {"customerIdentifiers": {"customerId": 8}}
    ]


def test_the_log_of_notifications_is_bounded_and_repeatable() -> None:
    """It keeps the last ones under their numbers; the same changes have the same ids."""
    logs = []
    for _ in range(2):
        world = World.with_customers(1, _ONCE)
        notifications = _watched(world, size=2)
        world.put_customers(4)
        logs.append(list(notifications.after(0)))
    assert [one.number for one in logs[0]] == [3, 4]
    assert logs[0] == logs[1]
    notifications.clear()
    world.put_customers(1)
    assert [one.number for one in notifications.after(0)] == [5]
