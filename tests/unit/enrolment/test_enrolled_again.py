"""Customers who are enrolled again and again: each request is judged by its own enrolment, and told once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.use_case.honest_api import SETTLE, MortalLedger, Shop, policy
from tests.support.use_case.values import CUSTOMER, NOW, event, record
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    FaultKind,
    Found,
    LookupAnswer,
    Notice,
    NotIssued,
    Refused,
    Unsent,
)
from worker.domain.identity import Reenrol
from worker.domain.ledger import UNKNOWN, Standing
from worker.domain.promotions import CustomerPromotions
from worker.domain.settlement import Subject
from worker.enrolment.checkpoints import Checkpoint
from worker.enrolment.rules import Rules
from worker.ledger.entries import StandingEntry

BUSY = Unsent(FaultKind.BUSY, "busy: 521, try after some time")
LOST = Doubtful(FaultKind.TIMEOUT, "slow")
LIMIT = NotIssued((Notice(8890, "not issued"),))
EVERY_EVENT = policy(reenrol=Reenrol.EVERY_EVENT)
AFTER_EXPIRY = policy(reenrol=Reenrol.AFTER_EXPIRY)


@pytest.mark.asyncio
@pytest.mark.parametrize("with_timeline", [True, False])
async def test_an_enrolment_that_shows_late_is_not_taken_for_the_next_ones(with_timeline: bool) -> None:  # noqa: FBT001 - a parameter
    """The second request was lost: the first one's enrolment, which shows only now, is no evidence for it."""
    shop = Shop(EVERY_EVENT, with_timeline, shows_after=SETTLE - 1)
    assert await shop.handle("evt-1") == ["ENROLLED"]
    shop.api.script.append((False, LOST))
    assert await shop.handle("evt-2") == ["ENROLLED"]
    assert (len(shop.api.applied), shop.api.requests) == (2, 3)


@pytest.mark.asyncio
async def test_a_clock_that_is_set_meanwhile_makes_no_enrolment_old() -> None:
    """The API may set the clock that outcomes are told by: moments of ours are held against our own."""
    shop = Shop(EVERY_EVENT, shows_after=SETTLE - 1)
    assert await shop.handle("evt-1") == ["ENROLLED"]
    shop.set_ahead = 60.0
    shop.api.script.append((False, LOST))
    assert await shop.handle("evt-2") == ["ENROLLED"]
    assert len(shop.api.applied) == 2


@pytest.mark.asyncio
async def test_an_enrolment_between_a_plan_and_its_retry_is_not_taken_for_the_retrys() -> None:
    """What the plan noted is old by then: another event of ours was enrolled since."""
    shop = Shop(EVERY_EVENT)
    shop.api.script.extend([(False, LOST)] * 9)
    assert (await shop.handle("evt-1", attempts=1))[-1] == "DEFERRED"
    shop.api.script.clear()
    shop.wait(60)
    assert await shop.handle("evt-2") == ["ENROLLED"]
    shop.wait(60)
    shop.api.script.append((False, LOST))
    assert await shop.handle("evt-1") == ["ENROLLED"]
    assert len(shop.api.applied) == 2


