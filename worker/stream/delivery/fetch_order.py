"""The order of fetched records, each with the one before it.

A hole that Faust makes between the fetch and the agent looks like a gap of the log; here it does not.
"""

from collections.abc import Container
from typing import Final

from worker.stream.delivery.partition import Partition

_UNKNOWN: Final = -1


class FetchOrder:
    """The order in which records of some topics were fetched, under one assignment.

    A fetch that goes back begins a new chain: Faust, or we, sought to an earlier offset.
    """

    def __init__(self, topics: Container[str]) -> None:
        self._topics = topics
        self._last: dict[Partition, int] = {}
        self._first: dict[Partition, int] = {}
        self._before: dict[tuple[Partition, int], int | None] = {}

    def __len__(self) -> int:
        """Return how many records were fetched and not passed on."""
        return len(self._before)

    def fetched(self, partition: Partition, offset: int) -> None:
        """Note a record in the order of fetching; those of other topics are of no interest."""
        if partition[0] not in self._topics:
            return
        last = self._last.get(partition)
        begins = last is None or offset <= last
        if begins:
            self._first[partition] = offset
        self._before[partition, offset] = None if begins else last
        self._last[partition] = offset

    def begins(self, partition: Partition, offset: int) -> bool:
        """Whether the record began a chain."""
        return self._before.get((partition, offset), _UNKNOWN) is None

    def follows(self, partition: Partition, offset: int, taken: int | None) -> bool:
        """Whether all that was fetched before the record was taken, if all up to `taken` were.

        A copy that comes once more, after the record has been passed on, follows on nothing.
        """
        before = self._before.get((partition, offset), _UNKNOWN)
        return taken is not None and before is not None and _UNKNOWN < before <= taken

    def passed_on(self, partition: Partition, offset: int) -> None:
        """Forget the record, until it is fetched again."""
        self._before.pop((partition, offset), None)

    def first(self, partition: Partition) -> int | None:
        """Return where the present chain began, None if nothing was fetched."""
        return self._first.get(partition)

    def last(self, partition: Partition) -> int | None:
        """Return the offset fetched last."""
        return self._last.get(partition)

    def begin(self, partition: Partition) -> None:
        """Let the next record that is fetched of the partition begin a chain, wherever it lies."""
        self._last.pop(partition, None)

    def forget(self) -> None:
        """Begin anew, with the next assignment."""
        self._last.clear()
        self._first.clear()
        self._before.clear()
