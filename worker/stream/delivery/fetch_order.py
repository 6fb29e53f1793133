"""The order of fetched records, each with the one before it.

A hole that Faust makes between the fetch and the agent looks like a gap of the log; here it does not.
"""

from collections.abc import Container

from worker.stream.delivery.partition import Partition


class FetchOrder:
    """The order in which records of some topics were fetched, under one assignment.

    A fetch that goes back begins a new chain: Faust, or we, sought to an earlier offset.
    """

    def __init__(self, topics: Container[str]) -> None:
        self._topics = topics
        self._last: dict[Partition, int] = {}
        self._first: dict[Partition, int] = {}
        self._before: dict[tuple[Partition, int], int | None] = {}

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

    def before(self, partition: Partition, offset: int) -> int | None:
        """Return the offset that was fetched before this one; None where it began a chain. Asked once."""
        return self._before.pop((partition, offset), None)

    def first(self, partition: Partition) -> int:
        """Return where the present chain began."""
        return self._first[partition]

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
