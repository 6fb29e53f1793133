"""Order per key, bounds, drains and assignments; the work ends when the test says so."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from tests.support.unit.virtual_time import run_in_virtual_time, settle
from tests.support.use_case.fakes import FakeLease
from topics.record import Position, Record
from worker.enrolment.delivery import Delivery
from worker.stream.delivery.lanes import Lanes
from worker.stream.delivery.room import Bounds

TOPIC = "customer-activity"
current: ContextVar[int] = ContextVar("current")


def delivery(offset: int, key: bytes = b"a", partition: int = 0) -> Record:
    """Return a record as it is delivered."""
    return Record(position=Position(TOPIC, partition, offset), timestamp_ms=0, key=key, value=b"")


def lane_of(record: Record) -> bytes:
    """Name a record's lane by its key."""
    return record.key or b""


class Bench:
    """Lanes whose handler runs until the test says so; `begun` and `ended` are in the order of events."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.begun: list[int] = []
        self.is_waited_for: dict[int, Callable[[], bool]] = {}
        self.ended: list[int] = []
        self.crashes: list[Exception] = []
        self.running: dict[int, asyncio.Future[None]] = {}
        self.stubborn: set[int] = set()
        self.lanes = Lanes(self.handle, lane_of, bounds or Bounds(), self.crash)

    async def handle(self, delivered: Delivery) -> None:
        offset = delivered.record.position.offset
        self.begun.append(offset)
        self.is_waited_for[offset] = delivered.is_waited_for
        end = self.running[offset] = asyncio.get_running_loop().create_future()
        while True:
            try:
                await asyncio.shield(end)
                break
            except asyncio.CancelledError:
                if offset not in self.stubborn:
                    raise
        self.ended.append(offset)

    async def crash(self, error: Exception) -> None:
        self.crashes.append(error)

    async def submit(self, *records: Record, is_backlog: bool = False) -> list[bool]:
        taken = [
            await self.lanes.submit(Delivery(each, FakeLease()), is_backlog=is_backlog) for each in records
        ]
        await settle()
        return taken

    def submit_later(self, record: Record) -> asyncio.Task[bool]:
        return asyncio.create_task(self.lanes.submit(Delivery(record, FakeLease())))

    async def finish(self, *offsets: int) -> None:
        for offset in offsets:
            self.running[offset].set_result(None)
            await settle()

    @property
    def watermark(self) -> int | None:
        return self.lanes.watermarks.get((TOPIC, 0))


@pytest.mark.asyncio
async def test_events_of_one_key_are_handled_in_order_and_one_at_a_time() -> None:
    """The next event of a key begins once the one before it is finished."""
    bench = Bench()
    await bench.submit(*(delivery(offset) for offset in range(4)))

    for offset in range(4):
        assert (bench.begun, bench.lanes.in_flight) == (list(range(offset + 1)), 1)
        await bench.finish(offset)

    assert (bench.ended, bench.lanes.in_flight, bench.watermark) == ([0, 1, 2, 3], 0, 4)


@pytest.mark.asyncio
async def test_events_of_different_keys_run_at_once_up_to_the_bound() -> None:
    """MAX_IN_FLIGHT events are worked on, whatever the number of keys; the next begins when one ends."""
    bench = Bench(Bounds(in_flight=3))
    await bench.submit(*(delivery(offset, key=b"%d" % offset) for offset in range(5)))

    assert (bench.begun, bench.lanes.in_flight) == ([0, 1, 2], 3)
    await bench.finish(1)
    assert (bench.begun, bench.lanes.in_flight) == ([0, 1, 2, 3], 3)
    await bench.finish(0, 2, 3, 4)
    assert (bench.lanes.in_flight, bench.watermark) == (0, 5)


@pytest.mark.asyncio
async def test_a_key_is_one_lane_across_partitions() -> None:
    """Records with the same key are never handled two at once, also between topics and partitions."""
    bench = Bench()
    await bench.submit(delivery(10, partition=0), delivery(20, partition=1))

    assert bench.begun == [10]
    await bench.finish(10)
    assert bench.begun == [10, 20]
    await bench.finish(20)
    assert bench.lanes.watermarks == {(TOPIC, 0): 11, (TOPIC, 1): 21}


@pytest.mark.asyncio
async def test_a_slow_event_holds_its_partitions_watermark_and_nothing_else() -> None:
    """Work behind it goes on and is not committed past it; another partition is."""
    bench = Bench()
    await bench.submit(
        delivery(0, b"slow"), delivery(1, b"b"), delivery(2, b"c"), delivery(7, b"d", partition=1)
    )

    await bench.finish(1, 2, 7)
    assert bench.lanes.watermarks == {(TOPIC, 0): 0, (TOPIC, 1): 8}
    await bench.finish(0)
    assert bench.lanes.watermarks == {(TOPIC, 0): 3, (TOPIC, 1): 8}


@pytest.mark.asyncio
async def test_deliveries_wait_while_too_many_are_on_hand() -> None:
    """Back-pressure: a submit beyond the bounds waits until something is finished."""
    bench = Bench(Bounds(in_flight=1, waiting=2))
    await bench.submit(*(delivery(offset) for offset in range(3)))

    late = bench.submit_later(delivery(3))
    await settle()
    assert not late.done()
    await bench.finish(0)
    assert await late is True
    await bench.finish(1, 2, 3)
    assert (bench.ended, bench.watermark) == ([0, 1, 2, 3], 4)


@pytest.mark.asyncio
async def test_finished_work_behind_a_slow_event_is_bounded() -> None:
    """At most `window` offsets lie between a partition's watermark and its last delivery."""
    bench = Bench(Bounds(window=3))
    await bench.submit(delivery(0, b"slow"), delivery(1, b"b"), delivery(2, b"c"))
    await bench.finish(1, 2)

    late = bench.submit_later(delivery(3, b"d"))
    await settle()
    assert not late.done()
    assert await bench.submit(delivery(50, b"e", partition=1)) == [True]
    await bench.finish(0)
    assert await late is True


