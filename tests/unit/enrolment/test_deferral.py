"""Events that cannot be settled now: which topic they go to, and what is told of them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.use_case.answers import BROKEN, BUSY, UNKNOWN
from tests.support.use_case.consumer_group import ConsumerGroup
from tests.support.use_case.values import event, found, promotion, record
from topics.dead_letter import DeadLetterReason
from worker.domain.answers import (
    Doubtful,
    Fault,
    FaultKind,
    Issued,
    Misconfigured,
    Unsent,
)
from worker.domain.identity import outcome_id
from worker.enrolment.rules import Rules

SOURCE = record(event())


@pytest.mark.asyncio
async def test_an_event_that_keeps_failing_goes_from_hop_to_hop_and_is_then_a_dead_letter() -> None:
    """Each time it is told under an id of its own; attempts add up; the record stays the original."""
    group = ConsumerGroup()
    told = await group.handle(SOURCE, [BROKEN])
    for _ in range(3):
        told += await group.handle(group.retry(), [BROKEN])

    assert told == [*[("DEFERRED", None)] * 3, ("DEAD_LETTERED", None)]
    assert [hop for _, _, hop in group.publisher.deferred] == [1, 2, 3]
    ids = [each.outcome_id for _, each in group.publisher.outcomes]
    assert ids[:3] == [outcome_id("evt-1", None, "DEFERRED", hop) for hop in (1, 2, 3)]
    ((dead, failure),) = group.publisher.dead_letters
    assert (dead, failure.attempts, failure.position) == (SOURCE, 8, SOURCE.position)
    assert failure.first_failed_at == group.publisher.deferred[0][1].first_failed_at


@pytest.mark.asyncio
async def test_a_customer_that_capillary_works_on_comes_again_by_way_of_the_retry_topics() -> None:
    """521 and 461 did nothing: tried again in place, then deferred as busy, and enrolled in the end."""
    group = ConsumerGroup()
    assert await group.handle(SOURCE, [BUSY, found(promotion(1))], {1: [BUSY, Issued(1, ())]}) == [
        ("ENROLLED", 1)
    ]

    group = ConsumerGroup()
    told = await group.handle(SOURCE, [BUSY])
    told += await group.handle(group.retry(), [found(promotion(1))], {1: [BUSY]})
    told += await group.handle(group.retry(), [BUSY], {1: [Issued(1, ())]})
    assert told == [("DEFERRED", None), ("DEFERRED", 1), ("ENROLLED", 1)]
    assert group.deferred_for == ["busy", "busy"]
    outcomes = [outcome for _, outcome in group.publisher.outcomes]
    assert [(each.reason, each.attempts) for each in outcomes] == [("busy", 2), ("busy", 2), (None, 1)]
    headers = [(failure.reason, failure.message) for _, failure, _ in group.publisher.deferred]
    assert headers == [
        (DeadLetterReason.RETRIES_EXHAUSTED, "lookup: busy: 521, try after some time"),
        (DeadLetterReason.RETRIES_EXHAUSTED, "issue: busy: 521, try after some time"),
    ]


@pytest.mark.parametrize("others", [True, False])
@pytest.mark.asyncio
async def test_only_a_customer_that_alone_stays_busy_is_a_dead_letter(others: bool) -> None:  # noqa: FBT001 - a case
    """While the API is busy for everybody nothing is: it comes again from the last retry topic."""
    group = ConsumerGroup()
    group.others_are_served = others
    told = await group.handle(SOURCE, [BUSY])
    for _ in range(4 if not others else 3):
        told += await group.handle(group.retry(), [BUSY])
    if others:
        assert told[-1] == ("DEAD_LETTERED", None)
        assert group.publisher.outcomes[-1][1].reason == "retries_exhausted"
        assert group.publisher.dead_letters[-1][1].reason is DeadLetterReason.RETRIES_EXHAUSTED
    else:
        assert told == [("DEFERRED", None)] * 5
        assert group.publisher.dead_letters == []


@pytest.mark.parametrize("others", [True, False])
@pytest.mark.asyncio
async def test_a_reading_of_what_became_of_a_request_may_meet_a_busy_api_too(others: bool) -> None:  # noqa: FBT001 - a case
    """It is told so, and is a dead letter only if the API had time for others."""
    group = ConsumerGroup()
    group.others_are_served = others
    told = await group.handle(SOURCE, [found(promotion(1)), BUSY], {1: [BROKEN]})
    for _ in range(3 if others else 4):
        told += await group.handle(group.retry(), [BUSY])
    reasons = [outcome.reason for _, outcome in group.publisher.outcomes]
    if others:
        assert told == [*[("DEFERRED", 1)] * 3, ("DEAD_LETTERED", 1)]
        assert reasons == [*["busy"] * 3, "retries_exhausted"]
    else:
        assert (told, reasons) == ([("DEFERRED", 1)] * 5, ["busy"] * 5)
    assert len([call for call in group.api_journal if call[0] == "issue"]) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Misconfigured("HTTP 401"),
        Doubtful(FaultKind.INTERNAL, "KeyError"),
        Unsent(FaultKind.INTERNAL, "KeyError"),
    ],
    ids=str,
)
@pytest.mark.asyncio
async def test_what_is_our_fault_is_never_a_dead_letter(fault: Fault) -> None:
    """However often it is tried, of a lookup, a request, and a reading of what became of one."""
    group = ConsumerGroup()
    group.others_are_served = True
    told = await group.handle(SOURCE, [found(promotion(1)), fault], {1: [BROKEN]})
    for _ in range(5):
        told += await group.handle(group.retry(), [fault])
    assert told == [("DEFERRED", 1)] * 6

    group = ConsumerGroup()
    group.others_are_served = True
    told = await group.handle(SOURCE, [fault])
    for _ in range(5):
        told += await group.handle(group.retry(), [fault])
    assert (told, group.publisher.dead_letters) == ([("DEFERRED", None)] * 6, [])


@pytest.mark.asyncio
async def test_only_what_is_unsettled_is_named_and_asked_for_again() -> None:
    """The promotion that was enrolled is not asked for on the retry."""
    group = ConsumerGroup()
    both = [found(promotion(1), promotion(2))]
    told = await group.handle(SOURCE, both, {1: [Issued(1, ())], 2: [BROKEN]})
    assert told == [("ENROLLED", 1), ("DEFERRED", 2)]
    group.api_journal.clear()

    told = await group.handle(group.retry(), both, {1: [], 2: [Issued(2, ())]})
    assert told == [("ENROLLED", 1), ("ENROLLED", 2)]
    assert [each[5] for each in group.api_journal if each[0] == "issue"] == [2]


@pytest.mark.asyncio
async def test_what_a_retry_topic_cannot_take_is_a_dead_letter_at_once() -> None:
    """Too large for it: the dead letter, with or without its value, is the way out."""
    group = ConsumerGroup()
    group.publisher.has_room = False

    assert await group.handle(SOURCE, [BROKEN]) == [("DEAD_LETTERED", None)]


@pytest.mark.asyncio
async def test_an_unknown_customer_of_a_young_event_is_looked_for_through_the_first_retry_topic() -> None:
    """As long as the event is young, and never beyond."""
    group = ConsumerGroup(Rules(not_found_grace=timedelta(minutes=2)))
    assert await group.handle(SOURCE, [UNKNOWN]) == [("DEFERRED", None)]
    assert await group.handle(group.retry(), [UNKNOWN]) == [("DEFERRED", None)]
    assert [hop for _, _, hop in group.publisher.deferred] == [1, 1]

    old = record(event(occurredAt="2026-01-31T09:00:00Z"))
    assert await group.handle(old, [UNKNOWN]) == [("CUSTOMER_NOT_FOUND", None)]


@pytest.mark.asyncio
async def test_a_retry_that_has_grown_old_is_brought_to_its_end() -> None:
    """MAX_EVENT_AGE_HOURS is for events that nothing was done about."""
    old = record(event(occurredAt="2026-01-31T08:00:00Z"))
    group = ConsumerGroup(Rules(max_event_age=timedelta(hours=1)))
    assert await group.handle(old, []) == [("NO_PROMOTION_AVAILABLE", None)]

    group.rules = Rules()
    await group.handle(old, [BROKEN])
    group.rules = Rules(max_event_age=timedelta(hours=1))
    assert await group.handle(group.retry(), [found(promotion(1))], {1: [Issued(1, ())]}) == [("ENROLLED", 1)]


@pytest.mark.asyncio
async def test_an_event_from_the_future_does_not_stay_young() -> None:
    """NOT_FOUND_GRACE_SECONDS counts from when it was written at the latest."""
    group = ConsumerGroup(Rules(not_found_grace=timedelta(minutes=2)))
    future = record(event(occurredAt="2099-01-01T00:00:00Z"), timestamp_ms=1_769_850_000_000)

    assert await group.handle(future, [UNKNOWN]) == [("CUSTOMER_NOT_FOUND", None)]


@pytest.mark.asyncio
async def test_a_damaged_retry_is_a_dead_letter() -> None:
    """It is ours, and must not vanish."""
    group = ConsumerGroup()
    await group.handle(SOURCE, [BROKEN])
    retry = group.retry()
    damaged = replace(retry, headers=(*retry.headers, ("enrolment.error.offset", b"?")))

    assert await group.handle(damaged, []) == [("DEAD_LETTERED", None)]
