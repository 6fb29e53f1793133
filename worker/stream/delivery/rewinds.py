"""Going back in a partition: to a record that cannot be taken yet, and to records that got lost on their way.

Between the fetch and the agent Faust drops records: the rest of a fetch when a rebalance comes in between,
and what was fetched under the new assignment before Faust heard of it. It counts on seeking back to the
committed offset, which it does not if none is committed. The fetch order knows what was fetched, the lanes
what was taken of it. A later record shows what is missing before it; a look now and then, what is missing at
the end.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from worker.stream.delivery.fetch_order import FetchOrder
from worker.stream.delivery.partition import Partition

_LOOKS: Final = 3
"""In a row that find the same records missing: others may be on their way still."""

log = structlog.get_logger(__name__)


class Rewinds:
    """Where we have gone back: until the record comes that we went back to, others are passed over."""

    def __init__(
        self,
        order: FetchOrder,
        taken: Callable[[Partition], int | None],
        seek: Callable[[Partition, int], Awaitable[None]],
        beginning: Callable[[Partition], Awaitable[int]],
    ) -> None:
        """Ask `taken` for the last offset taken, None before the first, `beginning` for the log's first."""
        self._order = order
        self._taken = taken
        self._seek = seek
        self._beginning = beginning
        self._targets: dict[Partition, int] = {}
        self._missed: dict[Partition, tuple[int, int]] = {}
        self._told: dict[Partition, int] = {}
        self._era = 0

    async def go_back(self, partition: Partition, offset: int) -> None:
        """Read the partition from that offset on, once more."""
        self._targets[partition] = offset
        await self._seek(partition, offset)

    async def takes(self, partition: Partition, offset: int) -> bool:
        """Whether the record's turn is now: it was not taken, and all that was fetched before it was.

        Goes back to what is missing before it.
        """
        taken = self._taken(partition)
        is_taken = taken is not None and offset <= taken
        if self._order.begins(partition, offset):
            self._targets.pop(partition, None)
        elif partition in self._targets or is_taken:
            return False
        elif not self._order.follows(partition, offset, taken):
            await self._go_back_to_missing(partition, taken)
            return False
        self._order.passed_on(partition, offset)
        return not is_taken

    async def look(self, partitions: Iterable[Partition]) -> None:
        """Look whether records of these, which are read now, are missing and no later one will show it."""
        missed = {partition: self._missing(partition) for partition in partitions}
        self._missed = {
            partition: (offset, self._missed[partition][1] + 1)
            if self._missed.get(partition, (None, 0))[0] == offset
            else (offset, 1)
            for partition, offset in missed.items()
            if offset is not None
        }
        lost = [partition for partition, (_, looks) in self._missed.items() if looks >= _LOOKS]
        era = self._era
        for partition in lost:
            if era != self._era:
                return
            del self._missed[partition]
            await self._find(partition)

    def is_on_its_way(self, partition: Partition) -> bool:
        """Whether records of the partition were fetched and not taken yet."""
        fetched, taken = self._order.last(partition), self._taken(partition)
        return fetched is not None and (taken is None or taken < fetched)

    def forget(self) -> None:
        """Begin anew, with the next assignment; what is being asked for this one leads nowhere."""
        self._era += 1
        self._targets.clear()
        self._missed.clear()
        self._told.clear()

    def _missing(self, partition: Partition) -> int | None:
        target, taken = self._targets.get(partition), self._taken(partition)
        if target is not None:
            return target
        if not self.is_on_its_way(partition):
            return None
        return -1 if taken is None else taken

    async def _find(self, partition: Partition) -> None:
        target = self._targets.pop(partition, None)
        if target is None:
            await self._go_back_to_missing(partition, self._taken(partition))
            return
        era, beginning = self._era, await self._beginning(partition)
        if era != self._era:
            return
        if self._told.get(partition) != target:
            log.warning("records that we went back to did not come", partition=partition[1], offset=target)
        # Once for each place: if all was deleted, nothing may come for long.
        self._told[partition] = max(target, beginning)
        # Deleted meanwhile, or the way back was lost: what comes next follows on nothing.
        await self.go_back(partition, max(target, beginning))
        if beginning > target and era == self._era:
            self._order.begin(partition)

    async def _go_back_to_missing(self, partition: Partition, taken: int | None) -> None:
        missing = self._order.first(partition) if taken is None else taken + 1
        if missing is None:
            return
        log.warning("records were dropped on their way; going back", partition=partition[1], offset=missing)
        await self.go_back(partition, missing)
