"""The simulated organisation: who can be enrolled into what, and what an issue changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from worker.demo.simulator.model import Customer, Enrolment, Listing, NotIssued, OfferType, Promotion
from worker.demo.simulator.world import World

_NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
_DAY = timedelta(days=1)


def _issue(world: World, promotion: Promotion, customer_id: int = 1, now: datetime = _NOW) -> Enrolment:
    outcome = world.issue(customer_id, promotion, now=now)
    assert isinstance(outcome, Enrolment)
    return outcome


def test_every_issue_is_applied_while_limits_allow() -> None:
    """A repeated issue with the same key enrols twice, and the books show both."""
    promotion = Promotion(promotion_id=1)
    world = World.with_customers(1, promotion)
    for _ in range(2):
        world.issue(1, promotion, now=_NOW, idempotency_key="key")
    assert [one.idempotency_key for one in world.applied] == ["key", "key"]
    assert len({one.enrolment_id for one in world.applied}) == 2


def test_limit_per_customer() -> None:
    """The limit holds per customer, and expired enrolments count."""
    promotion = Promotion(promotion_id=1, limit_per_customer=1, enrolment_lasts=_DAY)
    world = World.with_customers(2, promotion)
    _issue(world, promotion)
    assert world.issue(1, promotion, now=_NOW + 2 * _DAY) is NotIssued.CUSTOMER_LIMIT
    _issue(world, promotion, customer_id=2)


def test_limit_per_promotion() -> None:
    """The limit counts all customers together."""
    promotion = Promotion(promotion_id=1, limit_per_promotion=1)
    world = World.with_customers(2, promotion)
    _issue(world, promotion)
    assert world.issue(2, promotion, now=_NOW) is NotIssued.PROMOTION_LIMIT


@pytest.mark.parametrize(
    "promotion",
    [
        Promotion(promotion_id=1, configuration_fault=True),
        Promotion(promotion_id=1, active=False),
        Promotion(promotion_id=1, ends=_NOW - _DAY),
        Promotion(promotion_id=1, starts=_NOW + _DAY),
        Promotion(promotion_id=1, customer_ids=frozenset({2})),
    ],
)
def test_configuration_forbids(promotion: Promotion) -> None:
    """A misconfigured promotion, one that is not live, and one for others enrol nobody."""
    world = World.with_customers(1, promotion)
    assert world.issue(1, promotion, now=_NOW) is NotIssued.CONFIGURATION
    assert not world.applied


def test_unrestricted_promotions_are_never_exhausted() -> None:
    """A limit of -1 restricts nothing."""
    promotion = Promotion(promotion_id=1, limit_per_customer=-1)
    world = World.with_customers(1, promotion)
    for _ in range(3):
        _issue(world, promotion)
    assert world.can_enrol(1, promotion, _NOW)


@pytest.mark.parametrize(
    ("listing", "after_one", "after_expiry", "used_up"),
    [
        (Listing.UNTIL_LIMIT, True, True, False),
        (Listing.UNTIL_ENROLLED, False, True, False),
        (Listing.ALWAYS, True, True, True),
    ],
)
def test_how_long_a_promotion_stays_listed(
    listing: Listing,
    *,
    after_one: bool,
    after_expiry: bool,
    used_up: bool,
) -> None:
    """Each kind leaves AVAILABLE_TO_ENROL at its own moment."""
    promotion = Promotion(promotion_id=1, listing=listing, limit_per_customer=2, enrolment_lasts=_DAY)
    world = World.with_customers(1, promotion)
    assert world.can_enrol(1, promotion, _NOW)
    _issue(world, promotion)
    assert world.can_enrol(1, promotion, _NOW) is after_one
    assert world.can_enrol(1, promotion, _NOW + 2 * _DAY) is after_expiry
    _issue(world, promotion, now=_NOW + 2 * _DAY)
    assert world.can_enrol(1, promotion, _NOW + 4 * _DAY) is used_up


def test_only_enrol_and_issue_promotions_can_be_enrolled_into() -> None:
    """GENERIC and LOYALTY are never available to enrol."""
    world = World.with_customers(1)
    for offer_type in (OfferType.GENERIC, OfferType.LOYALTY):
        assert not world.can_enrol(1, Promotion(promotion_id=1, offer_type=offer_type), _NOW)


def test_an_enrolment_may_show_late() -> None:
    """Lookups do not see it before its time, limits do."""
    promotion = Promotion(promotion_id=1, limit_per_customer=1)
    world = World.with_customers(1, promotion)
    world.issue(1, promotion, now=_NOW, show_late=timedelta(seconds=3))
    assert world.enrolments(1, 1, _NOW + timedelta(seconds=2)) == []
    assert world.can_enrol(1, promotion, _NOW)
    assert world.refusal(1, promotion, _NOW) is NotIssued.CUSTOMER_LIMIT
    assert len(world.enrolments(1, 1, _NOW + timedelta(seconds=3))) == 1


def test_what_is_due_later_happens_in_order_and_once() -> None:
    """`advance` carries out what is due, the earliest first, and nothing else."""
    world, seen = World(), list[datetime]()
    for days in (2, 1, 3):
        world.later(_NOW + days * _DAY, seen.append)
    world.advance(_NOW + 2 * _DAY)
    world.advance(_NOW + 2 * _DAY)
    assert seen == [_NOW + _DAY, _NOW + 2 * _DAY]


def test_customers_are_found_by_each_identifier_in_their_source() -> None:
    """Synthetic customers, and those with own identifiers, are found under each and in no other source."""
    named = Customer(
        customer_id=7,
        mobile="447700900000",
        email="a@example.com",
        external_id="E-7",
        cuid="c7",
        sources=("ECOMMERCE", "LINE"),
    )
    world = World.with_customers(3)
    world.customers.add(named)
    for customer, sources in ((named, ("ECOMMERCE", "LINE")), (Customer.synthetic(3), ("INSTORE",))):
        held = {
            "id": str(customer.customer_id),
            "mobile": customer.mobile,
            "email": customer.email,
            "externalId": customer.external_id,
            "cuid": customer.cuid,
        }
        for name, value in held.items():
            assert value is not None
            for source in (*sources, "ALL"):
                assert world.customers.find(name, value, source) == customer
            assert world.customers.find(name, value, "TMALL") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "03"),
        ("id", "4"),
        ("mobile", "913"),
        ("externalId", "3"),
        ("fax", "3"),
        ("id", "9" * 5000),
        ("id", ""),
    ],
)
def test_nobody_is_found_by_a_near_miss(name: str, value: str) -> None:
    """Identifiers match exactly."""
    assert World.with_customers(3).customers.find(name, value, "ALL") is None


def test_bulk_customers() -> None:
    """Ids go on after the highest so far, a replaced synthetic customer counts once, overlaps are refused."""
    world = World.with_customers(1_000_000)
    assert world.customers.add_many(2) == range(1_000_001, 1_000_003)
    world.customers.add(Customer(customer_id=5, mobile="447700900000"))
    assert len(world.customers) == 1_000_002
    assert world.customers.find("mobile", "910000000005", "ALL") is None
    with pytest.raises(ValueError, match="there already"):
        world.customers.add_many(2, first_id=1_000_002)
