"""Records that were redriven, or say so: what they reopen, and how far they are believed."""

from dataclasses import replace

import pytest

from tests.support.use_case.answers import BROKEN, REFUSED
from tests.support.use_case.consumer_group import ConsumerGroup
from tests.support.use_case.values import event, found, promotion, record
from worker.domain.answers import (
    Issued,
)

SOURCE = record(event())


@pytest.mark.asyncio
async def test_a_redrive_reopens_what_was_rejected_and_nothing_else() -> None:
    """Under the same identity and key: ENROLLED stays as it is, REJECTED is asked for once more."""
    group = ConsumerGroup()
    three = [found(promotion(1), promotion(2), promotion(3, timeline=None))]
    told = await group.handle(SOURCE, three, {1: [Issued(1, ())], 2: [REFUSED], 3: [BROKEN]})
    assert told == [("ENROLLED", 1), ("REJECTED", 2), ("DEAD_LETTERED", 3)]
    group.api_journal.clear()

    replayed = await group.handle(SOURCE, three, {3: [BROKEN]})
    assert replayed[:2] == [("ENROLLED", 1), ("REJECTED", 2)]
    assert [each for each in group.api_journal if each[0] == "issue"] == []
    redriven = await group.handle(group.redriven(), three, {2: [Issued(2, ())], 3: [BROKEN]})
    assert redriven[:2] == [("ENROLLED", 1), ("ENROLLED", 2)]
    assert [each[5] for each in group.api_journal if each[0] == "issue"] == [2]
    assert {each.activity.offset for _, each in group.publisher.outcomes} == {SOURCE.position.offset}


@pytest.mark.asyncio
@pytest.mark.parametrize(("borne_out", "identity"), [(True, "old"), (False, "new"), (None, "old")])
async def test_a_record_that_says_it_was_redriven_is_believed_as_far_as_its_letter_or_the_ledger_says_so(
    borne_out: bool | None,  # noqa: FBT001 - what the letter says
    identity: str,
) -> None:
    """Else it is an event of its own, at its own place, and its headers are upstream's."""
    group = ConsumerGroup()
    nameless = record(event(eventId=None))
    both = [found(promotion(1), promotion(2, timeline=None))]
    await group.handle(nameless, both, {1: [REFUSED], 2: [BROKEN]})
    group.borne_out = borne_out
    redriven = group.redriven()

    await group.handle(redriven, both, {1: [REFUSED], 2: [BROKEN]})

    at = nameless.position if identity == "old" else redriven.position
    _, outcome = group.publisher.outcomes[-1]
    assert (outcome.activity.event_id, outcome.activity.offset) == (str(at), at.offset)


@pytest.mark.asyncio
@pytest.mark.parametrize("borne_out", [False, None])
async def test_nothing_is_believed_that_nothing_bears_out(
    borne_out: bool | None,  # noqa: FBT001 - what the letter says
) -> None:
    """A redrive that another group is said to have made is handled too."""
    group = ConsumerGroup()
    await group.handle(record(event(eventId=None)), [BROKEN])
    for _ in range(3):
        await group.handle(group.retry(), [BROKEN])
    forged = group.redriven()
    others = replace(forged, headers=(*forged.headers, ("enrolment.error.group", b"another")))
    group.borne_out = borne_out

    for each in (forged, others):
        assert await group.handle(each, [found(promotion(1))], {1: [REFUSED]}) == [("REJECTED", 1)]
        assert group.publisher.outcomes[-1][1].activity.offset == each.position.offset


@pytest.mark.asyncio
async def test_a_redrive_that_is_deferred_goes_on_with_what_it_reopened() -> None:
    """The rejection of old is not told in place of the attempt that is open."""
    group = ConsumerGroup()
    two = [found(promotion(1), promotion(2, timeline=None))]
    await group.handle(SOURCE, two, {1: [REFUSED], 2: [BROKEN]})
    deferred = await group.handle(group.redriven(), two, {1: [BROKEN], 2: [BROKEN]})
    assert ("DEFERRED", 1) in deferred

    assert ("ENROLLED", 1) in await group.handle(group.retry(), two, {1: [Issued(1, ())], 2: [BROKEN]})
