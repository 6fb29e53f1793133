"""Known customers, with an API that remembers what it applied: who asks, and what is told without."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

import pytest

from tests.support.use_case.building import UseCase
from tests.support.use_case.honest_api import SETTLE, HonestApi, MortalLedger, Shop, policy
from tests.support.use_case.values import CUSTOMER, NOW, PROGRAM, event, record
from topics.outcome import Outcome
from topics.record import Position, Record
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    FaultKind,
    Found,
    LookupAnswer,
    Notice,
    NotIssued,
    Unsent,
)
from worker.domain.identity import Reenrol
from worker.domain.known import Memory
from worker.domain.promotions import CustomerPromotions, Identifier
from worker.enrolment.catalogue import NoCatalogue
from worker.enrolment.checkpoints import Checkpoint
from worker.enrolment.rules import Rules
from worker.ledger import format as ledger_format
from worker.ledger.entries import NameEntry

TRUSTING: Final = Rules(trust_seconds=600.0, pii_key=b"pepper")
LIMIT: Final = NotIssued((Notice(8890, "not issued"),))
LOST: Final = Doubtful(FaultKind.TIMEOUT, "slow")
NOT_FOUND: Final = CustomerNotFound((Notice(8015, "customer not found"),))
MOBILE: Final = "919845012345"


def happening(event_id: str, **more: Any) -> Record:  # noqa: ANN401 - fields of the event
    """Return an event of the customer, by id unless it is said otherwise."""
    key = more.pop("key", b"customer")
    return record(event(eventId=event_id, customer={"customerId": CUSTOMER}, **more), key=key)


def notification(name: str, *, at: float = 0.0, **data: Any) -> Record:  # noqa: ANN401 - JSON
    """Return one of Capillary's notifications about the customer, of so many seconds after NOW."""
    who = {"customerId": CUSTOMER, "instore": {"mobile": MOBILE}}
    body = {
        "eventName": name,
        "createdAt": round((NOW.timestamp() + at) * 1000),
        "data": {"customerIdentifiers": who, "promotionId": 1, "loyaltyProgramId": PROGRAM} | data,
    }
    return record(body)


async def told(shop: Shop, *sources: str | Record) -> list[Outcome]:
    """Handle each in turn, each in a process of its own; return what was told."""
    before = len(shop.told)
    for source in sources:
        shop.wait(1)
        await shop.handle(source)
    return shop.told[before:]


def names(outcomes: Sequence[Outcome]) -> list[tuple[str, bool | None]]:
    """Return the outcomes by name, and whether each rests on what was known."""
    return [(one.outcome.value, one.cached) for one in outcomes]


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
    shop.api = _Slow(shop.sleep)
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
    """A change may take as long to show as an enrolment: what was read meanwhile is not trusted."""
    shop = Shop(TRUSTING)
    shop.wait(2)
    await told(shop, happening("evt-1"), notification("customerUpdated", at=2.0), happening("evt-2"))
    assert shop.api.lookups == 2
    await told(shop, happening("evt-3"))
    assert shop.api.lookups == 3
    shop.wait(SETTLE)
    await told(shop, happening("evt-4"), happening("evt-5"))
    assert shop.api.lookups == 3


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


class _Slow(HonestApi):
    """An API in front of which a lookup waits, and what happens meanwhile."""

    meanwhile: Any = None

    async def lookup(self, identifier: Identifier, **more: Any) -> LookupAnswer:  # noqa: ANN401 - the port's
        answer = await super().lookup(identifier, **more)
        for _ in range(9):
            await asyncio.sleep(0)
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            self.sleep.delays.append(1.0)
            await happens()
        return answer


@pytest.mark.asyncio
async def test_what_was_read_before_a_change_is_not_remembered_after_it() -> None:
    """A lookup that is under way while its customer is forgotten says nothing of the time after."""
    shop = Shop(TRUSTING)
    slow = _Slow(shop.sleep)
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


