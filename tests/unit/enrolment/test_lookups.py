"""The lookup: of a customer who was merged into another, and how urgent it is."""

from datetime import timedelta

import pytest

from tests.support.use_case.answers import UNKNOWN
from tests.support.use_case.consumer_group import ConsumerGroup
from tests.support.use_case.fakes import FakeLease
from tests.support.use_case.scripted import Scripted
from tests.support.use_case.values import NOW, event, found, promotion, record
from worker.domain.answers import (
    Issued,
    Notice,
    Refused,
    Throttled,
)
from worker.domain.priority import Priority
from worker.enrolment.delivery import Delivery


@pytest.mark.parametrize("code", [8069, 91009])
@pytest.mark.parametrize("survivor", [None, 77])
@pytest.mark.asyncio
async def test_a_merged_customer_is_read_again_by_what_the_answer_or_the_event_names(
    code: int, survivor: int | None
) -> None:
    """First the survivor, then the other names of the event; it is enrolled under the survivor's id."""
    source = record(event(customer={"customerId": 5, "mobile": "919845012345", "email": "a@b.example"}))
    merged = Refused((Notice(code, "merged"),), survivor_id=survivor)
    group = ConsumerGroup()
    told = await group.handle(source, [merged, found(promotion(1), customer_id=77)], {1: [Issued(1, ())]})
    assert told == [("ENROLLED", 1)]
    assert group.publisher.outcomes[-1][1].customer_id == 77
    asked = [(call[1], call[2]) for call in group.api_journal if call[0] == "lookup"]
    assert asked == [("id", "5"), ("id", "77") if survivor else ("mobile", "919845012345")]


@pytest.mark.asyncio
async def test_a_merged_customer_is_looked_for_by_every_name() -> None:
    """One that finds nobody is not the end; if none does, the customer is known, and was merged."""
    source = record(event(customer={"customerId": 5, "mobile": "919845012345", "email": "a@b.example"}))
    merged = Refused((Notice(8069, "merged"),))
    for nobody in (UNKNOWN, Refused((Notice(422, "too long"),), unsent=True)):
        group = ConsumerGroup()
        told = await group.handle(
            source, [merged, nobody, found(promotion(1), customer_id=77)], {1: [Issued(1, ())]}
        )
        assert told == [("ENROLLED", 1)]

    group = ConsumerGroup()
    assert await group.handle(source, [merged, UNKNOWN]) == [("REJECTED", None)]
    assert [call[1] for call in group.api_journal] == ["id", "mobile", "email"]
    errors = group.publisher.outcomes[-1][1].errors
    assert errors is not None
    assert [error.code for error in errors] == [8069]


@pytest.mark.asyncio
async def test_a_merged_customer_that_no_name_finds_is_rejected() -> None:
    """After each name once."""
    source = record(event(customer={"customerId": 5, "mobile": "919845012345"}))
    merged = Refused((Notice(8069, "merged"),), survivor_id=5)
    group = ConsumerGroup()
    assert await group.handle(source, [merged]) == [("REJECTED", None)]
    assert len(group.api_journal) == 2


@pytest.mark.parametrize(
    ("seconds", "expected"), [(60, Priority.LIVE), (300, Priority.LIVE), (301, Priority.BACKLOG)]
)
@pytest.mark.asyncio
async def test_a_lookup_is_as_urgent_as_its_event_is_young(seconds: int, expected: Priority) -> None:
    """By the event's own time, however fresh its record is; also for a customer who was merged."""
    happened = (NOW - timedelta(seconds=seconds)).isoformat()
    merged = Refused((Notice(8069, "merged"),), survivor_id=5)
    told = Scripted([merged, found()], backlog_age=timedelta(seconds=300))

    await told.handle(record(event(occurredAt=happened)))
    assert told.api.priorities == [expected, expected]


@pytest.mark.asyncio
async def test_without_an_age_no_event_gives_way() -> None:
    """Be it ever so old."""
    told = Scripted([found()])
    await told.handle(record(event(occurredAt="2001-01-31T10:00:00Z")))
    assert told.api.priorities == [Priority.LIVE]


@pytest.mark.asyncio
async def test_an_old_event_that_a_live_one_waits_for_is_as_urgent() -> None:
    """Each attempt anew: the other may have come meanwhile."""
    waits = iter([False, True])
    told = Scripted([Throttled(0.1), found()], backlog_age=timedelta(seconds=300))
    old = record(event(occurredAt="2001-01-31T10:00:00Z"))

    await told.deliver(Delivery(old, FakeLease(), is_waited_for=lambda: next(waits)))
    assert told.api.priorities == [Priority.BACKLOG, Priority.LIVE]
