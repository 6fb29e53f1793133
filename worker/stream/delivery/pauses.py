"""Partitions that are not read for now: one whose next record is not due or has no room, all in an outage.

Nothing is fetched from them; the group hears heartbeats all the same, and other partitions go on.
"""

import time
from collections import deque
from collections.abc import Callable

from worker.stream.delivery.partition import Partition


class Pauses:
    """Why which partition is not read. Times are seconds of a clock that only grows."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._until: dict[Partition, float] = {}
        self._seen: dict[Partition, deque[tuple[int, float]]] = {}
        """Up to which offset records were fetched, and when for the first time; in order, none of it done."""
        self.outage = False
        """Whether nothing at all is read."""

    def pause(self, partition: Partition, seconds: float) -> None:
        """Leave the partition alone for so long."""
        self._until[partition] = self._timer() + seconds

    def is_paused(self, partition: Partition) -> bool:
        """Whether the partition is not to be read now."""
        return self.outage or self.is_left_alone(partition)

    def is_left_alone(self, partition: Partition) -> bool:
        """Whether the partition itself is not to be read now, whatever holds all of them."""
        return self._until.get(partition, 0.0) > self._timer()

    def seen(self, partition: Partition, offset: int) -> None:
        """Note that records up to that offset have been fetched, now or before."""
        marks = self._seen.setdefault(partition, deque())
        if not marks or offset > marks[-1][0]:
            marks.append((offset, self._timer()))

    def seen_for(self, partition: Partition, offset: int) -> float:
        """Return since how many seconds this process knows the record; those before it are done with."""
        marks = self._seen.get(partition, deque())
        # The last stays, or all that is fetched again after it would count as new.
        while len(marks) > 1 and marks[0][0] < offset:
            marks.popleft()
        return self._timer() - marks[0][1] if marks and marks[0][0] >= offset else 0.0

    def marks(self, partition: Partition) -> int:
        """Return how many fetches of the partition are remembered."""
        return len(self._seen.get(partition, ()))

    def forget(self) -> None:
        """Begin anew, with the next assignment; an outage goes on, and what was seen stays seen."""
        self._until.clear()
