"""One way for every record: fetched, taken in order when it is due, worked on, finished, committed.

Nothing here knows Faust or Kafka. A driver tells what it fetched and hands over what it got; it asks which
partitions to read, what may be committed, and has the flow drained before partitions go to somebody else.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from topics.record import Record
from worker.enrolment.delivery import Delivery
from worker.kafka.finished import Finished
from worker.kafka.positions import Mark
from worker.stream.delivery.fetch_order import FetchOrder
from worker.stream.delivery.inherited import Inherited
from worker.stream.delivery.lanes import Lanes
from worker.stream.delivery.membership import Membership
from worker.stream.delivery.order_book import Entry
from worker.stream.delivery.partition import Partition
from worker.stream.delivery.partition_guard import PartitionGuard
from worker.stream.delivery.pauses import Pauses
from worker.stream.delivery.rewinds import Rewinds
from worker.stream.delivery.send_fence import SendFence

_LEDGER_SECONDS: Final = 10.0
"""As long as Kafka may take to do without a broker that died; the group waits longer than that."""
_LEDGER_SECONDS_UNHEARD: Final = 2.0
_OUTAGE_DRAIN_SECONDS: Final = 2.0
_FULL_SECONDS: Final = 1.0
"""How long a partition is left alone whose next record has no room that others are to wait for."""

log = structlog.get_logger(__name__)

WaitOf = Callable[[Record, float], float]
"""In how many seconds a record is due that we have known for so many; it is due with 0 or less."""
IsBacklog = Callable[[Record], bool]
"""Whether a record gives way to live ones; asked once for each delivery."""


class Log(Protocol):
    """The partitions, as far as going back in them needs it."""

    async def seek(self, partition: Partition, offset: int) -> None:
        """Let the next record that is fetched be the one at the offset, or the first behind it."""
        ...

    async def beginning(self, partition: Partition) -> int:
        """Return the first offset that the partition still has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What must hold before anything is handled, sent or written."""

    membership: Membership
    fence: SendFence
    partitions: PartitionGuard


class Flow:
    """The records of some topics on their way, under one assignment after another.

    A record is handled after all that were fetched before it in its partition were taken; until the next
    assignment each is taken once. What may be committed never passes a record that is not finished.
    """

    def __init__(  # noqa: PLR0913 - the parts of the way
        self,
        sources: Iterable[str],
        lanes: Lanes,
        log: Log,
        wait_of: WaitOf,
        *,
        guards: Guards,
        pauses: Pauses,
        inherited: Inherited,
        drain_seconds: float,
        timer: Callable[[], float] = time.monotonic,
        is_backlog: IsBacklog | None = None,
    ) -> None:
        """Without `is_backlog` no record gives way, and each is waited with."""
        self.sources = frozenset(sources)
        self.guards = guards
        self.drained = asyncio.Event()
        """Set once the process, told to stop, has drained."""
        self.drain_seconds = drain_seconds
        self._lanes = lanes
        self._wait_of = wait_of
        self._is_backlog = is_backlog
        self._not_due: set[Partition] = set()
        """Partitions whose next record was not due when it came."""
        self._gave_way: dict[Partition, bool] = {}
        """Whether the last record that came of a partition is of a backlog; mostly the next is as well."""
        self._pauses = pauses
        self.inherited = inherited
        self._timer = timer
        self._order = FetchOrder(self.sources)
        self._rewinds = Rewinds(self._order, lanes.delivered, log.seek, log.beginning)

    def is_paused(self, partition: Partition) -> bool:
        """Whether nothing is to be fetched from the partition now."""
        return self._pauses.is_paused(partition) or self._is_filled(partition)

    @property
    def is_outage(self) -> bool:
        """Whether nothing at all is read, because the API is down."""
        return self._pauses.outage

    def fetched(self, partition: Partition, offsets: Iterable[int]) -> None:
        """Note what a fetch brought of a partition, in its order, before any of it can get lost."""
        last = None
        for last in offsets:
            self._order.fetched(partition, last)
        if last is not None:
            self._pauses.seen(partition, last)

    def read_up_to(self, partition: Partition, offset: int) -> None:
        """Note which offset is read next, right after what came before it was noted as fetched.

        With nothing of the partition open, what lies before it may be committed: markers of transactions,
        and records that upstream took back.
        """
        if not self.is_open(partition):
            self._lanes.pass_to(partition, offset)

    async def take(self, delivery: Delivery) -> None:
        """Hand the delivery to its lane, or go back in its partition and take it when it comes again.

        What a former owner has finished is passed over: nobody handles it, and nothing counts it.

        Blocks while as many live ones are on hand as may be. A backlog is fetched no more if there is little
        room for it, and comes again if there is none: other partitions go on. Nothing is taken once a guard
        has refused to go on.
        """
        record = delivery.record
        partition, offset = (record.position.topic, record.position.partition), record.position.offset
        if self.guards.partitions.refused or not await self._rewinds.takes(partition, offset):
            return
        if self.inherited.passes(partition, offset):
            self._lanes.pass_over(partition, offset)
            return
        seconds, is_backlog = self._wait_of(record, self._pauses.seen_for(partition, offset)), False
        (self._not_due.add if seconds > 0 else self._not_due.discard)(partition)
        if seconds <= 0 and self._is_backlog is not None:
            is_backlog = self._gave_way[partition] = self._is_backlog(record)
            seconds = _FULL_SECONDS if self._lanes.turns_away(partition, is_backlog=is_backlog) else 0.0
        if seconds > 0:
            self._pauses.pause(partition, seconds)
            await self._rewinds.go_back(partition, offset)
        else:
            await self._lanes.submit(delivery, is_backlog=is_backlog)

    @property
    def watermarks(self) -> Mapping[Partition, int]:
        """What may be committed, for each partition with anything finished under this assignment."""
        return self._lanes.watermarks

    def standing(self, partition: Partition, mark: Mark) -> Finished | None:
        """Return what may be committed beside that mark: up to where, and what is finished behind it.

        None before anything was read under this assignment.
        """
        book = self._lanes.book(partition)
        if book is None or book.watermark is None:
            return None
        inherited = tuple(self.inherited.behind(partition, mark, -1 if book.last is None else book.last))
        if not inherited:
            # The same object while nothing else is finished: there may be thousands, each second.
            return Finished(book.watermark, book.finished)
        return Finished.of(book.watermark, (*book.finished, *inherited))

    @property
    def held_back(self) -> Mapping[Partition, int | None]:
        """The watermarks of the partitions with deliveries that are not finished."""
        return self._lanes.held_back

    @property
    def unattended(self) -> Mapping[Partition, int | None]:
        """The watermarks of the partitions whose first unfinished delivery nobody gets to."""
        return self._lanes.unattended

    @property
    def on_hand(self) -> int:
        """How many deliveries were taken and are not finished."""
        return self._lanes.on_hand

    @property
    def in_flight(self) -> int:
        """How many deliveries are being worked on now."""
        return self._lanes.in_flight

    @property
    def finished(self) -> int:
        """How many deliveries were finished since the start."""
        return self._lanes.finished

    def is_on_its_way(self, partition: Partition) -> bool:
        """Whether records of the partition were fetched and not taken yet."""
        return self._rewinds.is_on_its_way(partition)

    def is_open(self, partition: Partition) -> bool:
        """Whether anything that was fetched of the partition is not finished."""
        return self.first(partition) is not None or self.is_on_its_way(partition)

    def first(self, partition: Partition) -> Entry | None:
        """Return the partition's first delivery that was taken and is not finished, None if all are."""
        book = self._lanes.book(partition)
        return None if book is None else book.first

    def waits_until_due(self, partition: Partition) -> bool:
        """Whether nothing of the partition is in work, and its next record is left alone until it is due."""
        return (
            partition in self._not_due
            and self._pauses.is_left_alone(partition)
            and self.first(partition) is None
        )

    async def look(self, partitions: Iterable[Partition]) -> None:
        """Look whether records of these got lost on their way to us; called about every second."""
        if not self._lanes.blocked:
            await self._rewinds.look([each for each in partitions if not self.is_paused(each)])

    async def drain(self, commit: Callable[[], Awaitable[object]]) -> None:
        """Finish within the time allowed what is in work, drop the rest, have what is finished committed.

        Returns before the partitions may go to somebody else; `forget` must follow.
        """
        started, crashed = self._timer(), self._lanes.crashed
        abandoned = await self._lanes.drain(0.0 if crashed else self._seconds_to_drain())
        is_heard = self.guards.membership.is_fresh()
        if not await self.guards.fence.quiet(_LEDGER_SECONDS if is_heard else _LEDGER_SECONDS_UNHEARD):
            log.warning("ledger records were not acknowledged in time")
        if not crashed:
            await commit()
        if self.watermarks or abandoned:
            log.info(
                "drained",
                seconds=round(self._timer() - started, 3),
                abandoned=abandoned,
                committed={f"{topic}-{n}": at for (topic, n), at in self.watermarks.items()},
            )

    def forget(self, *, stopping: bool = False) -> None:
        """Begin anew, with the next assignment; `stopping` says that the process takes up nothing more."""
        self._order.forget()
        self._pauses.forget()
        self._rewinds.forget()
        self.inherited.forget()
        self._gave_way.clear()
        self._not_due.clear()
        self._lanes.forget(stopping=stopping)
        if stopping:
            self.drained.set()

    def _is_filled(self, partition: Partition) -> bool:
        if self._is_backlog is None:
            return False
        return self._lanes.is_filled(partition, is_backlog=self._gave_way.get(partition, False))

    def _seconds_to_drain(self) -> float:
        """Return how long work may take to finish; while the API is down hardly any of it can."""
        return min(self.drain_seconds, _OUTAGE_DRAIN_SECONDS if self.is_outage else math.inf)
