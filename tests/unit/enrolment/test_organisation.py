"""One organisation for a credential: one standing, one key, whatever events say or leave out."""

from collections.abc import Sequence
from typing import Final

import pytest

from tests.support.use_case.fakes import FakeLedger
from tests.support.use_case.scripted import Process
from tests.support.use_case.values import AT, CUSTOMER, NOW, PROGRAM, found, promotion
from worker.domain.answers import Doubtful, FaultKind, Issued, Notice, NotIssued
from worker.domain.evidence import Evidence
from worker.domain.identity import Reenrol, idempotency_key
from worker.domain.ledger import Attempt, Enrolment, Limit, Standing
from worker.domain.limits import LimitReason
from worker.domain.plan import Policy
from worker.domain.promotions import Promotion
from worker.domain.settlement import Subject
from worker.enrolment.rules import Rules
from worker.ledger.entries import LedgerEntry, OrganisationEntry, StandingEntry

ORG: Final = 1800
LISTED: Final = promotion(1, timeline=None)
"""It stays listed and shows no timeline: the ledger alone remembers."""
LOST: Final = Doubtful(FaultKind.TIMEOUT, "slow")
DONE: Final = Issued(7, ())


def key_of(org: int, *, count: int = 0, reenrol: Reenrol = Reenrol.ONCE, event_id: str = "-") -> str:
    """Return the key of our customer's enrolment."""
    return idempotency_key(
        org_id=org,
        customer_id=CUSTOMER,
        program_id=PROGRAM,
        promotion_id=1,
        reenrol=reenrol,
        event_id=event_id,
        timeline_entries=count,
    )


async def written(ledger: FakeLedger, org: int, standing: Standing, one: Promotion = LISTED) -> None:
    """Put a standing into the ledger as an earlier release did: under what the event named, beside others."""
    entry: LedgerEntry = StandingEntry(CUSTOMER, Subject.of(one, org), standing)
    other = FakeLedger()
    await other.write(entry)
    ledger.standings.update(other.standings)


@pytest.mark.asyncio
@pytest.mark.parametrize("orgs", [(None, ORG, None), (ORG, None, ORG)], ids=["silent first", "named first"])
@pytest.mark.parametrize("reenrol", [Reenrol.ONCE, Reenrol.AFTER_EXPIRY])
@pytest.mark.parametrize("restarts", [False, True], ids=["one process", "a new one each time"])
async def test_a_silent_event_enrols_nobody_twice(
    orgs: Sequence[int | None], reenrol: Reenrol, *, restarts: bool
) -> None:
    """One request in all; with after-expiry, too, as long as nothing new is to be seen of the customer."""
    ledger, rules = FakeLedger(), Rules(policy=Policy(reenrol=reenrol))
    process, told, keys = Process(ledger, rules), [], []
    for number, org in enumerate(orgs):
        told += await process.handle(f"event {number}", org)
        if restarts:
            keys += process.keys
            process = Process(ledger, rules)
    assert told == ["ENROLLED", "ALREADY_ENROLLED", "ALREADY_ENROLLED"]
    assert keys + process.keys == [key_of(orgs[0] or 0, reenrol=reenrol)]


@pytest.mark.asyncio
@pytest.mark.parametrize("org", [0, ORG])
@pytest.mark.parametrize("reenrol", [Reenrol.ONCE, Reenrol.AFTER_EXPIRY])
@pytest.mark.parametrize("configured", [None, ORG])
@pytest.mark.parametrize("named", [None, ORG])
async def test_what_an_earlier_release_wrote_counts(
    org: int, reenrol: Reenrol, configured: int | None, named: int | None
) -> None:
    """Under what the event named, or under nothing; also when ORG_ID is set later."""
    ledger = FakeLedger()
    await written(
        ledger, org, Standing(Enrolment(key=key_of(org, reenrol=reenrol), event_id="old", attempts=1))
    )
    process = Process(ledger, Rules(policy=Policy(org_id=configured, reenrol=reenrol)))
    assert await process.handle("new", named) == ["ALREADY_ENROLLED"]
    assert process.keys == []


@pytest.mark.asyncio
@pytest.mark.parametrize("reenrol", list(Reenrol))
@pytest.mark.parametrize(("before", "after"), [(None, ORG), (ORG, None)])
async def test_an_attempt_left_open_is_settled_first_and_never_under_a_second_key(
    reenrol: Reenrol, before: int | None, after: int | None
) -> None:
    """The second event finds out what became of it; the first one's retry goes on under its own key."""
    ledger = FakeLedger()
    shows = promotion(1)
    rules = Rules(policy=Policy(reenrol=reenrol))
    first = Process(ledger, rules, [found(shows), LOST], {1: [LOST]})
    assert await first.handle("first", before) == ["DEFERRED"]
    second = Process(ledger, rules, [found(shows)], {1: [LOST]})
    await second.handle("second", after)
    retried = Process(ledger, rules, [found(shows)])
    await retried.handle("first", before)
    of_first = key_of(before or 0, reenrol=reenrol, event_id="first")
    # The organisation was learnt from the first event where that one named it.
    of_second = key_of(ORG, reenrol=reenrol, event_id="second")
    assert (first.keys, retried.keys) == ([of_first], [of_first])
    assert set(second.keys) == {of_second if reenrol is Reenrol.EVERY_EVENT else of_first}


