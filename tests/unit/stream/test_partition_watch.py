"""The guard over the partition count: what it lets pass, what ends the worker."""

import pytest
from faust.types import TP

from topics.names import TopicNames
from worker.stream.partition_watch import PartitionGuard
from worker.stream.startup import cut_off

NAMES = TopicNames("activity", "outcomes", "group")


def tps(topic: str, *numbers: int) -> set[TP]:
    """Return partitions of a topic."""
    return {TP(topic, number) for number in numbers}


def guard(ends: list[str], *, keeps_ledger: bool = True) -> PartitionGuard:
    """Return a guard over four partitions that notes when it ends the process."""
    return PartitionGuard(NAMES, 4, keeps_ledger=keeps_ledger, end=lambda: ends.append("ended"))


@pytest.mark.parametrize("partitions", [None, 0, 4])
def test_the_count_of_the_start_passes(partitions: int | None) -> None:
    """Neither the known count nor metadata that tell nothing may end a worker."""
    ends: list[str] = []
    watched = guard(ends)
    watched.counted(partitions)
    assert (watched.refused, ends) == (False, [])


@pytest.mark.parametrize("partitions", [3, 5, 8])
def test_another_count_ends_it_once(partitions: int) -> None:
    """More or fewer: refused for good, and the process is asked to end only once."""
    ends: list[str] = []
    watched = guard(ends)
    watched.counted(partitions)
    watched.counted(4)
    watched.counted(partitions)
    assert (watched.refused, ends) == (True, ["ended"])


@pytest.mark.parametrize(
    ("assigned", "refused"),
    [
        (set(), False),
        (tps("activity", 0, 3) | tps(NAMES.ledger, 0, 3), False),
        (tps("activity", 0, 4) | tps(NAMES.ledger, 0, 4), True),
        (tps("activity", 0, 1) | tps(NAMES.ledger, 0), True),
        (tps("activity", 0) | tps(NAMES.ledger, 1), True),
    ],
)
def test_assignments(assigned: set[TP], *, refused: bool) -> None:
    """A partition that was not there, or one without its part of the ledger, must not be worked on."""
    watched = guard([])
    watched.assigned(assigned, lambda _: 4)
    assert watched.refused == refused


@pytest.mark.parametrize(
    ("retries", "refused"),
    [(set(), False), (tps("activity-retry-1", 0, 1), False), (tps("activity-retry-1", 1), True)],
)
def test_a_topic_that_is_gone_is_waited_for(retries: set[TP], *, refused: bool) -> None:
    """It is no matter of partition counts, as long as retries meet their ledger."""
    watched = guard([])
    watched.assigned(tps(NAMES.ledger, 0, 1) | retries, lambda _: None)
    assert watched.refused == refused
    watched.assigned(tps(NAMES.ledger, 0, 1) | tps("activity", 0, 1), lambda _: 3)
    assert watched.refused, "it came back with another count"


def test_an_assignment_is_also_judged_by_the_count() -> None:
    """Metadata may have changed with the rebalance, whatever of it came to this member."""
    watched = guard([])
    watched.assigned(set(), {"activity": 8}.get)
    assert watched.refused


def test_a_dry_run_needs_no_ledger() -> None:
    """Without a ledger only the partitions' numbers count."""
    watched = guard([], keeps_ledger=False)
    watched.assigned(tps("activity", 0, 1), lambda _: None)
    assert not watched.refused
    watched.assigned(tps("activity", 4), lambda _: None)
    assert watched.refused


def test_what_start_refuses() -> None:
    """Ledger and retry topics must have the activity topic's count, and no move may be under way."""
    retry = NAMES.retries[2]
    assert cut_off(NAMES, {"activity": 4}) is None
    assert cut_off(NAMES, {"activity": 4, NAMES.ledger: 4, retry: 4}) is None
    for found in ({NAMES.ledger: 8}, {NAMES.ledger: 4, retry: 3}, {NAMES.ledger: 4, NAMES.move_mark: 2}):
        line = cut_off(NAMES, {"activity": 4, **found})
        assert line is not None
        assert "`enrolment-worker ledger move`" in line
