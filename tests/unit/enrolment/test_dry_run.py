"""A dry run: it looks up, decides and tells."""

from collections.abc import Sequence

import pytest

from tests.support.use_case.answers import BROKEN, DOUBTFUL, FULL, ISSUED_ANY, STANDING, UNKNOWN
from tests.support.use_case.consumer_group import ConsumerGroup
from tests.support.use_case.scripted import Scripted
from tests.support.use_case.values import event, found, promotion, record
from worker.domain.answers import (
    LookupAnswer,
)
from worker.enrolment.rules import Rules

SOURCE = record(event())


@pytest.mark.parametrize(
    ("value", "lookups", "told"),
    [
        (
            event(),
            [found(promotion(1), promotion(2, timeline=[STANDING]), promotion(3, restrictions=[FULL]))],
            ["WOULD_ENROL", "ALREADY_ENROLLED", "LIMIT_EXHAUSTED"],
        ),
        (event(), [UNKNOWN], ["CUSTOMER_NOT_FOUND"]),
        (event(), [DOUBTFUL], ["DEAD_LETTERED"]),
        (event(), [RuntimeError("a bug")], ["DEAD_LETTERED"]),
        (event(customer={}), [], ["DEAD_LETTERED"]),
        (b"\xff", [], ["DEAD_LETTERED"]),
    ],
    ids=["promotions", "unknown", "unusable", "fault", "no-identifier", "malformed"],
)
@pytest.mark.asyncio
async def test_a_dry_run_never_enrols_and_writes_no_dead_letter(
    value: object, lookups: Sequence[LookupAnswer | Exception], told: list[str]
) -> None:
    """It looks up, decides and tells; POST and dead letter are left to the real run."""
    scene = Scripted(lookups, rules=Rules(dry_run=True))

    await scene.handle(record(value))

    assert [name for name, _, _ in scene.told] == told
    assert (scene.calls("issue"), scene.publisher.dead_letters, scene.tracker.dead_letters) == ([], [], [])


@pytest.mark.asyncio
async def test_a_dry_run_names_the_key_that_a_real_run_would_use() -> None:
    """WOULD_ENROL and ENROLLED of one event have the same idempotency key."""
    dry = Scripted([found(promotion(1))], rules=Rules(dry_run=True))
    real = Scripted([found(promotion(1))], ISSUED_ANY)

    await dry.handle()
    await real.handle()

    assert dry.values[0]["idempotencyKey"] == real.values[0]["idempotencyKey"] == real.calls("issue")[0][6]


@pytest.mark.asyncio
async def test_a_dry_run_moves_nothing() -> None:
    """It writes no retry record: the outcome says how the event would end here."""
    group = ConsumerGroup(Rules(dry_run=True))

    assert await group.handle(SOURCE, [BROKEN]) == [("DEAD_LETTERED", None)]
    assert (group.publisher.deferred, group.publisher.dead_letters) == ([], [])
