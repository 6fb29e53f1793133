"""Who wrote a record of the ledger: what a former owner of a partition still writes is void.

A process that is frozen with a record on its way sends it when it wakes up, behind what the partition's next
owner wrote, and Kafka takes it. So each owner writes under an epoch of its own, in a header, higher than any
that it found when it read the ledger back; whoever reads the ledger passes over a record whose epoch is lower
than one before it. A record without one, by an earlier release or copied by `ledger move`, counts.

An epoch is the time of the taking over, in milliseconds, or one more than the highest found: with clocks that
differ it still grows, and where what was found is lost with a disk the time still makes it grow.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

HEADER: Final = "epoch"

Headers = Iterable[tuple[str, bytes | None]]


class Epochs:
    """The highest epoch seen on each partition, and the one that this process writes under."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` tells seconds since 1970."""
        self._clock = clock
        self._highest: dict[int, int] = {}
        self._own: dict[int, int] = {}

    def highest(self, partition: int) -> int:
        """Return the highest epoch seen on the partition, 0 where none was."""
        return self._highest.get(partition, 0)

    def recall(self, partition: int, epoch: int) -> None:
        """Begin to read the partition behind records of which that was the highest epoch."""
        self._highest[partition] = epoch

    def admits(self, partition: int, epoch: int | None) -> bool:
        """Note the epoch of the partition's next record; return whether the record counts."""
        if epoch is None:
            return True
        if epoch < self.highest(partition):
            return False
        self._highest[partition] = epoch
        return True

    def take_over(self, partition: int) -> None:
        """Begin an epoch on a partition whose records were all seen."""
        self._own[partition] = max(int(self._clock() * 1000), self.highest(partition) + 1)

    def own(self, partition: int) -> int:
        """Return the epoch to write under."""
        if partition not in self._own:
            self.take_over(partition)
        return self._own[partition]


def header(epoch: int) -> tuple[str, bytes]:
    """Return the header of a record written in that epoch."""
    return HEADER, b"%d" % epoch


def epoch_in(headers: Headers) -> int | None:
    """Return a record's epoch, None where it has none that can be read."""
    for name, value in headers:
        if name == HEADER and value is not None and value.isdigit():
            return int(value)
    return None
