"""A backlog on its way: it makes room for live records, and the partitions of others are read on."""

import asyncio

from tests.support.unit.virtual_time import run_in_virtual_time, settle
from topics.names import TopicNames
from topics.record import Position, Record
from worker.enrolment.delivery import Delivery
from worker.kafka.finished import Finished
from worker.kafka.positions import Mark
from worker.stream.delivery.flow import Flow, Guards
from worker.stream.delivery.inherited import Inherited
from worker.stream.delivery.lanes import Lanes
from worker.stream.delivery.leaders import Leaders
from worker.stream.delivery.membership import Lease, Membership
from worker.stream.delivery.partition import Partition
from worker.stream.delivery.partition_guard import PartitionGuard
from worker.stream.delivery.pauses import Pauses
from worker.stream.delivery.room import Bounds
from worker.stream.delivery.send_fence import SendFence

ONE, OTHER = ("activity", 0), ("activity", 1)
OLD = b"old"


class Bench:
    """A flow whose handlers run until the test says so; each record has a key of its own."""

    def __init__(self, bounds: Bounds) -> None:
        self.loop = asyncio.get_running_loop()
        self.sought: list[tuple[Partition, int]] = []
        self.running: dict[tuple[Partition, int], asyncio.Future[None]] = {}
        self.due_in = 0.0
        self.membership = Membership(float("inf"))
        self.membership.heard(0.0, 1)
        lanes = Lanes(self.handle, lambda record: str(record.position).encode(), bounds, self.crash)
        guard = PartitionGuard(
            TopicNames("activity", "outcomes", "group"), 2, keeps_ledger=False, end=lambda: None
        )
        self.flow = Flow(
            {"activity"},
            lanes,
            self,
            lambda _record, _seconds: self.due_in,
            guards=Guards(
                membership=self.membership,
                fence=SendFence(self.membership, lambda _: None),
                partitions=guard,
            ),
            pauses=Pauses(self.loop.time),
            inherited=Inherited(Leaders()),
            drain_seconds=25.0,
            timer=self.loop.time,
            is_backlog=lambda record: record.value == OLD,
        )

    async def seek(self, partition: Partition, offset: int) -> None:
        self.sought.append((partition, offset))

    async def beginning(self, partition: Partition) -> int:
        assert partition in (ONE, OTHER)
        return 0

    async def handle(self, delivery: Delivery) -> None:
        at = delivery.record.position
        end = self.running[(at.topic, at.partition), at.offset] = self.loop.create_future()
        await end
        del self.running[(at.topic, at.partition), at.offset]

    async def crash(self, error: Exception) -> None:
        raise error

    async def commit(self) -> None:
        """Commit nothing."""

    async def bring(self, partition: Partition, *values: bytes, begin: int = 0) -> None:
        """Fetch records of these values, and hand them over."""
        offsets = range(begin, begin + len(values))
        self.flow.fetched(partition, offsets)
        for offset, value in zip(offsets, values, strict=True):
            record = Record(position=Position(*partition, offset), timestamp_ms=0, key=None, value=value)
            await self.flow.take(Delivery(record, Lease(self.membership, 1)))
        await settle()

    async def finish(self, *ended: tuple[Partition, int]) -> None:
        for each in ended:
            self.running[each].set_result(None)
        await settle()


def test_a_backlog_without_room_is_left_where_it_is_for_a_second() -> None:
    """Its partition is not read meanwhile; another one is, and what comes again is taken in order."""

    async def main() -> None:
        bench = Bench(Bounds(2, 2, backlog=2))
        await bench.bring(ONE, OLD, OLD, OLD, OLD, b"new")
        assert bench.sought == [(ONE, 2)]
        assert [bench.flow.is_paused(each) for each in (ONE, OTHER)] == [True, False]
        await bench.bring(OTHER, b"new", OLD, b"new")
        assert bench.running.keys() == {(ONE, 0), (OTHER, 0)}
        assert bench.flow.on_hand == 5

        await bench.finish((OTHER, 0), (ONE, 0))
        await bench.bring(ONE, OLD, OLD, b"new", begin=2)
        assert bench.sought == [(ONE, 2), (ONE, 2)], "others took the room"
        await bench.finish((OTHER, 2), (ONE, 1))
        assert bench.flow.is_paused(ONE)
        await asyncio.sleep(1.0)
        assert not bench.flow.is_paused(ONE)
        await bench.bring(ONE, OLD, OLD, b"new", begin=2)
        assert bench.sought[2:] == [(ONE, 3)]
        assert bench.flow.watermarks == {ONE: 2, OTHER: 1}

    run_in_virtual_time(main())


