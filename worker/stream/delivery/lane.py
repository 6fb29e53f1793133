"""The lane of a key: its events that are not finished, in their order."""

from dataclasses import dataclass, replace

from worker.enrolment.delivery import Delivery
from worker.stream.delivery.order_book import Entry, OrderBook
from worker.stream.delivery.partition import Partition


@dataclass(slots=True, kw_only=True)
class Work:
    """An event that was delivered and is not finished."""

    delivery: Delivery
    entry: Entry
    book: OrderBook
    partition: Partition
    octets: int
    is_backlog: bool


class Lane:
    """The first event is in work, or waits for a slot; the others wait behind it."""

    __slots__ = ("_live", "is_working", "works")

    def __init__(self) -> None:
        # Mostly one: a deque takes six times as much memory.
        self.works: list[Work] = []
        self.is_working = False
        self._live = 0

    @property
    def is_backlog(self) -> bool:
        """Whether all of it is; a live event lends its class to those before it."""
        return not self._live

    @property
    def delivery(self) -> Delivery:
        """The first delivery, as it is handed to the handler."""
        work = self.works[0]
        if not work.is_backlog:
            return work.delivery
        return replace(work.delivery, is_waited_for=lambda: not self.is_backlog)

    def append(self, work: Work) -> None:
        """Add an event behind the others."""
        self.works.append(work)
        self._live += not work.is_backlog

    def take_first(self) -> Work:
        """Take the first event away."""
        return self._without(self.works.pop(0))

    def take_last(self) -> Work:
        """Take the last event away."""
        return self._without(self.works.pop())

    def _without(self, work: Work) -> Work:
        self._live -= not work.is_backlog
        return work
