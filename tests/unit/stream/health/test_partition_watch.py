"""The guard over the partition count: what it lets pass, what ends the worker."""

import pytest
from faust.types import TP
from structlog.testing import capture_logs

from topics.names import TopicNames
from worker.kafka.inventory import cut_off
from worker.stream.delivery.partition_guard import PartitionGuard
from worker.stream.health.partition_watch import PartitionWatch

NAMES = TopicNames("activity", "outcomes", "group")


def tps(topic: str, *numbers: int) -> set[TP]:
    """Return partitions of a topic."""
    return {TP(topic, number) for number in numbers}


def whole(*numbers: int) -> set[TP]:
    """Return these partitions of all topics."""
    return {tp for topic in ("activity", NAMES.ledger, *NAMES.retries) for tp in tps(topic, *numbers)}


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
    "numbers",
    [{0, 3}, set()],
)
def test_a_whole_assignment_is_taken_up(numbers: set[int]) -> None:
    """So is none at all, as that of one member too many."""
    watched = guard([])
    assert watched.assigned(whole(*numbers), lambda _: 4)
    assert not watched.is_apart
    assert not watched.refused


def test_a_partition_that_was_not_there_ends_it() -> None:
    """Whatever our own metadata say: they may be older."""
    watched = guard([])
    assert not watched.assigned(whole(0, 4), lambda _: 4)
    assert watched.refused


@pytest.mark.parametrize("topic", [NAMES.ledger, NAMES.retries[1]])
def test_another_count_of_a_topic_that_goes_with_it_ends_it(topic: str) -> None:
    """Events would miss their ledger, now or after the next assignment; the line names the topic."""
    watched = guard([])
    with capture_logs() as lines:
        assert not watched.assigned(whole(0), lambda name: 8 if name == topic else 4)
    assert watched.refused
    assert f"topic {topic} has 8 partitions now, and the activity topic activity had 4" in lines[0]["event"]


@pytest.mark.parametrize(
    "assigned",
    [
        tps("activity", 0, 1) | tps(NAMES.ledger, 0),
        tps("activity", 0) | tps(NAMES.ledger, 1),
        tps("activity", 0, 1),
        tps(NAMES.ledger, 0, 1),
        tps("activity", 0) | tps(NAMES.ledger, 0),
        tps("activity", 0) | tps(NAMES.ledger, 0) | tps(NAMES.retries[0], 1),
    ],
)
def test_an_assignment_that_was_made_without_all_topics_is_not_taken_up(assigned: set[TP]) -> None:
    """As by a member whose broker had just started. No count has changed: another one is asked for, once."""
    ends: list[str] = []
    watched = guard(ends)
    assert not watched.assigned(assigned, lambda _: 4)
    assert (watched.refused, watched.is_apart, ends) == (False, True, [])
    assert [watched.asks_for_another(), watched.asks_for_another()] == [True, False]
    assert watched.assigned(whole(0, 1), lambda _: 4)
    assert not watched.is_apart
    assert not watched.asks_for_another()


def test_apart_from_the_ledger_and_another_count_ends_it() -> None:
    """The leader of the group heard of the new partitions before we did."""
    watched = guard([])
    assert not watched.assigned(tps("activity", 2, 3) | tps(NAMES.ledger, 1), lambda _: 4)
    watched.counted(8)
    assert watched.refused
    assert not watched.is_apart
    assert not watched.asks_for_another()


@pytest.mark.parametrize("retries", [set(), {0, 1}])
def test_a_topic_that_is_gone_is_waited_for(retries: set[int]) -> None:
    """It is no matter of partition counts, as long as retries meet their ledger."""
    watched = guard([])
    without = tps(NAMES.ledger, 0, 1) | {TP(name, number) for name in NAMES.retries for number in retries}
    known = {NAMES.ledger: 4} | (dict.fromkeys(NAMES.retries, 4) if retries else {})
    with capture_logs() as lines:
        assert watched.assigned(without, known.get)
    assert [line["event"].partition(":")[0] for line in lines] == ["the activity topic is gone"]
    watched.assigned(without | tps("activity", 0, 1), {"activity": 3}.get)
    assert watched.refused, "it came back with another count"


@pytest.mark.asyncio
async def test_the_group_is_joined_anew_for_an_assignment_that_was_not_taken_up() -> None:
    """Nobody else does so when the member that leads the group has left."""
    watched, joins = guard([]), list[str]()

    async def join_anew() -> None:
        joins.append("joined")

    watched.assigned(tps("activity", 0), lambda _: 4)
    watch = PartitionWatch(watched, lambda: 4, join_anew)
    for _ in range(2):
        await watch.look()
    assert joins == ["joined"]


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