@pytest.mark.asyncio
async def test_the_handler_sees_nothing_of_who_delivered() -> None:
    """All that it may know is in the delivery; nothing of the stream beside it is kept alive."""
    seen: list[int] = []

    async def handle(_: Delivery) -> None:
        seen.append(current.get(-1))

    async def no_crash(error: Exception) -> None:
        raise AssertionError from error

    lanes = Lanes(handle, lane_of, Bounds(), no_crash)
    for offset in range(3):
        current.set(offset)
        await lanes.submit(Delivery(delivery(offset), FakeLease()))
    await settle()

    assert seen == [-1, -1, -1]


@pytest.mark.asyncio
async def test_a_drain_finishes_what_runs_and_drops_what_waits() -> None:
    """The watermark ends before the first event that was only waiting."""
    bench = Bench(Bounds(in_flight=2))
    await bench.submit(delivery(0, b"a"), delivery(1, b"b"), delivery(2, b"a"), delivery(3, b"c"))

    drained = asyncio.create_task(bench.lanes.drain(25))
    await settle()
    assert not drained.done()
    await bench.finish(1, 0)

    assert await drained == 0
    assert (bench.begun, bench.watermark, bench.lanes.in_flight) == ([0, 1], 2, 0)


@pytest.mark.asyncio
async def test_a_drain_without_work_ends_at_once() -> None:
    """Nothing to wait for."""
    assert await Bench().lanes.drain(25) == 0


