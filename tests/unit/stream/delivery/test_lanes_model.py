"""Lanes under random deliveries, ends, drains and assignments."""

import asyncio
from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.unit.handlers import Running
from tests.support.unit.virtual_time import VirtualTimeLoop, settle
from tests.support.use_case.fakes import FakeLease
from topics.record import Position, Record
from worker.enrolment.delivery import Delivery
from worker.stream.delivery.lanes import Lanes
from worker.stream.delivery.room import Bounds

TOPIC = "customer-activity"


OLD = b"old"


def delivery(offset: int, key: bytes, partition: int, value: bytes = b"") -> Record:
    """Return a record as it is delivered."""
    return Record(position=Position(TOPIC, partition, offset), timestamp_ms=0, key=key, value=value)


def lane_of(record: Record) -> bytes:
    """Name a record's lane by its key."""
    return record.key or b""


class LanesModel(RuleBasedStateMachine):
    """Random deliveries, ends, drains and assignments against a naive account of what is unfinished."""

    @initialize(in_flight=st.integers(1, 4), waiting=st.integers(0, 4), window=st.integers(1, 12))
    def begin(self, in_flight: int, waiting: int, window: int) -> None:
        self.loop = VirtualTimeLoop()
        self.in_flight = in_flight
        self.faults: list[Exception] = []
        self.of_backlog: set[Running] = set()
        self.running: list[Running] = []
        self.group: dict[int, int] = {}
        self.pending: asyncio.Task[None] | None = None
        bounds = Bounds(in_flight, waiting, window, backlog=waiting)
        self.lanes = Lanes(self.handle, lane_of, bounds, self.crash)
        self.assign()

    def assign(self) -> None:
        self.closed = False
        for left in self.running:
            left.is_zombie = True
        self.unfinished: dict[int, set[int]] = defaultdict(set)
        self.queues: dict[bytes, list[Record]] = defaultdict(list)
        self.next_offset = defaultdict(int, self.group)
        self.committed: dict[int, int] = {}

    async def handle(self, delivery: Delivery) -> None:
        record = delivery.record
        assert not self.closed, "begun during a drain"
        assert self.queues[lane_of(record)][0] is record, "out of order, or two of one key at once"
        work = Running(record, self.loop.create_future())
        if self.in_flight > 1 and self.is_backlog(lane_of(record)):
            assert not self.of_backlog or not self.live_ones_wait(), "before a live one"
            self.of_backlog.add(work)
        self.running.append(work)
        try:
            await work.ended()
        finally:
            self.running.remove(work)
            self.of_backlog.discard(work)
        if not work.is_zombie:
            self.queues[lane_of(record)].pop(0)
            self.unfinished[record.position.partition].remove(record.position.offset)

    def is_backlog(self, key: bytes) -> bool:
        """Whether no live event waits in the lane."""
        return all(each.value == OLD for each in self.queues[key])

    def live_ones_wait(self) -> bool:
        at_work = {lane_of(each.record) for each in self.running if not each.is_zombie}
        return any(self.queues[key] and not self.is_backlog(key) for key in self.queues.keys() - at_work)

    async def crash(self, error: Exception) -> None:
        self.faults.append(error)

    async def submit(self, record: Record) -> None:
        if await self.lanes.submit(Delivery(record, FakeLease()), is_backlog=record.value == OLD):
            partition, offset = record.position.partition, record.position.offset
            self.unfinished[partition].add(offset)
            self.next_offset[partition] = offset + 1
            self.queues[lane_of(record)].append(record)

    def go(self) -> None:
        self.loop.run_until_complete(settle())
        if self.pending is not None and self.pending.done():
            self.pending.result()
            self.pending = None

    @precondition(lambda self: self.pending is None)
    @rule(
        partition=st.integers(0, 1),
        key=st.sampled_from([b"a", b"b", b"c", b"d", b"e"]),
        gap=st.integers(0, 3),
        value=st.sampled_from([b"", OLD]),
    )
    def deliver(self, partition: int, key: bytes, gap: int, value: bytes) -> None:
        record = delivery(self.next_offset[partition] + gap, key, partition, value)
        self.pending = self.loop.create_task(self.submit(record))
        self.go()
        assert not self.closed or self.pending is None

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self.one_running(data).end.set_result(None)
        self.go()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def harden(self, data: st.DataObject) -> None:
        self.one_running(data).is_stubborn = True

    def one_running(self, data: st.DataObject) -> Running:
        return self.running[data.draw(st.integers(0, len(self.running) - 1))]

    @rule(seconds=st.sampled_from([0.0, 25.0]))
    def drain(self, seconds: float) -> None:
        self.closed = True
        self.loop.run_until_complete(self.lanes.drain(seconds))
        self.go()
        assert self.pending is None
        assert all(left.is_stubborn for left in self.running), "still running after a drain"

    @precondition(lambda self: self.closed)
    @rule()
    def forget(self) -> None:
        self.group.update(self.committed)
        self.lanes.forget()
        self.assign()
        assert not self.lanes.watermarks

    @invariant()
    def watermarks_never_pass_unfinished_work_nor_go_back(self) -> None:
        for (_, partition), offset in self.lanes.watermarks.items():
            oldest = min(self.unfinished[partition], default=self.next_offset[partition])
            assert self.committed.get(partition, 0) <= offset <= oldest
            self.committed[partition] = offset

    @invariant()
    def no_more_than_allowed_are_worked_on(self) -> None:
        assert self.lanes.in_flight == len(self.running) <= self.in_flight
        assert len(self.of_backlog) <= self.in_flight // 2
        assert self.faults == []

    def teardown(self) -> None:
        try:
            while self.running:
                for left in self.running:
                    left.end.set_result(None)
                self.go()
            if not self.closed:
                assert self.pending is None
                assert not any(self.unfinished.values()), "taken and never begun"
                assert {(TOPIC, n): offset for n, offset in self.next_offset.items() if offset} == (
                    {(TOPIC, n): offset for n, offset in self.group.items() if offset}
                    | {at: offset for at, offset in self.lanes.watermarks.items() if offset}
                )
        finally:
            self.loop.run_until_complete(self.lanes.drain(0))
            self.go()
            self.loop.close()


LanesModel.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestLanesModel = LanesModel.TestCase
