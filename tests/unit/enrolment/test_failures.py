"""What fails on our side of the API: Kafka, and our own code."""

import pytest

from tests.support.use_case.answers import DOUBTFUL
from tests.support.use_case.scripted import Scripted
from tests.support.use_case.values import event, found, promotion, record
from worker.domain.answers import (
    Issued,
)
from worker.enrolment.ports import PublishFailed


@pytest.mark.parametrize("refuse_at", range(5))
@pytest.mark.asyncio
async def test_a_record_that_kafka_does_not_acknowledge_ends_the_handling(refuse_at: int) -> None:
    """PublishFailed goes through, whichever record it hits, and nothing is written or asked after it."""
    scene = Scripted(
        [found(promotion(1), promotion(2, timeline=None), promotion(3))],
        {1: [Issued(1, ())], 2: [DOUBTFUL], 3: [Issued(3, ())]},
        refuse_at=refuse_at,
    )
    complete = Scripted(scene.lookups, scene.issues)
    await complete.handle()
    writes = ("publish", "dead_letter")
    written = [index for index, entry in enumerate(complete.journal) if entry[0] in writes]

    if refuse_at == len(written):
        await scene.handle()
    else:
        with pytest.raises(PublishFailed):
            await scene.handle()

    assert len(written) == 4
    assert scene.journal == complete.journal[: [*written, len(complete.journal)][refuse_at]]
    assert scene.tracker.outcomes == [outcome for _, outcome in scene.publisher.outcomes]
    assert scene.tracker.dead_letters == [failure for _, failure in scene.publisher.dead_letters]
    assert scene.tracker.faults == []


@pytest.mark.parametrize("refuse_at", [0, 1])
@pytest.mark.asyncio
async def test_a_bad_record_whose_dead_letter_is_not_acknowledged_comes_again(refuse_at: int) -> None:
    """Neither a lost dead letter nor a lost outcome of it lets the offset be committed."""
    scene = Scripted([], refuse_at=refuse_at)

    with pytest.raises(PublishFailed):
        await scene.handle(record(b"\xff"))

    assert len(scene.journal) == refuse_at


@pytest.mark.asyncio
async def test_a_fault_of_ours_dead_letters_the_event_and_keeps_what_was_told() -> None:
    """A bug in one promotion: earlier outcomes stand, the record is dead-lettered, the partition goes on."""
    scene = Scripted([found(promotion(1), promotion(2))], {1: [Issued(1, ())], 2: [KeyError("919845012345")]})
    source = record(event())

    await scene.handle(source)

    assert scene.told == [("ENROLLED", 1, None), ("DEAD_LETTERED", 2, "handler_fault")]
    ((letter, failure),) = scene.publisher.dead_letters
    assert (letter, failure.message) == (source, "worker: KeyError")
    assert [type(error) for _, error in scene.tracker.faults] == [KeyError]


@pytest.mark.asyncio
async def test_a_publisher_that_breaks_otherwise_loses_nothing() -> None:
    """An unforeseen error is a fault of ours; where that cannot be written either, it goes through."""
    scene = Scripted([found()], refuse_at=0, refusal=RuntimeError("producer is closed"))

    with pytest.raises(RuntimeError, match="closed"):
        await scene.handle()

    assert scene.publisher.outcomes == []