def test_a_drain_cancels_what_is_stuck_when_its_time_is_over() -> None:
    """It takes as long as it was given, reports how many were given up, and commits nothing of theirs."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(Bounds(in_flight=2))
        await bench.submit(delivery(0, b"a"), delivery(1, b"b"), delivery(2, b"c"))
        began = loop.time()

        loop.call_later(10, bench.running[1].set_result, None)
        assert await bench.lanes.drain(25) == 1

        assert loop.time() - began == pytest.approx(25)
        assert (bench.begun, bench.ended) == ([0, 1], [1])
        assert (bench.watermark, bench.lanes.in_flight, bench.crashes) == (0, 0, [])

    run_in_virtual_time(main())


@pytest.mark.asyncio
async def test_nothing_is_taken_from_the_drain_until_forgotten() -> None:
    """A submit during a drain, and one that waited for room when it began, returns False."""
    bench = Bench(Bounds(in_flight=1, waiting=0))
    await bench.submit(delivery(0))
    blocked = bench.submit_later(delivery(1))
    await settle()

    drained = asyncio.create_task(bench.lanes.drain(25))
    await settle()
    assert await blocked is False
    assert await bench.submit(delivery(1)) == [False]
    await bench.finish(0)
    await drained
    assert await bench.submit(delivery(1)) == [False]

    bench.lanes.forget()
    assert await bench.submit(delivery(1)) == [True]
    await bench.finish(1)
    assert (bench.begun, bench.watermark) == ([0, 1], 2)


@pytest.mark.asyncio
async def test_a_submit_that_slept_through_drain_and_forget_is_not_taken() -> None:
    """A delivery of the assignment before belongs to nobody, even if the lanes are open again."""
    bench = Bench(Bounds(in_flight=1, waiting=0))
    await bench.submit(delivery(0))
    blocked = bench.submit_later(delivery(1))
    await settle()
    bench.running[0].set_result(None)

    await asyncio.gather(bench.lanes.drain(0))
    bench.lanes.forget()

    assert await blocked is False


@pytest.mark.asyncio
async def test_a_new_assignment_begins_with_nothing_to_commit() -> None:
    """After forget() the same offsets may come again, and only what is finished anew is committed."""
    bench = Bench()
    await bench.submit(delivery(0), delivery(1), delivery(2, b"b"))
    await bench.finish(0, 2)
    assert bench.watermark == 1
    await bench.lanes.drain(0)
    bench.lanes.forget()
    assert not bench.lanes.watermarks

    await bench.submit(delivery(1), delivery(2, b"b"))
    await bench.finish(2)
    assert bench.watermark == 1
    await bench.finish(1)
    assert bench.watermark == 3


@pytest.mark.asyncio
async def test_rounds_of_drain_and_forget_leak_no_room() -> None:
    """What was dropped or cancelled no longer counts as on hand."""
    bench = Bench(Bounds(in_flight=2, waiting=2))
    for _ in range(5):
        taken = await bench.submit(delivery(0), delivery(1), delivery(2, b"b"), delivery(3, b"c"))
        assert taken == [True] * 4
        assert await bench.lanes.drain(0) == 2
        bench.lanes.forget()

    await bench.submit(delivery(0), delivery(1), delivery(2, b"b"), delivery(3, b"c"))
    assert bench.lanes.in_flight == 2


@pytest.mark.asyncio
async def test_a_handler_that_raises_closes_the_lanes_for_good() -> None:
    """The owner is told; what runs may finish, nothing else begins, nothing is committed past the event."""
    bench = Bench(Bounds(in_flight=2))
    await bench.submit(delivery(0, b"a"), delivery(1, b"b"), delivery(2, b"a"), delivery(3, b"c"))
    error = ValueError("not acknowledged")

    bench.running[0].set_exception(error)
    await settle()
    assert bench.crashes == [error]
    await bench.finish(1)

    assert (bench.begun, bench.ended, bench.watermark) == ([0, 1], [1], 0)
    assert await bench.submit(delivery(4, b"d")) == [False]
    assert await bench.lanes.drain(25) == 0
    bench.lanes.forget()
    assert await bench.submit(delivery(0)) == [False]


@pytest.mark.asyncio
async def test_a_crash_lets_go_of_a_waiting_submit() -> None:
    """The agent is not left waiting for room that will never be."""
    bench = Bench(Bounds(in_flight=1, waiting=0))
    await bench.submit(delivery(0))
    blocked = bench.submit_later(delivery(1))
    await settle()

    bench.running[0].set_exception(ValueError())
    assert await blocked is False


def test_a_handler_that_refuses_to_die_does_not_hold_its_keys_next_assignment() -> None:
    """After forget() the key gets a new lane at once, and the old handler's end moves no watermark."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench()
        await bench.submit(delivery(0), delivery(1))
        bench.stubborn.add(0)
        zombie = bench.running[0]
        began = loop.time()

        assert await bench.lanes.drain(25) == 1
        assert loop.time() - began < 25 + 5
        bench.lanes.forget()
        assert await bench.submit(delivery(5)) == [True]
        assert bench.begun == [0, 5]

        zombie.set_result(None)
        await settle()
        assert (bench.ended, bench.watermark) == ([0], 5)
        assert await bench.submit(delivery(6)) == [True]
        assert bench.begun == [0, 5]
        await bench.finish(5, 6)
        assert (bench.ended, bench.watermark, bench.lanes.in_flight) == ([0, 5, 6], 7, 0)

    run_in_virtual_time(main())


def test_work_that_ends_while_it_is_being_cancelled_counts_as_finished() -> None:
    """A handler that shields its last step and returns is committed: its event did come to its end."""

    async def main() -> None:
        bench = Bench()
        await bench.submit(delivery(0), delivery(1))
        bench.stubborn.add(0)
        asyncio.get_running_loop().call_later(26, bench.running[0].set_result, None)

        assert await bench.lanes.drain(25) == 1
        assert (bench.begun, bench.ended, bench.watermark) == ([0], [0], 1)

    run_in_virtual_time(main())


@pytest.mark.asyncio
async def test_a_record_that_is_delivered_again_is_taken_once() -> None:
    """Faust may deliver what it had delivered before a seek: neither a fault nor a second handling."""
    bench = Bench()
    await bench.submit(delivery(0), delivery(1))
    await bench.submit(delivery(0), delivery(1), delivery(2))

    for offset in (0, 1, 2):
        await bench.finish(offset)
    assert (bench.ended, bench.watermark) == ([0, 1, 2], 3)


@pytest.mark.asyncio
async def test_live_events_are_worked_on_before_a_backlog_that_came_earlier() -> None:
    """They find slots that it may not take, and the next one that it gives back."""
    bench = Bench(Bounds(in_flight=2))
    await bench.submit(*(delivery(offset, b"%d" % offset) for offset in range(3)), is_backlog=True)
    assert bench.begun == [0]

    await bench.submit(delivery(10, b"x", partition=1), delivery(11, b"y", partition=1))
    assert bench.begun == [0, 10]
    await bench.finish(10)
    assert bench.begun == [0, 10, 11]
    await bench.finish(0)
    assert bench.begun == [0, 10, 11, 1]
    await bench.finish(11, 1, 2)
    assert bench.lanes.watermarks == {(TOPIC, 0): 3, (TOPIC, 1): 12}


