"""What makes a customer forgotten, wherever and whenever it is heard."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import pytest

from tests.support.use_case.building import UseCase
from tests.support.use_case.honest_api import SETTLE, MortalLedger, Shop
from tests.support.use_case.notifications import (
    MOBILE,
    NOT_FOUND,
    TRUSTING,
    SlowApi,
    happening,
    names,
    notification,
    told,
)
from tests.support.use_case.values import CUSTOMER, NOW, event, record
from topics.record import Position, Record
from worker.enrolment.catalogue import NoCatalogue
from worker.enrolment.rules import Rules


@pytest.mark.asyncio
async def test_an_unknown_customer() -> None:
    """Nobody is asked for a minute, or until it is added; the outcome repeats the API's words."""
    shop = Shop(TRUSTING)
    shop.api.readings.extend([NOT_FOUND] * 2)
    outcomes = await told(shop, "evt-1", "evt-2")
    assert names(outcomes) == [("CUSTOMER_NOT_FOUND", None), ("CUSTOMER_NOT_FOUND", True)]
    assert outcomes[0].errors == outcomes[1].errors
    shop.wait(58)
    assert names(await told(shop, "evt-3")) == [("CUSTOMER_NOT_FOUND", None)]
    assert shop.api.lookups == 2
    added = record(event(eventId="evt-4", eventName="customerAdded", occurredAt=_text(shop)))
    assert names(await told(shop, added)) == [("ENROLLED", None)]
    shop.wait(SETTLE)
    assert names(await told(shop, "evt-5")) == [("ALREADY_ENROLLED", True)]


@pytest.mark.asyncio
async def test_an_unknown_customer_within_the_grace_is_asked_for() -> None:
    """Such an event comes again to ask again."""
    shop = Shop(replace(TRUSTING, not_found_grace=timedelta(minutes=9)))
    shop.api.readings.extend([NOT_FOUND] * 2)
    assert names(await told(shop, "evt-1", "evt-2")) == [("DEFERRED", None)] * 2
    assert shop.api.lookups == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["customerAdded", "customerUpdated", "enrolmentForget"])
async def test_a_customer_is_forgotten(name: str) -> None:
    """By id and by name; what lookups showed before counts no more."""
    shop = Shop(replace(TRUSTING, triggers=frozenset({"transactionAdded"})))
    await told(shop, "evt-1", notification(name, at=99))
    assert shop.tracker.activities[-1] == (name, "feedback")
    shop.wait(SETTLE)
    await told(shop, happening("evt-2"), "evt-3")
    # The second event finds the id again; the name is looked up once more, as it may have moved.
    assert shop.api.lookups == 3
    await told(shop, happening("evt-4"), "evt-5")
    assert shop.api.lookups == 3


@pytest.mark.asyncio
async def test_a_customer_is_forgotten_while_nothing_is_trusted() -> None:
    """What was remembered before must not count once something is trusted again."""
    shop = Shop(TRUSTING)
    await told(shop, "evt-1")
    shop.rules = Rules(pii_key=b"pepper")
    await told(shop, notification("enrolmentForget", at=99))
    assert shop.tracker.activities[-1] == ("enrolmentForget", "feedback")
    shop.rules = TRUSTING
    assert names(await told(shop, happening("evt-2"))) == [("ALREADY_ENROLLED", None)]
    assert shop.api.lookups == 2


@pytest.mark.asyncio
async def test_an_old_notification_forgets_nothing() -> None:
    """What was read after the change knows it."""
    shop = Shop(TRUSTING)
    await told(shop, "evt-1", notification("customerUpdated", at=-SETTLE), "evt-2")
    assert shop.api.lookups == 1


@pytest.mark.asyncio
async def test_what_is_read_before_a_change_shows_counts_no_more() -> None:
    """A change may take as long to show as an enrolment; what is read once it was told of is trusted."""
    shop = Shop(TRUSTING)
    change = notification("customerUpdated", at=1.0)
    shop.wait(2)
    await told(shop, happening("evt-1"), change, happening("evt-2"))
    assert shop.api.lookups == 2
    await told(shop, happening("evt-3"), change, happening("evt-4"))
    assert shop.api.lookups == 2


@pytest.mark.asyncio
async def test_events_that_always_ask() -> None:
    """They ask whatever is known, and what they find is known from then on; others merely forget."""
    always = frozenset({"tierChanged", "transactionReturned"})
    triggers = frozenset({"transactionAdded", "tierChanged"})
    shop = Shop(replace(TRUSTING, always=always, triggers=triggers))
    ahead = (NOW + timedelta(hours=1)).isoformat()
    await told(shop, "evt-1", happening("evt-2", eventName="tierChanged", occurredAt=ahead))
    shop.wait(SETTLE)
    await told(shop, happening("evt-3"))
    assert shop.api.lookups == 2
    forgets = happening("evt-4", eventName="transactionReturned", occurredAt=ahead)
    assert await told(shop, forgets) == []
    await told(shop, happening("evt-5"))
    assert shop.api.lookups == 3


