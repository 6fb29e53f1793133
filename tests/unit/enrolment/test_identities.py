"""Which event a record is: an identity that comes again with another key or customer is another event."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.e2e.events import outcome_id
from tests.support.use_case.honest_api import Shop, policy, redriven
from tests.support.use_case.values import AT, CUSTOMER, event, record
from topics.record import Record
from worker.domain.identity import Reenrol
from worker.ledger.entries import EventPlan

EVERY_EVENT = policy(reenrol=Reenrol.EVERY_EVENT)
ELSEWHERE = replace(AT, offset=4711)


def _shop() -> Shop:
    shop = Shop(EVERY_EVENT)
    shop.api.customers = {"1": 1, "2": 2, "3": 3}
    return shop


def _nameless(customer: str, *, keyed: bool = True) -> Record:
    """Return a record at one place of the topic, of an event without an id."""
    key = customer.encode() if keyed else None
    return record(event(eventId=None, customer={"mobile": customer}), key=key)


def _cloud(source: str, *, customer: str = "1", key: bytes = b"1", at: int = 42) -> Record:
    """Return a CloudEvent in binary mode; every one of them has the id 7."""
    headers = (("ce_specversion", b"1.0"), ("ce_id", b"7"), ("ce_source", source.encode()))
    body = event(eventId=None, customer={"mobile": customer})
    return record(body, key=key, headers=headers, at=replace(AT, offset=at))


def _applied(shop: Shop) -> list[int]:
    return [one.customer_id for one in shop.api.applied]


@pytest.mark.asyncio
@pytest.mark.parametrize("keyed", [True, False], ids=["other key", "no key"])
async def test_a_topic_made_anew(keyed: bool) -> None:  # noqa: FBT001 - a parameter
    """Positions stand for other events then: each is looked up, enrolled, and told under its own id."""
    shop = _shop()
    records = [_nameless(customer, keyed=keyed) for customer in "123"]
    for each in records:
        assert await shop.handle(each) == ["ENROLLED"]
    assert _applied(shop) == [1, 2, 3]
    assert shop.tracker.activities.count(("transactionAdded", "identity_reused")) == 2
    told = [one.outcome_id for one in shop.told]
    assert told[:2] == [outcome_id(name, 1, "ENROLLED") for name in (str(AT), f"{AT}#{AT}")]
    assert [one.activity.event_id for one in shop.told] == [str(AT)] * 3
    for each in records:
        await shop.handle(each)
        await shop.handle(redriven(each))
    assert [one.outcome_id for one in shop.told[3:]] == [each for each in told for _ in range(2)]
    assert _applied(shop) == [1, 2, 3]


@pytest.mark.asyncio
async def test_two_sources_with_one_id() -> None:
    """A CloudEvents id counts for its source; the outcome tells it as upstream wrote it."""
    shop = _shop()
    for source in ("/till", "/web"):
        assert await shop.handle(_cloud(source)) == ["ENROLLED"]
    assert _applied(shop) == [1, 1]
    assert [one.activity.event_id for one in shop.told] == ["7", "7"]
    expected = [outcome_id(name, 1, "ENROLLED") for name in ("/till#7", "/web#7")]
    assert [one.outcome_id for one in shop.told] == expected
    assert ("transactionAdded", "identity_reused") not in shop.tracker.activities


@pytest.mark.asyncio
async def test_an_event_that_is_sent_twice() -> None:
    """Same identity, same key, wherever it lies and with whatever more it says of its customer: one event."""
    shop = _shop()
    first = event(customer={"mobile": "+91 98-1"})
    shop.api.customers["91981"] = 5
    assert await shop.handle(record(first)) == ["ENROLLED"]
    for customer in (
        {"mobile": "91981"},
        {"mobile": "2", "customerId": 5},
        {"email": "a@b.example"},
        {"mobile": "+91 98-1", "customerId": 6},
    ):
        again = record(event(customer=customer), at=ELSEWHERE)
        assert await shop.handle(again) == ["ENROLLED"], customer
    assert _applied(shop) == [5]
    assert ("transactionAdded", "identity_reused") not in shop.tracker.activities


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "other",
    [
        record(event(customer={"mobile": "1"}), key=b"other"),
        record(event(customer={"mobile": "1"}), key=None),
        record(event(customer={"mobile": "2"})),
        record(event(customer={"customerId": 2})),
    ],
    ids=["key", "no key", "mobile", "customer id"],
)
async def test_an_identity_that_another_event_had(other: Record) -> None:
    """With another key or another customer it is not carried out by the first one's plan."""
    shop = _shop()
    await shop.handle(record(event(customer={"mobile": "1"})))
    assert await shop.handle(other) == ["ENROLLED"]
    assert len(shop.api.applied) == 2
    assert shop.tracker.activities.count(("transactionAdded", "identity_reused")) == 1


