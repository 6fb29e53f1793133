"""How old an event is at its last outcome."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.use_case.answers import BROKEN
from tests.support.use_case.consumer_group import ConsumerGroup
from tests.support.use_case.values import NOW, event, found, promotion, record
from topics.record import Record
from worker.domain.answers import Issued

HOUR = 3600.0
WRITTEN_MS = round((NOW - timedelta(hours=2)).timestamp() * 1000)


def source(hours: float | None, written_ms: int = WRITTEN_MS) -> Record:
    """Return the record of an event that says it is so old."""
    at = None if hours is None else (NOW - timedelta(hours=hours)).isoformat()
    return record(event(occurredAt=at), timestamp_ms=written_ms)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("hours", "written_ms", "ages"),
    [
        (3.0, WRITTEN_MS, [3 * HOUR]),
        (None, WRITTEN_MS, [2 * HOUR]),
        # No event happens days after it was written.
        (-72.0, WRITTEN_MS, [2 * HOUR]),
        # Neither tells a time.
        (None, -1, []),
        (3.0, -1, [3 * HOUR]),
    ],
)
async def test_age_counts_from_the_events_own_time_else_the_records(
    hours: float | None, written_ms: int, ages: list[float]
) -> None:
    """Once, whatever it led to."""
    group = ConsumerGroup()
    answers = {1: [Issued(1, ())], 2: [Issued(2, ())]}
    told = await group.handle(source(hours, written_ms), [found(promotion(1), promotion(2))], answers)
    assert told == [("ENROLLED", 1), ("ENROLLED", 2)]
    assert group.ages == ages


@pytest.mark.asyncio
async def test_what_is_put_off_is_not_at_its_last_outcome() -> None:
    """The original's time counts, not that of the record on the retry topic."""
    group = ConsumerGroup()
    await group.handle(source(None), [BROKEN])
    assert group.ages == []
    later = replace(group.retry(), timestamp_ms=round(NOW.timestamp() * 1000))
    await group.handle(later, [found(promotion(1))], {1: [Issued(1, ())]})
    assert group.ages == [2 * HOUR]


@pytest.mark.asyncio
async def test_dead_letters_count_and_what_leads_to_no_outcome_does_not() -> None:
    """A dead letter is an end; a tombstone is nothing."""
    group = ConsumerGroup()
    await group.handle(record(b"no event", timestamp_ms=WRITTEN_MS), [])
    assert group.ages == [2 * HOUR]
    await group.handle(record(None, timestamp_ms=WRITTEN_MS), [])
    assert len(group.ages) == 1
