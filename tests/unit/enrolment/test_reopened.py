"""A promotion that was rejected and is asked for anew: what an earlier request came to counts no more."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.use_case.honest_api import SETTLE, Shop, redriven
from tests.support.use_case.values import CUSTOMER, event, record
from worker.domain.answers import CustomerNotFound, Doubtful, FaultKind, IssueAnswer, Notice, Refused, Unsent
from worker.domain.evidence import Evidence
from worker.domain.ledger import Attempt, Standing
from worker.domain.promotions import Identifier, IdentifierName
from worker.enrolment.checkpoints import Checkpoint
from worker.ledger.entries import StandingEntry

LOST = Doubtful(FaultKind.TIMEOUT, "slow")
REFUSED = Refused((Notice(8874, "promotion id passed is invalid"),))
UNHEARD = Doubtful(FaultKind.TIMEOUT, "reading")


async def _rejected(shop: Shop, answer: IssueAnswer = REFUSED) -> None:
    shop.api.script.append((False, answer))
    await shop.handle()
    assert shop.finals("evt-1") == {"REJECTED"}


@pytest.mark.asyncio
@pytest.mark.parametrize("with_timeline", [True, False])
async def test_a_lost_answer_to_a_reopened_request_is_looked_into(with_timeline: bool) -> None:  # noqa: FBT001 - a parameter
    """The old rejection must not be taken for the fate of the new request."""
    shop = Shop(with_timeline=with_timeline)
    await _rejected(shop)
    shop.api.script.append((True, LOST))
    assert await shop.handle(reopens=True) == ["ENROLLED"]
    assert len(shop.api.applied) == shop.api.requests - 1 == 1
    assert await shop.handle(reopens=True) == ["ENROLLED"]
    assert shop.api.requests == 2


@pytest.mark.asyncio
async def test_a_redrive_is_looked_into_as_well() -> None:
    """A record that bears the mark of a redrive reopens what was rejected, in the retry topics too."""
    shop = Shop()
    await _rejected(shop)
    shop.api.script.append((True, LOST))
    assert await shop.handle(redriven(record(event()))) == ["ENROLLED"]
    assert len(shop.api.applied) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("died_at", [Checkpoint.PLANNED, Checkpoint.ANSWERED, Checkpoint.RECORDED])
@pytest.mark.parametrize("who", ["replay", "replay that reopens", "next event"])
async def test_a_process_that_dies_after_the_reopening(died_at: Checkpoint, who: str) -> None:
    """Whoever comes next finds out first; the stale rejection is not told again, nothing is applied twice."""
    shop = Shop()
    await _rejected(shop)
    shop.told.clear()
    assert await shop.handle(reopens=True, die_at=died_at) == []
    if who == "next event":
        await shop.handle("evt-2")
        await shop.handle("evt-1")
    else:
        await shop.handle("evt-1", reopens=who != "replay")
    assert "REJECTED" not in shop.finals("evt-1")
    assert len(shop.api.applied) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("left", range(6))
async def test_a_process_that_dies_in_the_middle_of_a_batch(left: int) -> None:
    """Of what is written for one step a part is like a process that died in between."""
    shop = Shop()
    await _rejected(shop)
    await shop.handle(reopens=True, entries_left=left)
    await shop.handle("evt-2")
    await shop.handle("evt-1", reopens=True)
    assert len(shop.api.applied) == 1


@pytest.mark.asyncio
async def test_the_customers_next_event_meets_a_reopened_request() -> None:
    """It tells the first event's enrolment, and neither its old rejection nor a second enrolment."""
    shop = Shop()
    await _rejected(shop)
    shop.told.clear()
    shop.api.script.append((True, LOST))
    shop.api.readings.extend([UNHEARD] * 9)
    assert await shop.handle(reopens=True, attempts=1) == ["DEFERRED"]
    shop.api.readings.clear()
    assert shop.ledger.standing(CUSTOMER, shop.subject).attempt is not None
    assert await shop.handle("evt-2") == ["ENROLLED", "ALREADY_ENROLLED"]
    assert [one.activity.event_id for one in shop.told[-2:]] == ["evt-1", "evt-2"]
    assert await shop.handle("evt-1") == ["ENROLLED"]
    assert len(shop.api.applied) == 1


@pytest.mark.asyncio
async def test_a_retry_of_a_reopened_request_goes_on_without_the_operator() -> None:
    """DEFERRED promises a final outcome: whoever gets the retry asks, and does not tell the old rejection."""
    shop = Shop()
    await _rejected(shop)
    shop.told.clear()
    shop.api.script.extend([(False, Unsent(FaultKind.TOO_EARLY, "HTTP 425"))] * 9)
    assert (await shop.handle(reopens=True, attempts=1))[-1] == "DEFERRED"
    shop.api.script.clear()
    assert await shop.handle("evt-1") == ["ENROLLED"]