@pytest.mark.asyncio
async def test_a_live_event_behind_an_old_one_of_its_key_lends_it_its_class() -> None:
    """The old one is done first, and before others that are old; those behind it are old again."""
    bench = Bench(Bounds(in_flight=4))
    old = [delivery(offset, key) for offset, key in enumerate([b"a", b"b", b"c", b"c"])]
    await bench.submit(*old, is_backlog=True)
    await bench.submit(delivery(4, b"d"), is_backlog=True)
    assert bench.begun == [0, 1]

    await bench.submit(delivery(5, b"c"))
    assert bench.begun == [0, 1, 2]
    await bench.finish(2)
    assert bench.begun == [0, 1, 2, 3]
    await bench.submit(delivery(6, b"c"), is_backlog=True)
    await bench.finish(3, 5)
    assert bench.begun == [0, 1, 2, 3, 5]
    await bench.finish(0, 1)
    assert bench.begun == [0, 1, 2, 3, 5, 4, 6]
    await bench.finish(4, 6)
    assert (bench.ended, bench.watermark) == ([2, 3, 5, 0, 1, 4, 6], 7)


@pytest.mark.asyncio
async def test_the_handler_hears_that_a_live_event_waits_for_an_old_one() -> None:
    """Also if that comes while the old one is in work."""
    bench = Bench(Bounds(in_flight=4))
    await bench.submit(delivery(0), delivery(1), is_backlog=True)
    waits = bench.is_waited_for[0]
    assert not waits()
    await bench.submit(delivery(2))
    assert waits()
    await bench.finish(0, 1)
    assert bench.is_waited_for[1]()
    await bench.submit(delivery(3))
    assert not bench.is_waited_for[2](), "it is live itself"


@pytest.mark.asyncio
async def test_a_single_slot_is_given_in_the_order_of_waiting() -> None:
    """MAX_IN_FLIGHT of 1 has nothing to share."""
    bench = Bench(Bounds(in_flight=1))
    await bench.submit(delivery(0, b"a"), delivery(1, b"b"), is_backlog=True)
    await bench.submit(delivery(2, b"c"))
    await bench.finish(0, 1, 2)
    assert bench.ended == [0, 1, 2]


@pytest.mark.asyncio
async def test_a_backlog_is_turned_away_where_live_events_are_waited_with() -> None:
    """Its room is full, or the partition's window, behind which nobody waits."""
    bench = Bench(Bounds(in_flight=2, waiting=0, window=4, backlog=2))
    here, there = (TOPIC, 0), (TOPIC, 1)
    await bench.submit(delivery(0, b"a"), delivery(1, b"b"), is_backlog=True)
    assert [bench.lanes.turns_away(here, is_backlog=each) for each in (True, False)] == [True, False]
    await bench.submit(delivery(2, b"c"))
    await bench.submit(delivery(3, b"d"))
    assert [bench.lanes.turns_away(here, is_backlog=each) for each in (True, False)] == [True, True]
    assert [bench.lanes.turns_away(there, is_backlog=each) for each in (True, False)] == [False, False]


@pytest.mark.asyncio
async def test_a_backlog_that_waits_for_its_share_is_attended_to() -> None:
    """Nobody is to be alarmed while others of it are in work."""
    bench = Bench(Bounds(in_flight=2))
    await bench.submit(delivery(0, b"a"), is_backlog=True)
    await bench.submit(delivery(10, b"b", partition=1), is_backlog=True)
    assert bench.begun == [0]
    assert not bench.lanes.unattended


@pytest.mark.asyncio
async def test_what_waits_has_no_task() -> None:
    """Thousands may wait; a task for each would take five times as much memory."""
    bench = Bench(Bounds(in_flight=2))
    before = len(asyncio.all_tasks())
    await bench.submit(*(delivery(offset, b"%d" % offset) for offset in range(50)))
    assert len(asyncio.all_tasks()) - before == 2


@pytest.mark.asyncio
async def test_a_drain_drops_a_backlog_that_waits() -> None:
    """Its room is free for the next assignment."""
    bench = Bench(Bounds(in_flight=2, backlog=3))
    for _ in range(3):
        await bench.submit(*(delivery(offset, b"%d" % offset) for offset in range(3)), is_backlog=True)
        assert bench.lanes.turns_away((TOPIC, 0), is_backlog=True)
        assert await bench.lanes.drain(0) == 1
        assert bench.lanes.on_hand == 0
        bench.lanes.forget()