@pytest.mark.asyncio
async def test_two_of_one_identity_at_once() -> None:
    """Neither finds a plan when it begins: the second must wait for the first one's."""
    shop = _shop()
    records = [_nameless(customer) for customer in "12"]
    assert await shop.handle(*records) == ["ENROLLED"] * 2
    assert sorted(_applied(shop)) == [1, 2]
    told = {one.outcome_id for one in shop.told}
    assert len(told) == 2
    for each in records:
        await shop.handle(each)
    assert {one.outcome_id for one in shop.told} == told


def _as_before(shop: Shop, *, lane: bool) -> None:
    """Leave the plan as an earlier release wrote it: under the id alone, with the key's hashes or without."""
    (plan,) = shop.ledger.plans.values()
    early = EventPlan(
        origin=replace(plan.origin, identity=None),
        customer_id=plan.customer_id,
        steps=plan.steps,
        source=plan.source,
        key_hashes=plan.key_hashes if lane else None,
    )
    shop.ledger.plans = {"7": early}
    shop.ledger.results = {("7", subject): result for (_, subject), result in shop.ledger.results.items()}


@pytest.mark.asyncio
@pytest.mark.parametrize("lane", [True, False])
async def test_a_plan_of_an_earlier_release(lane: bool) -> None:  # noqa: FBT001 - a parameter
    """A replay after an upgrade must go on from it, also where every event enrols, and tell what was told."""
    shop = _shop()
    await shop.handle(_cloud("/till"))
    _as_before(shop, lane=lane)
    assert await shop.handle(_cloud("/till")) == ["ENROLLED"]
    assert await shop.handle(_cloud("/till", at=99)) == ["ENROLLED"]
    assert _applied(shop) == [1]
    assert shop.told[1].outcome_id == shop.told[0].outcome_id


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("lane", "other"),
    [
        (True, lambda: _cloud("/web", customer="2", key=b"2")),
        (False, lambda: record(event(eventId="7", customer={"customerId": 2}))),
    ],
)
async def test_a_plan_of_an_earlier_release_for_another(lane: bool, other: Callable[[], Record]) -> None:  # noqa: FBT001 - a parameter
    """Key or customer tell it apart as far as that release noted them."""
    shop = _shop()
    await shop.handle(_cloud("/till"))
    _as_before(shop, lane=lane)
    assert await shop.handle(other()) == ["ENROLLED"]
    assert _applied(shop) == [1, 2]


@pytest.mark.asyncio
async def test_a_merged_customer_of_an_earlier_release() -> None:
    """The event names the id of before the merge: at the same place, under the same key, it is the same."""
    shop = _shop()
    source = record(event(eventId=None, customer={"customerId": CUSTOMER}))
    await shop.handle(source)
    (plan,) = shop.ledger.plans.values()
    early = replace(plan, origin=replace(plan.origin, identity=None), customer_id=99, marks=())
    shop.ledger.plans = {str(AT): early}
    assert await shop.handle(source) == ["ENROLLED"]
    assert len(shop.api.applied) == 1
