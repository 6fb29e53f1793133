"""An attempt that stayed open, and the customer's next event: amid fakes of the ports."""

from collections.abc import Sequence

import pytest

from tests.support.use_case.building import UseCase, virtual
from tests.support.use_case.fakes import (
    FakeApi,
    FakeLedger,
    FakePublisher,
    FakeSleep,
    FakeTracker,
    JournalEntry,
    retrying_with,
)
from tests.support.use_case.values import CUSTOMER, NOW, event, found, promotion, record
from worker.domain.answers import Doubtful, FaultKind, IssueAnswer, Issued, LookupAnswer
from worker.domain.promotions import Promotion, TimelineEntry
from worker.domain.settlement import Subject
from worker.enrolment.ports import PublishFailed
from worker.resilience.retrying import RetryPolicy

LOST = Doubtful(FaultKind.TIMEOUT, "slow")
OPEN = promotion(1)
SHOWN = promotion(1, timeline=[TimelineEntry(12, NOW, None)])
SUBJECT = Subject.of(OPEN, 1800)


async def _handle(
    ledger: FakeLedger,
    event_id: str,
    lookups: Sequence[LookupAnswer],
    issues: Sequence[IssueAnswer] = (),
    *,
    refuse_at: int | None = None,
) -> list[tuple[str, str, bool | None]]:
    """Handle an event; return event, outcome and whether it was reconciled, of each outcome told."""
    journal: list[JournalEntry] = []
    sleep, tracker = FakeSleep(), FakeTracker()
    publisher = FakePublisher(journal, refuse_at, PublishFailed("enrolment-outcomes: NotEnoughReplicas"))
    use_case = UseCase(
        api=FakeApi(journal, lookups, {1: issues}),
        ledger=ledger,
        publisher=publisher,
        tracker=tracker,
        time=virtual(sleep),
        retrying=retrying_with(RetryPolicy(1), tracker, sleep),
    )
    await use_case.handle(record(event(eventId=event_id)))
    return [(o.activity.event_id, o.outcome.value, o.reconciled) for _, o in publisher.outcomes]


async def _left_open(ledger: FakeLedger) -> None:
    """Let the event "first" lose its answer, with nothing to be read of the customer afterwards."""
    told = await _handle(ledger, "first", [found(OPEN), LOST], [LOST])
    assert told == [("first", "DEFERRED", None)]
    assert ledger.standing(CUSTOMER, SUBJECT).attempt is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("listed", [OPEN, SHOWN], ids=["shows later", "shows in the lookup"])
async def test_an_open_attempt_that_succeeded_is_told_before_the_next_event_is_settled(
    listed: Promotion,
) -> None:
    """The first event must get its ENROLLED, also where the lookup already shows what became of it."""
    ledger = FakeLedger()
    await _left_open(ledger)
    told = await _handle(ledger, "second", [found(listed), found(SHOWN)])
    assert told == [("first", "ENROLLED", True), ("second", "ALREADY_ENROLLED", None)]
    assert ledger.standing(CUSTOMER, SUBJECT).attempt is None


@pytest.mark.asyncio
async def test_an_open_attempt_that_came_to_nothing_makes_room_for_the_next_event() -> None:
    """The first event comes again later; the second enrols."""
    ledger = FakeLedger()
    await _left_open(ledger)
    told = await _handle(ledger, "second", [found(OPEN)], [Issued(3, ())])
    assert told == [("second", "ENROLLED", None)]


@pytest.mark.asyncio
async def test_an_open_attempt_is_closed_only_once_its_outcome_is_told() -> None:
    """Where the outcome was not acknowledged, the replay must tell it: nobody else knows of it."""
    ledger = FakeLedger()
    await _left_open(ledger)
    with pytest.raises(PublishFailed):
        await _handle(ledger, "second", [found(OPEN), found(SHOWN)], refuse_at=0)
    (result,) = ledger.results.values()
    assert await _handle(ledger, "second", [found(SHOWN)]) == [
        ("first", "ENROLLED", True),
        ("second", "ALREADY_ENROLLED", None),
    ]
    assert ledger.results["first", SUBJECT] is result
