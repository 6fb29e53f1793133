"""Known customers, with an API that remembers what it applied: who asks, and what is told without."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.use_case.honest_api import Shop, policy
from tests.support.use_case.notifications import LIMIT, MOBILE, TRUSTING, SlowApi, happening, names, told
from tests.support.use_case.values import CUSTOMER, event, record
from worker.domain.answers import (
    Found,
)
from worker.domain.identity import Reenrol
from worker.domain.memory import Memory
from worker.domain.promotions import CustomerPromotions
from worker.enrolment.rules import Rules
from worker.ledger import format as ledger_format
from worker.ledger.entries import NameEntry


@pytest.mark.asyncio
async def test_one_lookup_for_many_events() -> None:
    """Whatever process handles them: it lies in the ledger."""
    shop = Shop(TRUSTING)
    outcomes = await told(shop, "evt-1", "evt-2", happening("evt-3"))
    assert names(outcomes) == [("ENROLLED", None), ("ALREADY_ENROLLED", True), ("ALREADY_ENROLLED", True)]
    assert (shop.api.lookups, shop.api.requests) == (1, 1)
    assert shop.tracker.saved == ["known", "known"]
    assert outcomes[1].customer_id == CUSTOMER


@pytest.mark.asyncio
async def test_without_the_setting_nothing_is_remembered() -> None:
    """Each event asks, and the ledger holds no entry more."""
    shop = Shop(Rules(pii_key=b"pepper"))
    await told(shop, "evt-1", "evt-2")
    assert shop.api.lookups == 2
    assert (shop.ledger.memories, shop.ledger.names, shop.tracker.saved) == ({}, {}, [])


@pytest.mark.asyncio
async def test_trust_ends() -> None:
    """After so many seconds the next event asks again."""
    shop = Shop(TRUSTING)
    await told(shop, "evt-1")
    shop.wait(598)
    assert names(await told(shop, "evt-2")) == [("ALREADY_ENROLLED", True)]
    assert names(await told(shop, "evt-3")) == [("ALREADY_ENROLLED", None)]
    assert shop.api.lookups == 2


@pytest.mark.asyncio
async def test_a_limit_is_known_for_its_cool_down() -> None:
    """The event's plan is kept: a replay after the cool-down tells the same."""
    shop = Shop(replace(TRUSTING, limit_cool_down=timedelta(seconds=60), trust_seconds=1e6))
    shop.api.script.append((False, LIMIT))
    await told(shop, "evt-1")
    lookups = shop.api.lookups
    assert names(await told(shop, "evt-2")) == [("LIMIT_EXHAUSTED", True)]
    assert shop.api.lookups == lookups
    shop.wait(60)
    assert names(await told(shop, "evt-2")) == [("LIMIT_EXHAUSTED", True)]
    assert names(await told(shop, "evt-3")) == [("ENROLLED", None)]
    assert shop.api.lookups == lookups + 1


@pytest.mark.asyncio
async def test_names_without_a_key_are_known_to_one_process_alone() -> None:
    """The ledger holds neither the name nor a hash of it; the id is known to all."""
    shop = Shop(replace(TRUSTING, pii_key=None))
    await shop.handle("evt-1", "evt-2")
    assert shop.api.lookups == 1
    await told(shop, "evt-3")
    assert shop.api.lookups == 2
    await told(shop, happening("evt-4"))
    assert shop.api.lookups == 2
    assert shop.ledger.names == {}


@pytest.mark.asyncio
async def test_no_name_is_written_down() -> None:
    """What is remembered holds keyed hashes and ids; the key is needed to find them."""
    shop = Shop(TRUSTING)
    await told(shop, "evt-1")
    ((hashed, name),) = shop.ledger.names.items()
    written = ledger_format.write(NameEntry(hashed, name), None)
    assert not any(MOBILE.encode() in part for part in written)
    other = Shop(replace(TRUSTING, pii_key=b"salt"))
    other.ledger = shop.ledger
    await told(other, "evt-2")
    assert other.api.lookups == 1


@pytest.mark.asyncio
async def test_a_name_of_another_source_is_another_name() -> None:
    """A mobile number may be another customer's elsewhere; without a source it is the default one's."""
    shop = Shop(TRUSTING)
    await told(shop, "evt-1")
    without = record(event(eventId="evt-2", customer={"mobile": MOBILE}))
    await told(shop, without)
    assert shop.api.lookups == 1
    elsewhere = record(event(eventId="evt-3", customer={"mobile": MOBILE, "source": "WECHAT"}))
    await told(shop, elsewhere)
    assert shop.api.lookups == 2


@pytest.mark.asyncio
async def test_a_burst_asks_once() -> None:
    """Events of one customer that come at once, under several keys: one asks, the others wait for it."""
    shop = Shop(TRUSTING)
    shop.api = SlowApi(shop.sleep)
    await shop.handle(*(happening(f"evt-{number}", key=b"%d" % number) for number in range(9)))
    assert (shop.api.lookups, shop.api.requests) == (1, 1)
    assert sorted(names(shop.told), key=str) == [("ALREADY_ENROLLED", True)] * 8 + [("ENROLLED", None)]


@pytest.mark.asyncio
async def test_a_burst_under_several_names_asks_once_for_each() -> None:
    """That they are one customer shows once they are found; then nobody asks again."""
    shop = Shop(TRUSTING)
    await shop.handle(*(happening(f"evt-{number}", key=b"%d" % number) for number in range(3)), "evt-9")
    assert (shop.api.lookups, shop.api.requests) == (2, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("reenrol", [Reenrol.EVERY_EVENT, Reenrol.AFTER_EXPIRY])
async def test_who_may_be_enrolled_again_is_asked_for(reenrol: Reenrol) -> None:
    """An enrolment of ours has no expiry before a lookup shows it."""
    shop = Shop(replace(policy(reenrol=reenrol), trust_seconds=600.0, pii_key=b"pepper"), lives=30)
    await told(shop, "evt-1", "evt-2")
    assert shop.api.lookups >= 2
    lookups = shop.api.lookups
    await told(shop, "evt-3")
    assert (shop.api.lookups > lookups) is (reenrol is Reenrol.EVERY_EVENT)
    shop.wait(30)
    assert names(await told(shop, "evt-4")) == [("ENROLLED", None)]


@pytest.mark.asyncio
async def test_an_operator_asks_again() -> None:
    """What is replayed for what was rejected asks whatever is known."""
    shop = Shop(TRUSTING)
    await told(shop, "evt-1")
    await shop.handle(happening("evt-2"), reopens=True)
    assert shop.api.lookups == 2


@pytest.mark.asyncio
async def test_what_the_ledger_remembers_is_read_back() -> None:
    """Every field of it, whatever the API showed."""
    shop = Shop(TRUSTING)
    shop.api.readings.append(Found(CustomerPromotions(CUSTOMER, (shop.api.promotion(),))))
    await told(shop, happening("evt-1"))
    assert shop.ledger.memory(CUSTOMER) != Memory()
    assert shop.ledger.memory(CUSTOMER).valid is not None


@pytest.mark.asyncio
async def test_a_customer_that_was_merged_is_known_by_the_one_that_is_left() -> None:
    """Also if nobody told of the merge, and the victim had been known."""
    shop = Shop(TRUSTING)
    await told(shop, happening("evt-1"))
    shop.wait(600)
    for _ in range(2):
        shop.api.readings.append(Found(CustomerPromotions(5, ())))
    outcomes = await told(shop, happening("evt-2"), happening("evt-3"))
    assert [(one.customer_id, one.cached) for one in outcomes] == [(5, None), (5, True)]