@pytest.mark.asyncio
async def test_an_enrolment_that_is_told_is_known() -> None:
    """It needs no lookup, and no request is made for it."""
    shop = Shop(TRUSTING)
    shop.api.script.append((False, LIMIT))
    await told(shop, happening("evt-1"), notification("promotionIssued", at=1.5, issualId=77))
    assert names(await told(shop, happening("evt-2"))) == [("ALREADY_ENROLLED", True)]
    assert shop.tracker.saved == ["feedback"]
    assert shop.api.requests == 1


@pytest.mark.asyncio
async def test_an_enrolment_that_is_told_settles_an_open_attempt() -> None:
    """Its event is told, with the id of the notification; when it comes again it tells the same."""
    shop = Shop(TRUSTING)
    shop.api.script.extend([(True, LOST)])
    shop.wait(1)
    await shop.handle(happening("evt-1"), die_at=Checkpoint.ANSWERED)
    assert shop.told == []
    outcomes = await told(shop, notification("promotionIssued", at=2, issualId=77))
    assert names(outcomes) == [("ENROLLED", None)]
    assert (outcomes[0].reconciled, outcomes[0].issual_id) == (True, 77)
    assert outcomes[0].activity.event_id == "evt-1"
    lookups = shop.api.lookups
    assert await told(shop, happening("evt-1")) == outcomes
    assert (shop.api.lookups, shop.api.requests) == (lookups, 1)
    assert await told(shop, notification("promotionIssued", at=2, issualId=77)) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("die_at", [None, *Checkpoint])