def test_a_backlog_that_will_soon_have_no_room_is_fetched_no_more() -> None:
    """What is fetched already is taken: to fetch it anew each second would cost more than to work on it."""

    async def main() -> None:
        bench = Bench(Bounds(2, 2, backlog=8))
        await bench.bring(ONE, *[OLD] * 5)
        assert not bench.flow.is_paused(ONE)
        await bench.bring(ONE, OLD, OLD, begin=5)
        assert [bench.flow.is_paused(each) for each in (ONE, OTHER)] == [True, False]
        await bench.bring(ONE, b"new", begin=7)
        assert not bench.flow.is_paused(ONE), "live records come of it"
        await bench.bring(ONE, OLD, begin=8)
        assert bench.flow.is_paused(ONE)
        assert bench.sought == []

        for offset in range(3):
            await bench.finish((ONE, offset))
        assert not bench.flow.is_paused(ONE)
        await bench.flow.drain(bench.commit)
        bench.flow.forget()
        assert not bench.flow.is_paused(ONE)

    run_in_virtual_time(main())


def test_a_partition_whose_window_is_filled_keeps_no_other_waiting() -> None:
    """Finished live records pile up behind an old one that waits; they are read on once it is done."""

    async def main() -> None:
        bench = Bench(Bounds(4, 4, 4, backlog=8))
        await bench.bring(ONE, OLD, b"new", b"new")
        assert bench.flow.is_paused(ONE)
        await bench.finish((ONE, 1), (ONE, 2))
        assert bench.flow.is_paused(ONE)
        await bench.bring(ONE, b"new", b"new", begin=3)
        assert bench.sought == [(ONE, 4)]
        await bench.bring(OTHER, b"new")
        assert bench.running.keys() == {(ONE, 0), (ONE, 3), (OTHER, 0)}
        await bench.finish((ONE, 0))
        await asyncio.sleep(1.0)
        assert not bench.flow.is_paused(ONE)

    run_in_virtual_time(main())


def test_a_record_that_is_not_due_is_told_from_one_that_has_no_room() -> None:
    """The first waits for its time, with nothing of its partition in work; the other is held up."""

    async def main() -> None:
        bench = Bench(Bounds(2, 2, backlog=1))
        await bench.bring(ONE, b"new")
        bench.due_in = 5.0
        await bench.bring(ONE, b"new", begin=1)
        assert not bench.flow.waits_until_due(ONE), "an earlier one is in work"
        first = bench.flow.first(ONE)
        assert first is not None
        assert (first.offset, first.timestamp_ms) == (0, 0)
        await bench.finish((ONE, 0))
        assert bench.flow.first(ONE) is None
        assert bench.flow.waits_until_due(ONE)
        await asyncio.sleep(5.0)
        assert not bench.flow.waits_until_due(ONE)
        bench.due_in = 0.0
        await bench.bring(OTHER, OLD, OLD)
        await bench.finish((OTHER, 0))
        assert bench.flow.is_paused(OTHER)
        assert not bench.flow.waits_until_due(OTHER)

    run_in_virtual_time(main())


def test_what_a_former_owner_has_finished_is_passed_over() -> None:
    """Nobody handles it, nothing counts it, and it is due whatever has no room; the next owner is told."""

    async def main() -> None:
        bench = Bench(Bounds(1, 0, window=2, backlog=1))
        bench.flow.inherited.begin(ONE, [range(1, 3), range(4, 5), range(7, 9)], None)
        await bench.bring(ONE, b"new", OLD, b"new")
        assert bench.running.keys() == {(ONE, 0)}
        assert (bench.flow.on_hand, bench.flow.finished, bench.sought) == (1, 0, [])
        assert bench.flow.watermarks == {ONE: 0}
        behind = (range(1, 3), range(4, 5), range(7, 9))
        assert bench.flow.standing(ONE, Mark()) == Finished(0, behind)
        await bench.finish((ONE, 0))
        assert bench.flow.watermarks == {ONE: 3}
        await bench.bring(ONE, b"new", OLD, begin=3)
        await bench.finish((ONE, 3))
        assert bench.flow.standing(ONE, Mark()) == Finished(5, (range(7, 9),))
        assert bench.flow.finished == 2

        await bench.flow.drain(bench.commit)
        await bench.bring(ONE, b"new", begin=7)
        assert bench.flow.watermarks == {ONE: 5}, "not during a drain"
        bench.flow.forget()
        await bench.bring(ONE, b"new", begin=7)
        assert bench.running.keys() == {(ONE, 7)}, "another assignment is told anew"
        assert bench.flow.standing(OTHER, Mark()) is None

    run_in_virtual_time(main())
