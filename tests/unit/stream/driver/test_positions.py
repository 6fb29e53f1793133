"""Positions kept in line with the logs, without a broker: what is committed, sought, counted and told."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.types import TP
from structlog.testing import capture_logs

from worker.kafka.finished import Finished, write
from worker.kafka.positions import Extent, Mark
from worker.stream.delivery.leaders import Leaders
from worker.stream.driver.positions import Positions

AT, RETRY = TP("activity", 0), TP("retry", 0)
OLD, NEW = "1" * 32, "2" * 32


@dataclass
class Kafka:
    """A group's offsets and the logs; the flow, the consumer and its thread in one."""

    logs: dict[TP, Extent]
    group: dict[TP, tuple[int, str]] = field(default_factory=dict)
    position: dict[TP, int] = field(default_factory=dict)
    takes_commits: bool = True
    ledger: str = ""
    """What is noted of the ledger beside an offset."""
    joins: int = 0
    sources: frozenset[str] = frozenset({"activity", "retry"})
    held_back: dict[Any, int] = field(default_factory=dict)
    fetched: dict[TP, int] = field(default_factory=dict)
    """Up to where records wait to be taken, if that is behind the position."""
    watermarks: dict[Any, int] = field(default_factory=dict)
    noted: dict[TP, int | None] = field(default_factory=dict)
    handed_down: dict[Any, tuple[tuple[range, ...], int | None]] = field(default_factory=dict)
    """What is passed over, and up to which leader."""
    asked: list[Mapping[TP, int | None]] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[object]] | None = None
    """What happens while a commit that is under way is waited for."""
    sought: Callable[[], object] = lambda: None
    """What the consumer's thread does right after it sought, before anybody else hears of that."""

    def assignment(self) -> set[TP]:
        return set(self.logs)

    def is_open(self, partition: object) -> bool:
        return partition in self.held_back

    def position_of(self, tp: TP) -> int | None:
        return self.position.get(tp)

    def note_committed(self, tp: TP, offset: int | None) -> None:
        self.noted[tp] = offset

    async def maybe_wait_for_commit_to_finish(self) -> bool:
        if self.meanwhile is not None:
            await self.meanwhile()
        return True

    async def committed_with_marks(self, partitions: Iterable[TP]) -> dict[TP, tuple[int, str]]:
        return {tp: self.group[tp] for tp in partitions if tp in self.group}

    async def extents(self, epochs: Mapping[TP, int | None]) -> dict[TP, Extent]:
        self.asked.append(epochs)
        return {tp: self.logs[tp] for tp in epochs if tp in self.logs}

    async def reached(self, partitions: Iterable[TP]) -> dict[TP, int]:
        return {tp: self.position[tp] for tp in partitions if tp in self.position} | self.fetched

    async def correct(self, offsets: Mapping[TP, tuple[int, str]]) -> bool:
        if self.takes_commits:
            self.group |= offsets
        return self.takes_commits

    async def seek_if_ours(self, tp: TP, offset: int, then: Callable[[], object] = lambda: None) -> bool:
        self.position[tp] = offset
        then()
        self.sought()
        return True

    async def join_anew(self) -> None:
        self.joins += 1

    def begin(self, partition: object, runs: tuple[range, ...], epoch: int | None) -> None:
        self.handed_down[partition] = runs, epoch

    thread = property(lambda self: self)
    inherited = property(lambda self: self)


def kept(kafka: Kafka) -> tuple[Positions, list[tuple[str, int]]]:
    """Return the positions of an application on that Kafka, and what is counted as lost."""
    lost: list[tuple[str, int]] = []
    on: Any = kafka
    positions = Positions(
        on,
        Leaders(),
        lambda: on,
        lambda topic, records: lost.append((topic, records)),
        lambda mark, partition: f"{mark} {kafka.ledger}".strip() if partition == 0 else "",
    )
    return positions, lost