async def test_a_kill_while_an_attempt_is_settled_by_a_notification(die_at: Checkpoint | None) -> None:
    """The notification comes again, and the outcome is told at least once and always the same."""
    shop = Shop(TRUSTING)
    shop.api.script.extend([(True, LOST)])
    shop.wait(1)
    await shop.handle(happening("evt-1"), die_at=Checkpoint.ANSWERED)
    notified = notification("promotionIssued", at=2, issualId=77)
    for entries_left in (0, 1, None):
        await shop.handle(notified, entries_left=entries_left, die_at=die_at)
    await told(shop, notified, happening("evt-1"))
    first = shop.told[0]
    assert shop.told == [first] * len(shop.told)
    assert (first.issual_id, shop.api.requests) == (77, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("at", [-5.0, 0.5])
async def test_an_enrolment_from_before_the_attempt_proves_nothing(at: float) -> None:
    """The attempt is found out as ever."""
    shop = Shop(TRUSTING)
    shop.api.script.extend([(False, LOST)])
    shop.wait(1)
    await shop.handle(happening("evt-1"), die_at=Checkpoint.ANSWERED)
    assert await told(shop, notification("promotionIssued", at=at, issualId=77)) == []
    (standing,) = (shop.ledger.standing(CUSTOMER, shop.subject),)
    assert standing.attempt is not None


@pytest.mark.asyncio
async def test_a_notification_of_our_own_enrolment_changes_nothing() -> None:
    """It is known by its id: no entry is written."""
    shop = Shop(TRUSTING)
    (outcome,) = await told(shop, happening("evt-1"))
    before = dict(shop.ledger.standings)
    await told(shop, notification("promotionIssued", at=9, issualId=outcome.issual_id))
    assert shop.ledger.standings == before


@pytest.mark.asyncio
@pytest.mark.parametrize(("again", "requests"), [(False, 1), (True, 2)])
async def test_an_enrolment_is_taken_back(again: bool, requests: int) -> None:  # noqa: FBT001 - a table
    """Once is once, unless the operator wants it otherwise; then under another key."""
    shop = Shop(replace(policy(reenrol_after_revoke=again), trust_seconds=600.0), with_timeline=False)
    (outcome,) = await told(shop, happening("evt-1"))
    revoked = notification("revokeIssuedPromotion", at=1.5, revokedIssualId=outcome.issual_id)
    await told(shop, revoked)
    assert shop.ledger.memory(CUSTOMER).seen is None
    (after,) = await told(shop, happening("evt-2"))
    assert shop.api.requests == requests
    assert (after.outcome == "ENROLLED") is again
    assert after.idempotency_key != outcome.idempotency_key
    await told(shop, revoked)
    shop.wait(SETTLE)
    await told(shop, happening("evt-4"))
    assert names(await told(shop, happening("evt-3"))) == [("ALREADY_ENROLLED", True)]
    assert shop.api.requests == requests


@pytest.mark.asyncio
async def test_an_enrolment_that_nobody_told_of_is_taken_back() -> None:
    """Who was enrolled by another channel and taken back is not enrolled by us, with once."""
    shop = Shop(TRUSTING)
    outcomes = await told(
        shop, notification("revokeIssuedPromotion", revokedIssualId=5), happening("evt-1"), happening("evt-2")
    )
    assert names(outcomes) == [("ALREADY_ENROLLED", None), ("ALREADY_ENROLLED", True)]


@pytest.mark.asyncio
@pytest.mark.parametrize("trust_seconds", [0.0, 600.0])
async def test_notifications_tell_no_outcome(trust_seconds: float) -> None:
    """Not even with every event a trigger; they are heeded without the trust too, where that matters."""
    rules = Rules(trust_seconds=trust_seconds, triggers=frozenset({"*"}))
    shop = Shop(rules)
    for name in ("promotionCreated", "promotionUpdated", "promotionIssued", "revokeIssuedPromotion"):
        assert await told(shop, notification(name, issualId=5)) == []
    assert shop.api.lookups == 0
    assert {result for _, result in shop.tracker.activities} == {"feedback"}


@pytest.mark.asyncio
async def test_notifications_of_another_organisation() -> None:
    """They are passed over, and are no dead letters."""
    shop = Shop(replace(policy(org_id=1), trust_seconds=600.0))
    source = notification("promotionIssued", issualId=5)
    body = record({"eventName": "promotionIssued", "orgId": 2, "data": {"promotionId": 1}})
    assert await told(shop, replace(source, value=body.value)) == []
    assert shop.tracker.activities == [("promotionIssued", "other_organisation")]


@pytest.mark.asyncio
async def test_notifications_of_somebody_unknown() -> None:
    """Without an id, and by a name that nobody looked up, they change nothing and are counted."""
    shop = Shop(TRUSTING)
    source = record(
        {
            "eventName": "promotionIssued",
            "data": {
                "promotionId": 1,
                "loyaltyProgramId": PROGRAM,
                "customerIdentifiers": {"instore": {"mobile": MOBILE}},
            },
        }
    )
    await told(shop, source)
    assert shop.tracker.activities == [("promotionIssued", "feedback_of_unknown")]
    await told(shop, "evt-1", source)
    assert shop.tracker.activities[-1] == ("promotionIssued", "feedback")


@pytest.mark.asyncio
async def test_what_the_ledger_remembers_is_read_back() -> None:
    """Every field of it, whatever the API showed."""
    shop = Shop(TRUSTING)
    shop.api.readings.append(Found(CustomerPromotions(CUSTOMER, (shop.api.promotion(),))))
    await told(shop, happening("evt-1"))
    assert shop.ledger.memory(CUSTOMER) != Memory()
    assert shop.ledger.memory(CUSTOMER).valid is not None


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
    slow = _Slow(shop.sleep)
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


@pytest.mark.asyncio
async def test_a_notification_teaches_no_organisation() -> None:
    """What another organisation's notification names must not make our events foreign."""
    shop = Shop(TRUSTING)
    body = {"eventName": "promotionUpdated", "orgId": 2, "data": {"promotionId": 1}}
    assert names(await told(shop, record(body), "evt-1")) == [("ENROLLED", None)]


@pytest.mark.asyncio
async def test_a_notification_that_lacks_what_it_is_about_is_reported() -> None:
    """With the field that is missing, and no value."""
    shop = Shop(TRUSTING)
    await told(shop, notification("promotionIssued", promotionId="x"))
    assert shop.tracker.unusables == [("promotionIssued", "promotionId: missing or no id")]


@pytest.mark.asyncio
async def test_a_notification_without_a_time_settles_no_attempt() -> None:
    """It may be of an older enrolment."""
    shop = Shop(TRUSTING)
    shop.api.script.extend([(False, LOST)])
    shop.wait(1)
    await shop.handle(happening("evt-1"), die_at=Checkpoint.ANSWERED)
    untimed = notification("promotionIssued", issualId=77, promotionId=1)
    body = {name: value for name, value in json.loads(untimed.value or b"").items() if name != "createdAt"}
    assert await told(shop, record(body)) == []
    assert names(await told(shop, happening("evt-1")))[0][0] in ("ENROLLED", "ALREADY_ENROLLED")


@pytest.mark.asyncio
@pytest.mark.parametrize("again", [False, True])
async def test_an_attempt_that_was_applied_and_taken_back_is_not_repeated(again: bool) -> None:  # noqa: FBT001 - a table
    """That it was taken back shows that it was made; its event is told so."""
    shop = Shop(replace(policy(reenrol_after_revoke=again), trust_seconds=600.0))
    shop.api.script.append((True, LOST))
    shop.wait(1)
    await shop.handle(happening("evt-1"), die_at=Checkpoint.ANSWERED)
    shop.api.applied.clear()
    revoked = notification("revokeIssuedPromotion", at=2.5, revokedIssualId=77)
    shop.wait(1)
    (outcome,) = await told(shop, revoked)
    assert (outcome.outcome, outcome.issual_id) == ("ENROLLED", 77)
    assert await told(shop, happening("evt-1"), revoked) == [outcome]
    assert shop.api.requests == 1
    (after,) = await told(shop, happening("evt-2"))
    assert (after.outcome == "ENROLLED") is again


@pytest.mark.asyncio
async def test_an_attempt_beside_anothers_enrolment_is_not_repeated() -> None:
    """An enrolment from before the attempt is told of while that is open: once is once."""
    shop = Shop(TRUSTING)
    shop.api.script.append((False, LOST))
    shop.wait(1)
    await shop.handle(happening("evt-1"), die_at=Checkpoint.ANSWERED)
    await told(shop, notification("promotionIssued", at=-5, issualId=77))
    assert names(await told(shop, happening("evt-1"))) == [("ALREADY_ENROLLED", None)]
    assert shop.api.requests == 1


@pytest.mark.asyncio
async def test_a_plan_from_before_a_revocation_uses_no_key_again() -> None:
    """Whoever enrolled since: the key may have been used."""
    shop = Shop(replace(policy(reenrol_after_revoke=True), trust_seconds=600.0), with_timeline=False)
    shop.api.script.append((False, Unsent(FaultKind.BUSY, "busy")))
    shop.api.script.extend([(False, Unsent(FaultKind.BUSY, "busy"))] * 9)
    await shop.handle(happening("evt-1"), attempts=1)
    (deferred,) = shop.deferred or [happening("evt-1")]
    shop.api.script.clear()
    (enrolled,) = await told(shop, happening("evt-2"))
    await told(
        shop,
        notification("revokeIssuedPromotion", at=3, revokedIssualId=enrolled.issual_id),
        notification("promotionIssued", at=4, issualId=99),
        notification("revokeIssuedPromotion", at=5, revokedIssualId=99),
    )
    await told(shop, deferred)
    keys = [one.key for one in shop.api.applied]
    assert len(keys) == len(set(keys))


@pytest.mark.asyncio
@pytest.mark.parametrize("createdAt", [None, 3600.0])
async def test_a_revocation_counts_once_however_often_it_is_told(createdAt: float | None) -> None:  # noqa: N803 - the API's
    """Without a time, or with one ahead, only its id tells which enrolment is meant."""
    shop = Shop(replace(policy(reenrol_after_revoke=True), trust_seconds=600.0), with_timeline=False)
    await told(shop, happening("evt-1"))
    source = notification("revokeIssuedPromotion", at=createdAt or 0)
    body = json.loads(source.value or b"")
    if createdAt is None:
        del body["createdAt"]
    revoked = record(body)
    for number in range(3):
        await told(shop, revoked, happening(f"evt-more-{number}"))
    assert shop.api.requests == 1


def _text(shop: Shop) -> str:
    at: datetime = NOW + timedelta(seconds=shop.sleep.elapsed())
    return at.isoformat()