@pytest.mark.asyncio
async def test_a_request_that_is_rejected_twice_can_be_reopened_twice() -> None:
    """Each reopening asks once; without one the last rejection is told again."""
    shop = Shop()
    await _rejected(shop)
    shop.api.script.append((False, REFUSED))
    assert await shop.handle(reopens=True) == ["REJECTED"]
    assert await shop.handle() == ["REJECTED"]
    assert shop.api.requests == 2
    shop.api.script.append((True, LOST))
    assert await shop.handle(reopens=True) == ["ENROLLED"]
    assert (len(shop.api.applied), shop.api.requests) == (1, 3)


@pytest.mark.asyncio
async def test_an_unknown_customer_is_not_asked_for_again() -> None:
    """8015 of a request is final: a redrive reopens rejections only."""
    shop = Shop()
    shop.api.script.append((False, CustomerNotFound((Notice(8015, "customer not found"),))))
    assert await shop.handle() == ["CUSTOMER_NOT_FOUND"]
    assert await shop.handle(reopens=True) == ["CUSTOMER_NOT_FOUND"]
    assert shop.api.requests == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("who", ["replay", "replay that reopens", "next event"])
@pytest.mark.parametrize("was_applied", [True, False])
async def test_what_an_earlier_release_reopened_is_looked_into(who: str, was_applied: bool) -> None:  # noqa: FBT001 - a parameter
    """Its entries do not say whether the rejection is that of the open attempt: a reading does."""
    shop = Shop()
    await _rejected(shop)
    key = shop.ledger.plans["evt-1"].steps[0].key  # type: ignore[union-attr]  # it is a request
    standing = Standing(attempt=Attempt(event_id="evt-1", key=key, number=1, noted=Evidence((), None)))
    await shop.ledger.write(StandingEntry(CUSTOMER, shop.subject, standing))
    if was_applied:
        await shop.api.issue(Identifier(IdentifierName.CUSTOMER_ID, str(CUSTOMER)), 1, 1, key)
    shop.told.clear()
    if who == "next event":
        await shop.handle("evt-2")
        await shop.handle("evt-1")
    else:
        await shop.handle("evt-1", reopens=who != "replay")
    assert len(shop.api.applied) == 1
    if was_applied:
        assert shop.finals("evt-1") == {"ENROLLED"}


@pytest.mark.asyncio
async def test_a_rejection_whose_standing_was_not_written_is_believed() -> None:
    """The process died between the two entries: the attempt has its own result, and nobody need be asked."""
    shop = Shop()
    shop.api.script.append((False, REFUSED))
    await shop.handle(entries_left=4)
    standing = shop.ledger.standing(CUSTOMER, shop.subject)
    assert standing.attempt is not None
    lookups = shop.api.lookups
    assert await shop.handle("evt-2") == ["ENROLLED"]
    assert shop.api.lookups == lookups + 1
    assert standing == replace(standing, enrolment=None)


_SCRIPTS = st.lists(
    st.tuples(st.booleans(), st.just(LOST)) | st.just((False, REFUSED)) | st.just((True, None)), max_size=6
)
_LIVES = st.lists(
    st.tuples(
        st.sampled_from(["evt-1", "evt-2"]),
        st.booleans(),
        st.none() | st.sampled_from(Checkpoint) | st.integers(0, 5),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.asyncio
@settings(deadline=None)
@given(_SCRIPTS, _LIVES, st.booleans(), st.sampled_from([0.0, SETTLE]))
async def test_whatever_is_reopened_is_applied_at_most_once(
    script: list[tuple[bool, IssueAnswer | None]],
    lives: list[tuple[str, bool, Checkpoint | int | None]],
    with_timeline: bool,  # noqa: FBT001 - a parameter
    shows_after: float,
) -> None:
    """Refused, lost and applied in any row, with and without an operator, by processes that die."""
    shop = Shop(with_timeline=with_timeline, shows_after=shows_after)
    shop.api.script.extend(script)
    for event_id, reopens, dies in lives:
        await shop.handle(
            event_id,
            reopens=reopens,
            die_at=dies if isinstance(dies, Checkpoint) else None,
            entries_left=dies if isinstance(dies, int) else None,
        )
    shop.api.script.clear()
    shop.told.clear()
    for event_id in ("evt-1", "evt-2"):
        await shop.handle(event_id, reopens=True)
    assert len(shop.api.applied) == 1
    last = {one.activity.event_id: one.outcome.value for one in shop.told}
    assert sorted(last.values()) == ["ALREADY_ENROLLED", "ENROLLED"]
