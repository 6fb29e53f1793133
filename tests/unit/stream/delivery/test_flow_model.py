"""The flow under random fetches, losses, due times, ends, pauses, drains and assignments, in virtual time.

Some records are a backlog, which gives way to the others, if the flow is told so.
"""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.unit.handlers import Running
from tests.support.unit.virtual_time import VirtualTimeLoop, settle
from topics.names import TopicNames
from topics.record import Position, Record
from worker.enrolment.delivery import Delivery
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

_PARTITIONS = (("activity", 0), ("activity", 1), ("retry", 0))
_OLD = b"old"
"""The value of what gives way."""
_SLACK = 0.001
_LOOKS = 3
_MOVES = 12
"""So much happens under an assignment before the next."""
_ROUNDS = 3_000
_ENOUGH = 3
"""So many were handled before the partitions are found to be others: nothing happens behind it."""


@dataclass(slots=True)
class Log:
    """A partition as Kafka has it, and the group's place in it. Offsets may have gaps."""

    records: list[Record] = field(default_factory=list)
    position: int = 0
    """What is fetched next."""
    committed: int = 0
    end: int = 0
    """Behind the last record, and behind markers of transactions that follow it."""
    told: tuple[range, ...] = ()
    """What stands beside it of what is finished behind it."""

    def next(self, most: int) -> list[Record]:
        """Return what a fetch brings."""
        return [each for each in self.records if each.position.offset >= self.position][:most]


def partition_of(record: Record) -> Partition:
    """Return where the record is from."""
    return record.position.topic, record.position.partition


