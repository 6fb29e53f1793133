"""Keyed lanes: one event at a time per key, many keys at once, within bounds; and how they are drained."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import Final

import structlog

from topics.record import Record, octets_of
from worker.enrolment.delivery import Delivery
from worker.enrolment.lease import Abandoned
from worker.stream.delivery.order_book import Entry, OrderBook
from worker.stream.delivery.partition import Partition

log = structlog.get_logger(__name__)


_CANCEL_GRACE_SECONDS: Final = 2.0
"""How long cancelled work may take to unwind before it is left behind."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be on hand at once.

    `in_flight` events are worked on; `waiting` more may queue behind their keys; at most `window`
    offsets of a partition may lie between its watermark and its last delivery; all records
    together take at most `octets`, or are a single event.
    """

    in_flight: int = 256
    waiting: int = 1024
    window: int = 20_000
    octets: int = 64 * 1024 * 1024


@dataclass(slots=True)
class _Work:
    delivery: Delivery
    entry: Entry
    book: OrderBook
    begun: bool = False


class Lanes:
    """Takes deliveries in partition order and hands them to the handler, lane by lane.

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
        self._books: dict[Partition, OrderBook] = {}
        self._lanes: dict[bytes, deque[_Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(bounds.in_flight)
        self._changed = asyncio.Event()
        self._epoch = 0
        self._open = True
        self._crashed = False
        self._on_hand = 0
        self._octets = 0
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
        return self._on_hand

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
        is_full = self._in_flight >= self._bounds.in_flight
        attended = {
            id(work.entry) for lane in self._lanes.values() if is_full or lane[0].begun for work in lane
        }
        return {
            tp: book.watermark
            for tp, book in self._books.items()
            if book.first is not None and id(book.first) not in attended
        }

    def delivered(self, partition: Partition) -> int | None:
        """Return the offset that was taken last under this assignment, None before the first."""
        book = self._books.get(partition)
        return None if book is None else book.last

    async def submit(self, delivery: Delivery) -> bool:
        """Queue a delivery behind those of its key; wait while the bounds are reached (back-pressure).

        Returns False once a drain began: the record is not taken and will be delivered again.
        """
        epoch, record = self._epoch, delivery.record
        partition = (record.position.topic, record.position.partition)
        while self._open and self._epoch == epoch and not self._has_room(partition):
            self._changed.clear()
            self._blocked = True
            await self._changed.wait()
        self._blocked = False
        if not self._open or self._epoch != epoch:
            return False
        book = self._books.setdefault(partition, OrderBook())
        if book.has(record.position.offset):
            # Faust delivers again what it had delivered before it sought to where the group left off.
            return True
        work = _Work(delivery, book.deliver(record.position.offset), book)
        self._on_hand += 1
        self._octets += _size(record)
        key = self._lane_of(record)
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append(work)
            return True
        self._lanes[key] = deque([work])
        task = asyncio.create_task(self._run(key, epoch), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

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
        self._changed.set()

    def _has_room(self, partition: Partition) -> bool:
        book = self._books.get(partition)
        return (
            self._on_hand < self._bounds.in_flight + self._bounds.waiting
            and self._octets < self._bounds.octets
            and (book is None or len(book) < self._bounds.window)
        )

    async def _run(self, key: bytes, epoch: int) -> None:
        lane = self._lanes[key]
        try:
            while lane:
                async with self._slots:
                    if self._epoch != epoch:
                        return
                    await self._work(lane[0])
                self._octets -= _size(lane.popleft().delivery.record)
                self._on_hand -= 1
                self._changed.set()
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
            if self._lanes.get(key) is lane:
                del self._lanes[key]
            self._on_hand -= len(lane)
            self._octets -= sum(_size(work.delivery.record) for work in lane)
            self._changed.set()

    async def _work(self, work: _Work) -> None:
        self._in_flight += 1
        work.begun = True
        try:
            await self._handle(work.delivery)
        finally:
            self._in_flight -= 1
        work.book.finish(work.entry)
        self._finished += 1


def _size(record: Record) -> int:
    return octets_of(record.key, record.value, record.headers)