@pytest.mark.asyncio
async def test_a_group_without_offsets_begins_where_the_logs_do_and_says_so() -> None:
    """Its offsets are committed at once: what is deleted next is missed by them. The first was no loss."""
    kafka = Kafka({AT: Extent(7, 9, OLD), RETRY: Extent(0, 0, NEW)})
    positions, lost = kept(kafka)
    assert await positions.place({AT, RETRY, TP("ledger", 0)}) == {AT: 7, RETRY: 0}
    assert kafka.group == {AT: (7, f"log={OLD}/"), RETRY: (0, f"log={NEW}/")}
    assert (kafka.position, lost) == ({AT: 7, RETRY: 0}, [])
    assert positions.may_read(AT)
    assert positions.may_read(("ledger", 0))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("log", "begins", "lost"),
    [
        (Extent(0, 40, OLD), 40, []),
        (Extent(0, 60, OLD, parted_at=40), 40, []),
        (Extent(55, 60, OLD), 55, [("activity", 15)]),
        (Extent(60, 60, OLD), 60, [("activity", 20)]),
        (Extent(5, 39, OLD), 5, []),
        (Extent(5, 90, OLD, parted_at=20), 20, []),
        (Extent(5, 90, NEW), 5, []),
    ],
)
async def test_where_a_committed_offset_leads(log: Extent, begins: int, lost: list[tuple[str, int]]) -> None:
    """It is corrected in Kafka too, with the mark of the log that there is now, and told once."""
    kafka = Kafka({AT: log}, {AT: (40, f"log={OLD}/3")})
    positions, counted = kept(kafka)
    for _ in range(2):
        assert await positions.place({AT}) == {AT: begins}
        assert (kafka.position[AT], counted) == (begins, lost)
        positions.forget()
    assert kafka.asked[0] == {AT: 3}
    mark = f"log={log.topic_id}/{3 if begins >= 40 else ''}"
    assert kafka.group[AT] == (begins, mark)


@pytest.mark.asyncio
async def test_a_batch_that_is_read_at_once_tells_its_leader() -> None:
    """Placed once more while it is read, a partition must not go on under the mark of its committed offset.

    What is committed then would look as if the log had lost its end where the next leader began.
    """
    kafka = Kafka({AT: Extent(0, 90, OLD)}, {AT: (40, f"log={OLD}/3")})
    positions, _ = kept(kafka)
    kafka.sought = lambda: positions.leaders.read(*AT, 4, 50)
    for _ in range(2):
        await positions.place({AT})
        assert positions.leaders.mark(AT) == Mark(OLD, 4)
        assert positions.leaders.former(AT) == (Mark(OLD, 3), 40)


@pytest.mark.asyncio
@pytest.mark.parametrize("is_at_once", [False, True])
async def test_a_partition_is_placed_once_under_an_assignment(*, is_at_once: bool) -> None:
    """The start's own placing and the look of each second may do it together.

    What was read since the first would be taken for read under the leader of the committed offset: that the
    next one lost some of it would never be looked up, and its new records be taken for done.
    """
    kafka = Kafka(
        {AT: Extent(0, 90, OLD, parted_at=90)}, {AT: (40, f"{_IN_LOG} {_DONE}"), RETRY: (7, _IN_LOG)}
    )
    positions, _ = kept(kafka)

    async def place_and_read() -> None:
        assert await positions.place({AT, RETRY}) == {AT: 40}
        positions.leaders.read(*AT, 3, 60)
        positions.leaders.read(*AT, 4, 70)
        kafka.position[AT] = 70
        kafka.handed_down.clear()
        # As the next leader has it, with fewer records of the one before.
        kafka.logs = {AT: Extent(0, 90, OLD, parted_at=30), RETRY: Extent(0, 90, OLD, parted_at=90)}

    if is_at_once:
        tell = kafka.extents

        async def extents(epochs: Mapping[TP, int | None]) -> dict[TP, Extent]:
            monkey.undo()
            await place_and_read()
            return await tell(epochs)

        monkey = pytest.MonkeyPatch()
        monkey.setattr(kafka, "extents", extents)
    else:
        await place_and_read()
    assert await positions.place({AT, RETRY}) == {RETRY: 7}
    assert positions.leaders.former(AT) == (Mark(OLD, 3), 60)
    assert not positions.may_commit(AT)
    assert (kafka.position[AT], kafka.group[AT][0], kafka.handed_down) == (70, 40, {})


@pytest.mark.asyncio
async def test_what_is_corrected_says_how_far_the_ledger_was() -> None:
    """As each commit does: the next start must notice a ledger that lost its end."""
    kafka = Kafka({AT: Extent(0, 20, OLD)}, {AT: (40, f"log={OLD}/3 ledger=7")}, ledger="ledger=7")
    positions, _ = kept(kafka)
    await positions.place({AT})
    assert kafka.group[AT] == (0, f"log={OLD}/ ledger=7")