class FlowModel(RuleBasedStateMachine):
    """A driver that loses what it fetched, and a group that reassigns; the account of it all is naive."""

    @initialize(
        in_flight=st.integers(1, 4),
        waiting=st.integers(0, 4),
        window=st.integers(1, 12),
        backlog=st.sampled_from([None, 1, 2, 3]),
    )
    def begin(self, in_flight: int, waiting: int, window: int, backlog: int | None) -> None:
        self.loop = VirtualTimeLoop()
        asyncio.set_event_loop(self.loop)
        self.logs = {each: Log() for each in _PARTITIONS}
        self.in_flight, self.generation = in_flight, 1
        self.knows_backlog, self.asked = backlog is not None, 0
        # A partition may have one of its own beyond that.
        self.most_on_hand = in_flight + waiting + (backlog + len(_PARTITIONS) - 1 if backlog else 0)
        self.faults: list[Exception] = []
        self.running: list[Running] = []
        self.ledger_records = self.opened_in = 0
        self.buffer: deque[Record] = deque()
        self.taking: asyncio.Task[None] | None = None
        self.seen_at: dict[tuple[Partition, int], float] = {}
        self.handled: set[tuple[Partition, int]] = set()
        self.refused = False
        self.ends: list[int] = []
        bounds = Bounds(in_flight, waiting, window, backlog=backlog or 0)
        lanes = Lanes(self.handle, lambda record: record.key or b"", bounds, self.crash)
        membership = Membership(float("inf"))
        self.fence = SendFence(membership, self.ends.append)
        names = TopicNames("activity", "outcomes", "group")
        self.guard = PartitionGuard(names, 2, keeps_ledger=False, end=lambda: None)
        self.membership, self.pauses = membership, Pauses(self.loop.time)
        self.flow = Flow(
            {"activity", "retry"},
            lanes,
            self,
            self.wait_of,
            guards=Guards(membership=membership, fence=self.fence, partitions=self.guard),
            pauses=self.pauses,
            inherited=Inherited(Leaders()),
            drain_seconds=25.0,
            timer=self.loop.time,
            is_backlog=self.is_backlog if self.knows_backlog else None,
        )
        self.assign()

    def assign(self) -> None:
        """Begin a new generation where the group left off."""
        self.closed, self.moves = False, 0
        self.generation += 1
        self.membership.heard(0.0, self.generation)
        self.buffer.clear()
        self.finished: dict[Partition, set[int]] = defaultdict(set)
        for left in self.running:
            left.is_zombie = True
        for partition, log in self.logs.items():
            log.position = log.committed
            self.flow.inherited.begin(partition, log.told, None)
            self.finished[partition] |= {offset for run in log.told for offset in run}

    async def seek(self, partition: Partition, offset: int) -> None:
        self.logs[partition].position = offset

    async def beginning(self, partition: Partition) -> int:
        assert partition in self.logs
        return 0

    def wait_of(self, record: Record, seen_for: float) -> float:
        """Let records be due so many milliseconds after they were first fetched."""
        return record.timestamp_ms / 1000 - seen_for

    def is_backlog(self, record: Record) -> bool:
        """Tell what gives way; how often that is asked is counted."""
        self.asked += 1
        return record.value == _OLD

    async def handle(self, delivery: Delivery) -> None:
        record = delivery.record
        at = partition_of(record), record.position.offset
        assert delivery.lease.held(), "begun under another assignment"
        assert not self.closed, "begun during a drain"
        assert self.loop.time() - self.seen_at[at] >= record.timestamp_ms / 1000 - _SLACK, "begun too early"
        assert record.key not in {each.record.key for each in self.running if not each.is_zombie}, (
            "two at once"
        )
        before = [o for o in self.offsets(at[0]) if self.logs[at[0]].committed <= o < at[1]]
        earlier = [o for o in before if self.record(at[0], o).key == record.key]
        assert set(earlier) <= self.finished[at[0]], "overtaken by one of its key"
        assert at[1] not in self.finished[at[0]], "handled twice under one assignment"
        work = Running(record, self.loop.create_future())
        self.running.append(work)
        try:
            await work.ended()
        finally:
            self.running.remove(work)
        if not work.is_zombie:
            self.finished[at[0]].add(at[1])
            self.handled.add(at)

    async def crash(self, error: Exception) -> None:
        self.faults.append(error)

    def offsets(self, partition: Partition) -> list[int]:
        return [each.position.offset for each in self.logs[partition].records]

    def record(self, partition: Partition, offset: int) -> Record:
        return next(each for each in self.logs[partition].records if each.position.offset == offset)

    def go(self) -> None:
        self.moves += 1
        self.loop.run_until_complete(settle())
        if self.taking is not None and self.taking.done():
            self.taking.result()
            self.taking = None

    @rule(
        partition=st.sampled_from(_PARTITIONS),
        made=st.lists(
            st.tuples(
                st.sampled_from([b"a", b"b", b"c"]),
                st.integers(0, 3),
                st.sampled_from([0, 700, 5_000]),
                st.sampled_from([_OLD, b""]),
            ),
            min_size=1,
            max_size=8,
        ),
    )
    def produce(self, partition: Partition, made: list[tuple[bytes, int, int, bytes]]) -> None:
        log = self.logs[partition]
        for key, gap, due_ms, value in made:
            # A key has a partition of its own in each topic; here it is made so.
            own = b"%s of %s %d" % (key, partition[0].encode(), partition[1])
            delay = due_ms if partition[0] == "retry" else 0
            at = Position(*partition, log.end + gap)
            log.records.append(Record(position=at, timestamp_ms=delay, key=own, value=value))
            log.end = at.offset + 1

    @rule(partition=st.sampled_from(_PARTITIONS))
    def end_a_transaction(self, partition: Partition) -> None:
        """Write a marker, which no fetch brings."""
        self.logs[partition].end += 1

    @rule(partition=st.sampled_from(_PARTITIONS), most=st.integers(1, 8))
    def fetch(self, partition: Partition, most: int) -> None:
        """Fetch what is not paused; it is not handed over yet."""
        if self.flow.is_paused(partition):
            return
        log = self.logs[partition]
        brought = log.next(most)
        for each in brought:
            self.seen_at.setdefault((partition, each.position.offset), self.loop.time())
        self.flow.fetched(partition, [each.position.offset for each in brought])
        self.buffer.extend(brought)
        if brought:
            log.position = brought[-1].position.offset + 1
        if not log.next(1):
            log.position = max(log.position, log.end)
        if not brought:
            self.flow.read_up_to(partition, log.position)

    @precondition(lambda self: self.buffer)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """Drop some of what was fetched on its way, as Faust does."""
        kept = data.draw(st.lists(st.booleans(), min_size=len(self.buffer), max_size=len(self.buffer)))
        self.buffer = deque(each for each, stays in zip(self.buffer, kept, strict=True) if stays)

    @precondition(lambda self: self.buffer and self.taking is None)
    @rule()
    def hand_over(self) -> None:
        lease, record = Lease(self.membership, self.generation), self.buffer.popleft()
        partition, before = partition_of(record), self.flow.on_hand
        was_paused, asked = self.pauses.is_paused(partition), self.asked
        self.taking = self.loop.create_task(self.flow.take(Delivery(record, lease)))
        self.go()
        assert self.flow.on_hand <= before or not self.refused, "taken after the partitions were others"
        if self.pauses.is_paused(partition) and not was_paused:
            assert self.logs[partition].position == record.position.offset, "did not go back"
        assert not (self.closed or self.refused) or self.taking is None
        assert self.asked <= asked + self.knows_backlog, "asked more than once"
        if self.knows_backlog and record.value == _OLD:
            assert self.taking is None, "others wait behind a backlog"

    @rule(partition=st.sampled_from(_PARTITIONS), most=st.integers(1, 8))
    def deliver(self, partition: Partition, most: int) -> None:
        """Fetch, and hand over all that is on its way, as it mostly goes."""
        self.fetch(partition, most)
        while self.buffer and self.taking is None:
            self.hand_over()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self.one_running(data).end.set_result(None)
        self.go()

    @precondition(lambda self: self.running)
    @rule()
    def finish_all(self) -> None:
        for each in self.running:
            each.end.set_result(None)
        self.go()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def harden(self, data: st.DataObject) -> None:
        self.one_running(data).is_stubborn = True

    def one_running(self, data: st.DataObject) -> Running:
        return self.running[data.draw(st.integers(0, len(self.running) - 1))]

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.loop.skip(seconds)

    @rule(partition=st.sampled_from(_PARTITIONS), drains=st.booleans())
    def outage(self, partition: Partition, *, drains: bool) -> None:
        """Read nothing while the API is down; a drain is short then."""
        self.pauses.outage = True
        before = self.logs[partition].position
        self.fetch(partition, 5)
        assert self.logs[partition].position == before
        if drains and self.moves >= _MOVES:
            self.rebalance(hands_over=False, commits=True)
        self.pauses.outage = False

    @rule()
    def look(self) -> None:
        for _ in range(_LOOKS):
            self.loop.run_until_complete(self.flow.look(_PARTITIONS))

    @rule(opens=st.booleans())
    def write_to_the_ledger(self, *, opens: bool) -> None:
        if opens:
            self.fence.opened()
            # Those of an earlier membership are void, with all that follow them.
            self.opened_in = self.opened_in if self.ledger_records else self.generation
            self.ledger_records += 1
        elif self.ledger_records:
            self.fence.closed()
            self.ledger_records -= 1

    @precondition(lambda self: len(self.handled) >= _ENOUGH)
    @rule()
    def find_more_partitions(self) -> None:
        self.refused = True
        self.guard.counted(3)

    @precondition(lambda self: self.moves >= _MOVES)
    @rule(hands_over=st.booleans(), commits=st.booleans())
    def rebalance(self, *, hands_over: bool, commits: bool) -> None:
        """Drain, maybe get what was on its way all the same, and begin anew with what the group has.

        Without the last commit it is as after a crash: what was committed before holds.
        """
        if hands_over:
            for partition in _PARTITIONS:
                self.fetch(partition, 3)
        self.closed = True
        began, outage = self.loop.time(), self.pauses.outage
        self.loop.run_until_complete(self.flow.drain(self.commit if commits else settle))
        took = self.loop.time() - began
        assert took <= (2.0 if outage else 25.0) + 2.0 + 10.0 + _SLACK
        is_awaited = self.ledger_records and self.opened_in == self.generation
        assert took >= 10.0 - _SLACK or not is_awaited, "did not wait for the ledger's records"
        self.go()
        assert self.taking is None
        assert all(left.is_stubborn for left in self.running), "still running after a drain"
        while hands_over and self.buffer:
            self.hand_over()
        self.flow.forget()
        assert not self.flow.watermarks
        assert not any(self.flow.is_open(each) for each in _PARTITIONS)
        self.assign()

    async def commit(self) -> None:
        assert not self.faults
        for partition in self.flow.watermarks:
            standing = self.flow.standing(partition, Mark())
            assert standing is not None
            self.logs[partition].committed, self.logs[partition].told = standing.base, standing.runs

    @rule()
    def commit_in_between(self) -> None:
        """Commit as it is done every second: an assignment may end without a drain."""
        self.loop.run_until_complete(self.commit())

    @invariant()
    def watermarks_never_pass_what_is_not_finished(self) -> None:
        for partition, offset in self.flow.watermarks.items():
            behind = [o for o in self.offsets(partition) if self.logs[partition].committed <= o < offset]
            assert set(behind) <= self.finished[partition]
            told = self.flow.standing(partition, Mark())
            assert told is not None
            assert told.base == offset >= self.logs[partition].committed
            at_and_behind = {one for one in self.finished[partition] if one >= offset}
            assert {one for run in told.runs for one in run} == at_and_behind, "all of it, and nothing else"

    @invariant()
    def no_more_than_allowed_are_worked_on(self) -> None:
        assert self.flow.in_flight == len(self.running) <= self.in_flight
        assert self.flow.on_hand <= self.most_on_hand
        assert all(self.flow.is_open(partition_of(one.record)) for one in self.running if not one.is_zombie)
        assert self.faults == []
        assert self.ends == []

    def teardown(self) -> None:
        try:
            if not self.refused:
                self.run_dry()
        finally:
            self.loop.run_until_complete(self.flow.drain(self.commit))
            while self.running:
                for left in self.running:
                    left.end.set_result(None)
                self.go()
            self.loop.close()

    def run_dry(self) -> None:
        """Let the driver lose nothing more and the handlers end: then everything is handled and committed."""
        for _ in range(_ROUNDS):
            if not self.missing() and all(
                self.flow.watermarks.get(each) == log.end for each, log in self.logs.items()
            ):
                break
            for left in [each for each in self.running if not each.end.done()]:
                left.end.set_result(None)
            self.go()
            if self.taking is None and self.buffer:
                self.hand_over()
            else:
                for partition in _PARTITIONS:
                    self.fetch(partition, 5)
                self.look()
                self.wait(1.0)
        assert self.missing() == [], "never handled"
        assert self.flow.watermarks == {each: log.end for each, log in self.logs.items()}, "a marker is left"

    def missing(self) -> list[tuple[Partition, int]]:
        """Return what was never handled, under any assignment, or is not done under this one."""
        return [
            (each, offset)
            for each in _PARTITIONS
            for offset in self.offsets(each)
            if (each, offset) not in self.handled
            or (offset >= self.logs[each].committed and offset not in self.finished[each])
        ]


FlowModel.TestCase.settings = settings(max_examples=100, stateful_step_count=80, deadline=None)
TestFlowModel = FlowModel.TestCase