@pytest.mark.asyncio
async def test_a_plan_frozen_before_an_organisation_was_learnt_asks_for_nothing_that_was_got_since() -> None:
    """With after-expiry the older key stands for the same enrolment as the newer one."""
    ledger, rules = FakeLedger(), Rules(policy=Policy(reenrol=Reenrol.AFTER_EXPIRY))
    unasked = Process(ledger, rules, issues={1: [NotIssued((Notice(4711, "no"),))]})
    assert await unasked.handle("first", None) == ["REJECTED"]
    other = Process(ledger, rules)
    assert await other.handle("second", ORG) == ["ENROLLED"]
    again = Process(ledger, Rules(policy=rules.policy, retry_rejected=True))
    assert await again.handle("first", None) == ["ALREADY_ENROLLED"]
    assert (other.keys, again.keys) == ([key_of(ORG, reenrol=Reenrol.AFTER_EXPIRY)], [])


@pytest.mark.asyncio
async def test_a_limit_cools_down_whatever_organisation_it_was_met_under() -> None:
    """And the key that follows it is the next one."""
    ledger = FakeLedger()
    await written(ledger, 0, Standing(limit=Limit(NOW, LimitReason.CUSTOMER_LIMIT), settled_limits=1))
    assert await Process(ledger).handle("new", ORG) == ["LIMIT_EXHAUSTED"]


@pytest.mark.asyncio
async def test_two_standings_of_an_earlier_release_are_one_from_now_on() -> None:
    """Both open attempts are settled, one after the other, before anything is sent."""
    ledger = FakeLedger()
    for org, name in ((0, "silent"), (ORG, "named")):
        await written(
            ledger,
            org,
            Standing(attempt=Attempt(event_id=name, key=key_of(org), number=1, noted=Evidence((), None))),
        )
    process = Process(ledger, lookups=[found(promotion(1))])
    assert await process.handle("new", ORG) == ["ENROLLED"]
    assert process.keys == [key_of(ORG)]
    both = [ledger.standing(CUSTOMER, Subject.of(LISTED, org)) for org in (0, ORG)]
    assert both[0] == both[1]
    assert both[0].attempt is None
    assert both[0].enrolment is not None


@pytest.mark.asyncio
async def test_it_is_learnt_once_for_every_partition_and_kept_in_each_before_it_matters() -> None:
    """An event that names another one afterwards is dead-lettered, with the field; also after a restart."""
    ledger = FakeLedger()
    process = Process(ledger)
    await process.handle("first", ORG, partition=3)
    assert ledger.learnt == {3: ORG}
    await process.handle("silent", None, partition=5)
    assert ledger.learnt == {3: ORG, 5: ORG}
    assert process.publisher.outcomes[-1][1].org_id == ORG
    for each in (process, Process(ledger)):
        assert await each.handle("foreign", ORG + 1, partition=7) == ["DEAD_LETTERED"]
        (_, failure), *_ = each.publisher.dead_letters
        assert failure.reason == "other_organisation"
        assert failure.message.startswith("orgId: ")
        assert "ENROLMENT_ORG_ID" in failure.message
        assert str(ORG) not in failure.message
    assert ledger.learnt == {3: ORG, 5: ORG, 7: ORG}


@pytest.mark.asyncio
@pytest.mark.parametrize("rules", [Rules(policy=Policy(org_id=ORG)), Rules(dry_run=True)])
async def test_it_is_not_written_where_it_is_configured_or_nothing_may_be(rules: Rules) -> None:
    """A dry run learns for itself."""
    ledger = FakeLedger()
    process = Process(ledger, rules)
    await process.handle("first", ORG)
    assert ledger.learnt == {}
    assert await process.handle("other", ORG + 1) == ["DEAD_LETTERED"]


@pytest.mark.asyncio
async def test_a_promotions_own_organisation_is_not_ours() -> None:
    """With v2.1 a promotion may be a connected organisation's: nothing is learnt from it."""
    ledger = FakeLedger()
    process = Process(ledger, lookups=[found(promotion(1, org_id=200, timeline=None))])
    assert await process.handle("first", None) == ["ENROLLED"]
    assert ledger.learnt == {}
    assert process.publisher.outcomes[-1][1].org_id == 200
    assert await process.handle("second", ORG) == ["ALREADY_ENROLLED"]
    assert ledger.learnt == {AT.partition: ORG}


@pytest.mark.asyncio
async def test_partitions_that_learnt_different_ones_keep_them() -> None:
    """Two replicas may learn at once; what a partition decided by must not change under it."""
    ledger = FakeLedger()
    await ledger.write(OrganisationEntry(AT.partition, ORG + 1))
    process = Process(ledger)
    process.use_case.enrolments._organisation._learnt = ORG
    assert await process.handle("first", ORG) == ["DEAD_LETTERED"]
    assert await process.handle("second", ORG + 1) == ["ENROLLED"]
