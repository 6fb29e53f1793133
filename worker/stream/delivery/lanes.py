"""Keyed lanes: one event at a time per key, many keys at once, within bounds; and how they are drained."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from typing import Final

import structlog

from topics.record import Record, octets_of
from worker.enrolment.delivery import Delivery
from worker.enrolment.lease import Abandoned
from worker.stream.delivery.lane import Lane, Work
from worker.stream.delivery.order_book import OrderBook
from worker.stream.delivery.partition import Partition
from worker.stream.delivery.room import FILLED, Bounds, Room
from worker.stream.delivery.slots import Slots

log = structlog.get_logger(__name__)


_CANCEL_GRACE_SECONDS: Final = 2.0
"""How long cancelled work may take to unwind before it is left behind."""


class Lanes:
    """Takes deliveries in partition order and hands them to the handler, lane by lane.

    Live events are worked on before a backlog, but none before another one of its key that came earlier.
    What waits costs no task: each event in work has one.

    An event is finished when its handler returns. One that raises Abandoned closes the lanes until `forget`;
    one that raises anything else closes them for good and is reported to `on_crash`: the process is expected
    to end, and the event to come again.
    """

    def __init__(
        self,
        handle: Callable[[Delivery], Awaitable[None]],
        lane_of: Callable[[Record], bytes],
        bounds: Bounds,
        on_crash: Callable[[Exception], Awaitable[None]],
    ) -> None:
        self._handle = handle
        self._lane_of = lane_of
        self._bounds = bounds
        self._on_crash = on_crash
        self._books: defaultdict[Partition, OrderBook] = defaultdict(OrderBook)
        self._lanes: dict[bytes, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = Room(bounds)
        self._slots = Slots(bounds.in_flight)
        self._changed = asyncio.Event()
        self._epoch = 0
        self._open = True
        self._crashed = False
        self._in_flight = 0
        self._finished = 0
        self._blocked = False

    @property
    def in_flight(self) -> int:
        """How many events are being worked on now."""
        return self._in_flight

    @property
    def blocked(self) -> bool:
        """Whether a delivery waits for room."""
        return self._blocked

    @property
    def crashed(self) -> bool:
        """Whether a handler failed, so that the process is about to end."""
        return self._crashed

    @property
    def on_hand(self) -> int:
        """How many events were delivered and are not finished."""
        return self._room.on_hand

    @property
    def finished(self) -> int:
        """How many events were finished since the start."""
        return self._finished

    @property
    def watermarks(self) -> Mapping[Partition, int]:
        """What may be committed, for each partition with anything finished under this assignment."""
        return {tp: book.watermark for tp, book in self._books.items() if book.watermark is not None}

    @property
    def held_back(self) -> Mapping[Partition, int | None]:
        """The watermarks of the partitions with deliveries that are not finished."""
        return {tp: book.watermark for tp, book in self._books.items() if len(book)}

    @property
    def unattended(self) -> Mapping[Partition, int | None]:
        """The watermarks of the partitions whose first unfinished delivery nobody gets to.

        It is in work, or behind one that is, or waits for room to be worked on: or else it got lost here.
        """
        attended = {
            id(work.entry)
            for key, lane in self._lanes.items()
            if lane.is_working or self._slots.waits_for_one(key)
            for work in lane.works
        }
        return {
            tp: book.watermark
            for tp, book in self._books.items()
            if book.first is not None and id(book.first) not in attended
        }

    def pass_to(self, partition: Partition, offset: int) -> None:
        """Let a commit be safe up to there: what was not delivered before it holds no record to deliver."""
        self._books[partition].pass_to(offset)

    def book(self, partition: Partition) -> OrderBook | None:
        """Return what was delivered of the partition under this assignment, None before the first."""
        return self._books.get(partition)

    def delivered(self, partition: Partition) -> int | None:
        """Return the offset that was taken last under this assignment, None before the first."""
        book = self._books.get(partition)
        return None if book is None else book.last

    def turns_away(self, partition: Partition, *, is_backlog: bool) -> bool:
        """Whether there is no room for an event that others are not to wait behind: it may come again later.

        A backlog has a part of the room, and a partition its window; live events are waited with.
        """
        is_full = is_backlog and not self._room.has(partition, is_backlog=True)
        return is_full or not self._is_within_window(partition)

    def is_filled(self, partition: Partition, *, is_backlog: bool) -> bool:
        """Whether events that come of the partition now, of a backlog or not, would soon be turned away."""
        is_filled = is_backlog and self._room.is_filled(partition)
        return is_filled or not self._is_within_window(partition, FILLED)

    async def submit(self, delivery: Delivery, *, is_backlog: bool = False) -> bool:
        """Queue a delivery behind those of its key; wait while the bounds are reached (back-pressure).

        Returns False once a drain began: the record is not taken and will be delivered again.
        """
        epoch, record = self._epoch, delivery.record
        partition = (record.position.topic, record.position.partition)
        while self._open and self._epoch == epoch and not self._has_room(partition, is_backlog=is_backlog):
            self._changed.clear()
            self._blocked = True
            await self._changed.wait()
        self._blocked = False
        if not self._open or self._epoch != epoch:
            return False
        book = self._books[partition]
        if book.has(record.position.offset):
            # Faust delivers again what it had delivered before it sought to where the group left off.
            return True
        work = Work(
            delivery=delivery,
            entry=book.deliver(record.position.offset, record.timestamp_ms),
            book=book,
            partition=partition,
            octets=octets_of(record.key, record.value, record.headers),
            is_backlog=is_backlog,
        )
        self._room.take(partition, work.octets, is_backlog=is_backlog)
        key = self._lane_of(record)
        lane = self._lanes.setdefault(key, Lane())
        lane.append(work)
        if not lane.is_working:
            self._slots.wait(key, is_backlog=lane.is_backlog)
            self._begin()
        return True

    def pass_over(self, partition: Partition, offset: int) -> None:
        """Take an offset for finished that has been handled before; it costs no room. Not during a drain."""
        if self._open:
            book = self._books[partition]
            book.finish(book.deliver(offset))

    async def drain(self, seconds: float) -> int:
        """Finish what is being worked on, drop what only waits, cancel what is left after so many seconds.

        Returns how many events were cancelled. The watermarks stay for a last commit; `forget` ends them.
        """
        self._close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        abandoned = self._in_flight
        left = set(self._tasks)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_CANCEL_GRACE_SECONDS)
        self._lanes.clear()
        return abandoned

    def forget(self, *, stopping: bool = False) -> None:
        """Begin anew, as after an assignment: nothing delivered, nothing to commit.

        Open for deliveries, unless the process is stopping and must not take up what is still buffered.
        """
        self._books.clear()
        self._open = not (self._crashed or stopping)
        self._changed.set()

    def _close(self) -> None:
        self._open = False
        self._epoch += 1
        self._slots.clear()
        for lane in self._lanes.values():
            while len(lane.works) > lane.is_working:
                self._gone(lane.take_last())
        self._changed.set()

    def _has_room(self, partition: Partition, *, is_backlog: bool) -> bool:
        return self._room.has(partition, is_backlog=is_backlog) and self._is_within_window(partition)

    def _is_within_window(self, partition: Partition, share: float = 1.0) -> bool:
        book = self._books.get(partition)
        return book is None or len(book) < share * self._bounds.window

    def _begin(self) -> None:
        """Let work begin as far as there are slots."""
        while (given := self._slots.next()) is not None:
            key, is_backlog = given
            lane = self._lanes[key]
            lane.is_working = True
            task = asyncio.create_task(
                self._run(key, lane, self._epoch, is_backlog=is_backlog), context=Context()
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, key: bytes, lane: Lane, epoch: int, *, is_backlog: bool) -> None:
        """Work on the first event of a lane, with a slot that is the backlog's or not."""
        try:
            if self._epoch == epoch:
                await self._work(lane)
        except asyncio.CancelledError:
            if self._epoch == epoch:
                # The event loop is about to end, without a drain.
                self._close()
            raise
        except Exception as error:  # noqa: BLE001 - told to the owner, who ends the process
            if self._epoch != epoch:
                log.warning("an event that was given up ended in a fault", fault=type(error).__name__)
                return
            self._close()
            if isinstance(error, Abandoned):
                log.warning("partition lost while an event was in work; closed until the next assignment")
                return
            self._crashed = True
            await self._on_crash(error)
        finally:
            self._slots.give_back(is_backlog=is_backlog)
            self._gone(lane.take_first())
            self._go_on(key, lane)
            self._begin()

    def _go_on(self, key: bytes, lane: Lane) -> None:
        """Let the next event of the lane wait for a slot, if there is one."""
        lane.is_working = False
        if self._lanes.get(key) is not lane:
            return
        if lane.works:
            self._slots.wait(key, is_backlog=lane.is_backlog)
        else:
            del self._lanes[key]

    def _gone(self, work: Work) -> None:
        self._room.give_back(work.partition, work.octets, is_backlog=work.is_backlog)
        self._changed.set()

    async def _work(self, lane: Lane) -> None:
        work = lane.works[0]
        self._in_flight += 1
        try:
            await self._handle(lane.delivery)
        finally:
            self._in_flight -= 1
        work.book.finish(work.entry)
        self._finished += 1