@pytest.mark.asyncio
async def test_a_merge_forgets_both_customers() -> None:
    """Whoever's the key is."""
    shop = Shop(TRUSTING)
    shop.api.customers |= {"1": 1}
    other = record(event(eventId="evt-2", customer={"customerId": 1}), key=b"other")
    await told(shop, happening("evt-1"), other)
    merge = notification(
        "loyaltyCustomerMerge",
        at=99,
        survivorCustomerIdentifiers={"customerId": 1},
        victimCustomerIdentifiers={"customerId": CUSTOMER},
    )
    await told(shop, merge)
    assert {each.seen for each in shop.ledger.memories.values()} == {None}


@pytest.mark.asyncio
async def test_what_was_read_before_a_change_is_not_remembered_after_it() -> None:
    """A lookup that is under way while its customer is forgotten says nothing of the time after."""
    shop = Shop(TRUSTING)
    slow = SlowApi(shop.sleep)
    shop.api = slow
    change = notification("customerUpdated", at=0.5)
    change = replace(change, key=b"another", position=Position("customer-activity", 3, 99))
    use_case = shop.process()

    async def changes() -> None:
        await use_case.handle(change)

    slow.meanwhile = changes
    await use_case.handle(happening("evt-1"))
    await use_case.handle(happening("evt-2"))
    assert slow.lookups == 2


class _Partitions:
    """Ledgers of two partitions of one process, by the record's."""

    def __init__(self) -> None:
        self.ledgers = (MortalLedger(), MortalLedger())

    def of(self, source: Record) -> MortalLedger:
        return self.ledgers[source.position.partition]

    def every(self) -> tuple[MortalLedger, ...]:
        return self.ledgers


def _at(source: Record, partition: int) -> Record:
    return replace(source, position=replace(source.position, partition=partition))


def _process(shop: Shop) -> tuple[UseCase, _Partitions]:
    partitions = _Partitions()
    shop.ledger = cast("MortalLedger", partitions)
    return shop.process(), partitions


@pytest.mark.asyncio
async def test_a_change_is_heard_in_every_partition_of_the_process() -> None:
    """Its record may come under another key than the customer's events."""
    shop = Shop(TRUSTING)
    use_case, partitions = _process(shop)
    shop.wait(1)
    await use_case.handle(_at(happening("evt-1"), 0))
    await use_case.handle(_at(record(event(eventId="evt-2")), 0))
    await use_case.handle(_at(notification("customerUpdated", at=2), 1))
    assert partitions.ledgers[0].memory(CUSTOMER).seen is None
    assert partitions.ledgers[1].memories == {}


@pytest.mark.asyncio
@pytest.mark.parametrize("pii_key", [None, b"pepper"])
async def test_an_addition_is_heard_in_every_partition_of_the_process(pii_key: bytes | None) -> None:
    """Whoever was unknown by a name is not any more; without a source it is the default one's."""
    shop = Shop(replace(TRUSTING, pii_key=pii_key))
    use_case, _ = _process(shop)
    shop.api.readings.append(NOT_FOUND)
    unknown = record(event(eventId="evt-1", customer={"mobile": MOBILE}))
    await use_case.handle(_at(unknown, 0))
    await use_case.handle(_at(notification("customerAdded", at=1), 1))
    await use_case.handle(_at(record(event(eventId="evt-2")), 0))
    assert shop.api.lookups == 3


@pytest.mark.asyncio
async def test_an_addition_while_the_customer_is_looked_up() -> None:
    """The answer that nobody was found is of the time before."""
    shop = Shop(TRUSTING)
    slow = SlowApi(shop.sleep)
    shop.api = slow
    use_case = shop.process()
    slow.readings.append(NOT_FOUND)
    added = replace(notification("customerAdded", at=0.5), key=b"another")

    async def adds() -> None:
        await use_case.handle(added)

    slow.meanwhile = adds
    await use_case.handle(record(event(eventId="evt-1")))
    await use_case.handle(record(event(eventId="evt-2")))
    assert slow.lookups == 3


class _Lists(NoCatalogue):
    """A list that is read while an event waits for it, and what happens meanwhile."""

    def __init__(self) -> None:
        self.heard: list[datetime] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def hold(self) -> None:
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()

    def changed(self, at: datetime) -> None:
        self.heard.append(at)


@pytest.mark.asyncio
async def test_a_change_while_an_event_waits_for_the_list() -> None:
    """What was remembered when it began to wait counts no more."""
    shop = Shop(TRUSTING)
    shop.lists = lists = _Lists()
    use_case = shop.process()
    await use_case.handle(happening("evt-1"))
    change = replace(notification("customerUpdated", at=1), key=b"another")
    lists.meanwhile = lambda: use_case.handle(change)
    await use_case.handle(happening("evt-2"))
    assert shop.api.lookups == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["promotionCreated", "promotionUpdated"])
async def test_the_list_is_said_to_have_changed(name: str) -> None:
    """When it changed, and not when we heard of it."""
    shop = Shop(TRUSTING)
    shop.lists = lists = _Lists()
    await told(shop, notification(name, at=-9))
    assert lists.heard == [NOW - timedelta(seconds=9)]


def _text(shop: Shop) -> str:
    at: datetime = NOW + timedelta(seconds=shop.sleep.elapsed())
    return at.isoformat()
