"""A partition that is lost, or that may be: nothing leaves for it."""

from contextlib import nullcontext

import pytest

from tests.support.use_case.answers import ISSUED_ANY
from tests.support.use_case.fakes import (
    FakeLease,
    FakeSleep,
)
from tests.support.use_case.scripted import Scripted
from tests.support.use_case.values import event, found, promotion, record
from worker.enrolment.checkpoints import Checkpoint
from worker.enrolment.lease import Abandoned


@pytest.mark.asyncio
async def test_nothing_is_sent_or_written_once_the_partition_is_lost() -> None:
    """The event is its new owner's: no POST, no outcome, no dead letter leave from here."""
    for value in (event(), b"\xff"):
        scene = Scripted([found(promotion(1))], ISSUED_ANY)
        lost = FakeLease()
        lost.is_held = False

        with pytest.raises(Abandoned):
            await scene.handle(record(value), lost)

        assert [entry for entry in scene.journal if entry[0] != "lookup"] == []


class Waking(FakeSleep):
    """A sleep during which the group is heard again: with the partition, or without."""

    def __init__(self, lease: FakeLease, *, is_held: bool) -> None:
        super().__init__()
        self._lease = lease
        self._is_held = is_held

    async def __call__(self, seconds: float) -> None:
        """Hear of the partition."""
        await super().__call__(seconds)
        self._lease.is_held, self._lease.is_heard = self._is_held, True


@pytest.mark.parametrize(
    ("frozen_at", "left", "results"),
    [
        (Checkpoint.PLANNED, ["lookup"], 0),
        (Checkpoint.ANSWERED, ["lookup", "issue"], 0),
        (Checkpoint.RECORDED, ["lookup", "issue"], 1),
    ],
)
@pytest.mark.asyncio
async def test_who_was_frozen_hears_whose_the_partition_is_before_anything_leaves(
    frozen_at: Checkpoint, left: list[str], results: int
) -> None:
    """By generation alone it is still ours: another member may have settled the event meanwhile."""
    for is_held in (True, False):
        lease = FakeLease()

        def freeze(at: Checkpoint, lease: FakeLease = lease) -> None:
            lease.is_heard = lease.is_heard and at is not frozen_at

        sleep = Waking(lease, is_held=is_held)
        scene = Scripted([found(promotion(1))], ISSUED_ANY, probe=freeze, sleep=sleep)
        with nullcontext() if is_held else pytest.raises(Abandoned):
            await scene.handle(record(event()), lease)

        assert len(sleep.delays) == 1
        assert [kind for kind, *_ in scene.journal] == (["lookup", "issue", "publish"] if is_held else left)
        assert len(scene.ledger.results) == (1 if is_held else results)