@pytest.mark.asyncio
async def test_nothing_is_read_before_kafka_has_told_and_taken_what_is_needed() -> None:
    """A partition without a leader waits alone; a correction that Kafka did not take is made again."""
    kafka = Kafka({AT: Extent(0, 10)}, {AT: (40, ""), RETRY: (1, "")}, takes_commits=False)
    positions, _ = kept(kafka)
    assert await positions.place({AT, RETRY}) == {}
    assert not positions.may_read(AT)
    kafka.takes_commits = True
    kafka.logs[AT] = Extent(0, 90)
    await positions.look()
    assert (positions.may_read(AT), positions.may_read(RETRY)) == (True, False)
    assert (kafka.position, kafka.noted) == ({AT: 0}, {AT: 0}), "the log has grown past it since"


@pytest.mark.asyncio
async def test_a_log_that_ends_before_the_position_is_another_after_two_looks() -> None:
    """The watermark of the old one is committed no more, and the group is joined anew, once."""
    kafka = Kafka({AT: Extent(0, 40, OLD)}, {AT: (40, "")})
    positions, _ = kept(kafka)
    await positions.place({AT})
    kafka.logs[AT] = Extent(0, 25, OLD)
    await positions.look()
    assert (kafka.joins, positions.may_commit(AT)) == (0, True)
    kafka.logs[AT] = Extent(0, 40, OLD)
    await positions.look()
    kafka.logs[AT] = Extent(0, 25, OLD)
    await positions.look()
    assert kafka.joins == 0, "in a row"
    for _ in range(3):
        await positions.look()
    assert (kafka.joins, kafka.group[AT][0]) == (1, 0)
    assert not positions.may_commit(AT)
    assert not positions.may_read(AT)
    positions.forget()
    assert await positions.place({AT}) == {AT: 0}
    assert positions.may_commit(AT)


@pytest.mark.asyncio
async def test_a_rebalance_in_the_middle_of_a_correction_completes_it() -> None:
    """The new assignment began where the log differs: nothing is set back, nor joined anew, once more."""
    kafka = Kafka({AT: Extent(0, 40, OLD)}, {AT: (40, "")})
    positions, _ = kept(kafka)
    await positions.place({AT})

    async def rebalance() -> None:
        positions.forget()
        assert await positions.place({AT}) == {AT: 0}
        kafka.group[AT] = 7, ""

    kafka.meanwhile = rebalance
    kafka.logs[AT] = Extent(0, 25, OLD)
    for _ in range(2):
        await positions.look()
    assert (kafka.joins, kafka.group[AT][0]) == (0, 7)
    assert positions.may_read(AT)


@pytest.mark.asyncio
async def test_the_epoch_that_was_read_tells_where_the_log_parted() -> None:
    """As high as any batch had it; the offset is set back to just there."""
    kafka = Kafka({AT: Extent(0, 40, OLD)}, {AT: (40, f"log={OLD}/2")})
    positions, _ = kept(kafka)
    await positions.place({AT})
    kafka.position[AT] = 60
    for epoch, end in ((4, 60), (3, 50)):
        positions.leaders.read(*AT, epoch, end)
    assert positions.leaders.mark(AT) == Mark(OLD, 4)
    kafka.logs[AT] = Extent(0, 60, OLD, parted_at=40)
    await positions.look()
    assert kafka.asked[-1] == {AT: 2}, "up to where the other leader took over"
    kafka.logs[AT] = Extent(0, 65, OLD, parted_at=20)
    for _ in range(2):
        await positions.look()
    assert kafka.asked[-1] == {AT: 4}
    assert kafka.group[AT] == (20, f"log={OLD}/")


@pytest.mark.asyncio
@pytest.mark.parametrize("epochs", [(5,), (5, 6), (6,)])
async def test_a_log_that_grew_past_the_position_at_once_is_noticed_while_it_is_read(
    epochs: tuple[int, ...],
) -> None:
    """On a busy topic the new leader has as many records within milliseconds: reading never stood still."""
    kafka = Kafka({AT: Extent(0, 40, OLD)}, {AT: (30, f"log={OLD}/4")})
    positions, _ = kept(kafka)
    await positions.place({AT})
    positions.leaders.read(*AT, 4, 40)
    kafka.position[AT] = 40
    kafka.watermarks[AT] = 40
    kafka.logs[AT] = Extent(0, 90, OLD, parted_at=25)
    for number, epoch in enumerate(epochs):
        positions.leaders.read(*AT, epoch, 60 + number)
    assert not positions.may_commit(AT), "a worker that is killed now must read it again"
    for position in (60, 70):
        kafka.position[AT] = position
        await positions.look()
    assert kafka.asked[-1] == {AT: 4}
    assert (kafka.joins, kafka.group[AT][0]) == (1, 25)