@pytest.mark.asyncio
async def test_nobody_waits_for_an_enrolment_that_has_had_its_time() -> None:
    """Only within RECONCILE_SETTLE_SECONDS of our own last enrolment is a plan's reading not enough."""
    shop = Shop(EVERY_EVENT)
    await shop.handle("evt-1")
    shop.wait(SETTLE)
    waited, lookups = shop.sleep.elapsed(), shop.api.lookups
    assert await shop.handle("evt-2") == ["ENROLLED"]
    assert (shop.sleep.elapsed(), shop.api.lookups) == (waited, lookups + 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("ahead", [0, 3600])
async def test_a_time_that_is_missing_or_ahead_of_our_clock_costs_one_wait(ahead: int) -> None:
    """An earlier release noted no time, another replica's clock may be wrong: never more than one wait."""
    shop = Shop(EVERY_EVENT)
    await shop.handle("evt-1")
    standing = shop.ledger.standing(CUSTOMER, shop.subject)
    assert standing.enrolment is not None
    at = NOW + timedelta(seconds=ahead) if ahead else None
    changed = replace(standing, enrolment=replace(standing.enrolment, settled_at=at))
    await shop.ledger.write(StandingEntry(CUSTOMER, shop.subject, changed))
    shop.wait(600)
    before = shop.sleep.elapsed()
    assert await shop.handle("evt-2") == ["ENROLLED"]
    assert shop.sleep.elapsed() - before == SETTLE


@pytest.mark.asyncio
@pytest.mark.parametrize("reenrol", [Reenrol.AFTER_EXPIRY, Reenrol.ONCE])
async def test_what_was_told_without_a_request_is_told_again(reenrol: Reenrol) -> None:
    """The process died before its commit, the enrolment expired meanwhile: the outcome stays what it was."""
    shop = Shop(policy(reenrol=reenrol), lives=60)
    await shop.handle("evt-1")
    shop.wait(30)
    assert await shop.handle("evt-2", die_at=Checkpoint.TOLD) == ["ALREADY_ENROLLED"]
    shop.wait(60)
    assert await shop.handle("evt-2") == ["ALREADY_ENROLLED"]
    assert len(shop.api.applied) == 1


@pytest.mark.asyncio
async def test_a_limit_that_was_told_without_a_request_is_told_again() -> None:
    """Within the cool-down an 8890 is trusted; a replay after it must not enrol by the same event."""
    shop = Shop(Rules(limit_cool_down=timedelta(seconds=60)))
    shop.api.script.append((False, LIMIT))
    assert await shop.handle("evt-1") == ["LIMIT_EXHAUSTED"]
    assert await shop.handle("evt-2", die_at=Checkpoint.TOLD) == ["LIMIT_EXHAUSTED"]
    shop.wait(120)
    assert await shop.handle("evt-2") == ["LIMIT_EXHAUSTED"]
    assert await shop.handle("evt-3") == ["ENROLLED"]


@dataclass(frozen=True)
class Life:
    """One process that handles one event."""

    event: int
    applies: bool
    is_lost: bool
    dies: Checkpoint | int | None
    """At a checkpoint, or after so many ledger entries."""
    pause: float


_LIVES = st.lists(
    st.builds(
        Life,
        st.integers(1, 3),
        st.booleans(),
        st.booleans(),
        st.none() | st.sampled_from(Checkpoint) | st.integers(0, 4),
        st.sampled_from([0.0, 1.0, SETTLE, 61.0]),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.asyncio
@settings(deadline=None)
@given(_LIVES, st.booleans(), st.sampled_from([0.0, SETTLE - 1, SETTLE]))
async def test_as_many_are_told_as_were_applied(
    lives: Sequence[Life],
    with_timeline: bool,  # noqa: FBT001 - a parameter
    shows_after: float,
) -> None:
    """Whatever is lost and whoever dies: each event ends with its own enrolment, applied once."""
    shop = Shop(EVERY_EVENT, with_timeline, shows_after)
    events = await _live(shop, lives)
    assert [shop.finals(each) for each in events] == [{"ENROLLED"}] * len(events)
    assert len(shop.api.applied) == len(events)
    assert len({one.key for one in shop.api.applied}) == len(events)


@pytest.mark.asyncio
@settings(deadline=None)
@given(_LIVES, st.sampled_from([0.0, SETTLE - 1]))
async def test_after_expiry_each_event_has_one_final_outcome(
    lives: Sequence[Life], shows_after: float
) -> None:
    """An event that found an enrolment does not enrol after its expiry, and the other way round."""
    shop = Shop(AFTER_EXPIRY, shows_after=shows_after, lives=60)
    events = await _live(shop, lives)
    finals = [shop.finals(each) for each in events]
    assert [len(each) for each in finals] == [1] * len(events)
    assert finals.count({"ENROLLED"}) == len(shop.api.applied)
    assert len({one.key for one in shop.api.applied}) == len(shop.api.applied)
    times = [one.at for one in shop.api.applied]
    assert all(later - earlier >= 60 for earlier, later in pairwise(times))


async def _live(shop: Shop, lives: Sequence[Life]) -> list[str]:
    """Let the processes live one after another, then one that handles every event to its end."""
    for life in lives:
        shop.api.script.append((life.applies or not life.is_lost, LOST if life.is_lost else None))
        await shop.handle(
            f"evt-{life.event}",
            die_at=life.dies if isinstance(life.dies, Checkpoint) else None,
            entries_left=life.dies if isinstance(life.dies, int) else None,
        )
        shop.api.script.clear()
        shop.wait(life.pause)
    events = sorted({f"evt-{life.event}" for life in lives})
    for each in events:
        await shop.handle(each)
    return events


class _Elsewhere(MortalLedger):
    """Knows no standing: the customer's other key lies in another partition."""

    def standing(self, customer_id: int, subject: Subject) -> Standing:  # noqa: ARG002 - the port's
        """Know nothing."""
        return UNKNOWN


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("again", "told"),
    [
        (BUSY, "DEFERRED"),
        (CustomerNotFound((Notice(8015, "unknown"),)), "CUSTOMER_NOT_FOUND"),
        (Refused((Notice(9999, "no"),)), "REJECTED"),
    ],
    ids=str,
)
async def test_a_customer_under_two_keys_is_not_enrolled_by_an_old_reading(
    again: LookupAnswer, told: str
) -> None:
    """What was read before the other key's enrolment counts no more, also if it cannot be read again."""
    shop = Shop()
    shop.ledger = _Elsewhere()
    before = Found(CustomerPromotions(CUSTOMER, (shop.api.promotion(),)))
    shop.api.script.append((False, BUSY))
    shop.api.readings.extend([before, before, *[again] * 3])
    both = [record(event(eventId=name), key=name.encode()) for name in ("evt-1", "evt-2")]
    assert await shop.handle(*both) == ["ENROLLED", told]
    assert len(shop.api.applied) == 1
