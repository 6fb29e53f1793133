"""Partitions that are not read for now: a retry topic's whose head is not due, and all while the API is down.

Nothing is fetched from them; the group hears heartbeats all the same, and other partitions go on.
"""

import time
from collections.abc import Callable

from worker.stream.lanes import Partition


class Holds:
    """Why which partition is not read. Times are seconds of a clock that only grows."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._until: dict[Partition, float] = {}
        self.outage = False
        """Whether nothing at all is read."""

    def hold(self, partition: Partition, seconds: float) -> None:
        """Leave the partition alone for so long."""
        self._until[partition] = self._timer() + seconds

    def held(self, partition: Partition) -> bool:
        """Whether the partition is not to be read now."""
        return self.outage or self._until.get(partition, 0.0) > self._timer()

    def forget(self) -> None:
        """Begin anew, with the next assignment; an outage goes on."""
        self._until.clear()