@pytest.mark.asyncio
async def test_a_topic_that_was_made_anew_is_noticed_while_it_is_read() -> None:
    """Its records come without a pause."""
    kafka = Kafka({AT: Extent(0, 40, OLD)}, {AT: (40, f"log={OLD}/")})
    positions, _ = kept(kafka)
    await positions.place({AT})
    kafka.logs[AT] = Extent(0, 90, NEW)
    for position in (60, 70):
        kafka.position[AT] = position
        await positions.look()
    assert (kafka.joins, kafka.group[AT][0]) == (1, 0)


@pytest.mark.asyncio
async def test_a_change_of_leaders_is_no_loss() -> None:
    """Each leader's records end where the next one's begin; commits wait until that is known."""
    kafka = Kafka({AT: Extent(0, 40, OLD)}, {AT: (30, f"log={OLD}/4")})
    positions, _ = kept(kafka)
    await positions.place({AT})
    for epoch, end in ((4, 40), (5, 50), (7, 60)):
        positions.leaders.read(*AT, epoch, end)
    kafka.position[AT] = 60
    for epoch, end, may_commit in ((4, 40, False), (5, 50, True), (7, 60, True)):
        kafka.logs[AT] = Extent(0, 60, OLD, parted_at=end)
        await positions.look()
        assert kafka.asked[-1] == {AT: epoch}
        assert positions.may_commit(AT) is may_commit
    assert kafka.joins == 0


@pytest.mark.asyncio
async def test_records_that_go_while_nothing_is_read_are_counted_then_and_sought_later() -> None:
    """In all as many as are gone, whoever notices which part of them."""
    kafka = Kafka({AT: Extent(0, 90)}, {AT: (40, "")})
    positions, lost = kept(kafka)
    await positions.place({AT})
    kafka.logs[AT] = Extent(50, 90)
    for _ in range(4):
        await positions.look()
    assert (lost, kafka.position[AT]) == ([("activity", 10)], 40)
    kafka.logs[AT] = Extent(60, 90)
    await positions.out_of_range({TopicPartition(*AT): 40})
    assert (lost, kafka.position[AT]) == ([("activity", 10), ("activity", 10)], 60)
    assert (kafka.group[AT][0], kafka.noted[AT]) == (60, 60)
    assert kafka.joins == 0


@pytest.mark.asyncio
async def test_an_offset_is_not_moved_past_what_is_in_work() -> None:
    """Records behind it are gone, those in work are not: a crash must bring them again."""
    kafka = Kafka({AT: Extent(0, 90)}, {AT: (30, "")}, held_back={("activity", 0): 30})
    positions, _ = kept(kafka)
    await positions.place({AT})
    kafka.position[AT] = 40
    kafka.logs[AT] = Extent(60, 90)
    await positions.out_of_range({TopicPartition(*AT): 40})
    assert (kafka.position[AT], kafka.group[AT][0]) == (60, 30)


@pytest.mark.asyncio
async def test_out_of_range_and_yet_within_means_that_the_log_has_grown_since() -> None:
    """It was beyond the end, else the broker would have said nothing: the new records before it are read."""
    kafka = Kafka({AT: Extent(0, 60)}, {AT: (40, "")})
    positions, lost = kept(kafka)
    await positions.place({AT})
    await positions.out_of_range({TopicPartition(*AT): 39})
    assert kafka.joins == 0, "of a position that we have left"
    await positions.out_of_range({TopicPartition(*AT): 40})
    assert (kafka.joins, kafka.group[AT][0], lost) == (1, 0, [])


