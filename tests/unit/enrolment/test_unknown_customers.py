"""An event whose customer is unknown: what was told once is told again, and nobody is asked."""

from datetime import timedelta

import pytest

from tests.support.use_case.fakes import FakeLedger
from tests.support.use_case.scripted import Process
from tests.support.use_case.values import found, promotion
from worker.domain.answers import CustomerNotFound, Issued, Notice
from worker.enrolment.rules import Rules

UNKNOWN = CustomerNotFound((Notice(8015, "customer not found"),))
AGAIN = Rules(retry_rejected=True)


@pytest.mark.asyncio
async def test_an_event_that_is_handled_again_asks_nothing() -> None:
    """Sixty of them, by the next process: identical outcomes, no lookup."""
    ledger = FakeLedger()
    first = Process(ledger, lookups=[UNKNOWN])
    for number in range(60):
        assert await first.handle(f"event {number}", 1800) == ["CUSTOMER_NOT_FOUND"]
    second = Process(ledger, lookups=[found(promotion(1))])
    for number in range(60):
        await second.handle(f"event {number}", 1800)
    assert [call for call in second.journal if call[0] == "lookup"] == []
    # The second process has offsets of its own: what is told is what was told.
    assert second.publisher.outcomes == first.publisher.outcomes


@pytest.mark.asyncio
async def test_an_operator_has_it_asked_again() -> None:
    """What comes of that takes the place of what was kept."""
    ledger = FakeLedger()
    await Process(ledger, lookups=[UNKNOWN]).handle("event", 1800)
    assert await Process(ledger, AGAIN, lookups=[UNKNOWN]).handle("event", 1800) == ["CUSTOMER_NOT_FOUND"]
    assert await Process(ledger, AGAIN, lookups=[found()]).handle("event", 1800) == ["NO_PROMOTION_AVAILABLE"]
    replay = Process(ledger, lookups=[UNKNOWN])
    assert await replay.handle("event", 1800) == ["NO_PROMOTION_AVAILABLE"]
    assert replay.journal == [("publish", "NO_PROMOTION_AVAILABLE", None)]


@pytest.mark.asyncio
async def test_it_is_enrolled_when_it_is_asked_again_and_known_by_then() -> None:
    """With a plan of its own, and told the same by a replay."""
    ledger = FakeLedger()
    await Process(ledger, lookups=[UNKNOWN]).handle("event", 1800)
    asked = Process(ledger, AGAIN, [found(promotion(1))], {1: [Issued(7, ())]})
    assert await asked.handle("event", 1800) == ["ENROLLED"]
    assert await Process(ledger, lookups=[UNKNOWN]).handle("event", 1800) == ["ENROLLED"]


@pytest.mark.asyncio
async def test_another_event_of_the_customer_asks() -> None:
    """Known is what became of the event, not of the customer."""
    ledger = FakeLedger()
    await Process(ledger, lookups=[UNKNOWN]).handle("event", 1800)
    assert await Process(ledger).handle("another", 1800) == ["ENROLLED"]


@pytest.mark.asyncio
async def test_what_is_deferred_or_only_looked_at_is_not_kept() -> None:
    """Within its grace the retry has to ask anew; a dry run writes nothing."""
    ledger = FakeLedger()
    young = Process(ledger, Rules(not_found_grace=timedelta(hours=1)), lookups=[UNKNOWN])
    assert await young.handle("event", 1800) == ["DEFERRED"]
    assert ledger.plans == {}
    assert await Process(ledger).handle("event", 1800) == ["ENROLLED"]
    dry = FakeLedger()
    assert await Process(dry, Rules(dry_run=True), [UNKNOWN]).handle("event", 1) == ["CUSTOMER_NOT_FOUND"]
    assert dry.plans == {}