@pytest.mark.asyncio
async def test_what_was_fetched_and_not_taken_tells_nothing_of_another_log() -> None:
    """A retry that is not due waits in the fetch: its leader's epoch is not known before it is taken."""
    kafka = Kafka({RETRY: Extent(0, 10, OLD)}, {RETRY: (7, f"log={OLD}/3")})
    positions, _ = kept(kafka)
    await positions.place({RETRY})
    # The broker was restarted: what came after 7 is of the next epoch.
    kafka.logs[RETRY] = Extent(0, 10, OLD, parted_at=7)
    kafka.fetched[RETRY] = 10
    for _ in range(3):
        await positions.look()
    assert (kafka.joins, positions.may_read(("retry", 0))) == (0, True)
    kafka.position[RETRY] = 8
    for _ in range(3):
        await positions.look()
    assert kafka.joins == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(("watermarks", "goes_on_at"), [({AT: 45}, 45), ({}, 40), ({AT: 55}, 50)])
async def test_a_correction_passes_over_nothing_that_is_not_finished(
    watermarks: dict[TP, int], goes_on_at: int
) -> None:
    """Reading is ahead of what is finished: the group's offset goes back to the lower of both."""
    kafka = Kafka({AT: Extent(0, 90, OLD)}, {AT: (40, f"log={OLD}/3")})
    positions, _ = kept(kafka)
    await positions.place({AT})
    kafka.position[AT], kafka.watermarks = 60, {tuple(tp): at for tp, at in watermarks.items()}
    kafka.logs[AT] = Extent(0, 90, OLD, parted_at=50)
    for _ in range(3):
        await positions.look()
    assert kafka.group[AT][0] == goes_on_at
    positions.forget()
    await positions.place({AT})
    assert kafka.position[AT] == goes_on_at


_DONE = write(Finished(40, (range(42, 44), range(50, 51))), 200)


_IN_LOG = f"log={OLD}/3"
_BOTH = range(42, 44), range(50, 51)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("log", "text", "passed_over", "says"),
    [
        (Extent(0, 60, OLD, parted_at=60), _DONE, _BOTH, "are passed"),
        # Retention has come up to there, and the rest is what it was.
        (Extent(43, 60, OLD, parted_at=60), _DONE, (range(43, 44), range(50, 51)), "are passed"),
        (Extent(55, 60, OLD, parted_at=60), _DONE, None, ""),
        # Made anew; its end lost before the offset, and behind it; not known.
        (Extent(0, 60, NEW, parted_at=60), _DONE, None, "may not be the one"),
        (Extent(45, 60, NEW, parted_at=60), _DONE, None, "may not be the one"),
        (Extent(0, 60, OLD, parted_at=30), _DONE, None, "may not be the one"),
        (Extent(0, 60, OLD, parted_at=50), _DONE, None, "may not be the one"),
        (Extent(0, 60, OLD), _DONE, None, "may not be the one"),
        # Of an offset that somebody has reset; of another release; damaged; nothing.
        (Extent(0, 60, OLD, parted_at=60), _DONE.replace("40", "39"), None, "another offset"),
        (Extent(0, 60, OLD, parted_at=60), _DONE.replace("1:", "2:"), None, "another release"),
        (Extent(0, 60, OLD, parted_at=60), _DONE[:-3], None, "cannot be read"),
        (Extent(0, 60, OLD, parted_at=60), "", None, ""),
    ],
)
async def test_what_is_handed_down_is_passed_over_in_its_own_log_only(
    log: Extent, text: str, passed_over: tuple[range, ...] | None, says: str
) -> None:
    """A line tells what is done with it; what the group's offset is corrected to has nothing of it."""
    kafka = Kafka({AT: log}, {AT: (40, f"{_IN_LOG} {text}")})
    positions, _ = kept(kafka)
    with capture_logs() as logs:
        begins = await positions.place({AT})
    assert kafka.handed_down == ({} if passed_over is None else {AT: (passed_over, 3)})
    told = [str(line) for line in logs if "finished" in line["event"]]
    assert len(told) == bool(says)
    assert all(says in line for line in told)
    assert begins[AT] == 40 or "done=" not in kafka.group[AT][1]


@pytest.mark.asyncio
async def test_nothing_is_passed_over_where_reading_goes_back() -> None:
    """What was cut is told of and not corrected yet: the same text stands beside the old offset."""
    kafka = Kafka({AT: Extent(0, 30, OLD)}, {AT: (40, f"{_IN_LOG} {_DONE}")}, takes_commits=False)
    positions, _ = kept(kafka)
    assert await positions.place({AT}) == {}
    kafka.takes_commits = True
    kafka.logs[AT] = Extent(0, 90, OLD, parted_at=90)
    assert await positions.place({AT}) == {AT: 0}
    assert kafka.handed_down == {}
