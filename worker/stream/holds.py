"""Partitions that are not read for now: a retry topic's whose head is not due, and all while the API is down.

Faust fetches from the partitions that are not paused; the group hears heartbeats all the same, and other
partitions go on. What was fetched of a partition and is not wanted yet is sought back to.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from mode import Service

from worker.stream.lanes import Partition

_LOOK_SECONDS: Final = 0.2


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


class Holding(Service):
    """Pauses and resumes partitions, as the holds say, a few times a second."""

    def __init__(
        self,
        holds: Holds,
        assigned: Callable[[], Iterable[Partition]],
        pause: Callable[[Iterable[Partition]], None],
        resume: Callable[[Iterable[Partition]], None],
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        """Look after what `assigned` names: the partitions that are ours and may be read."""
        self._holds = holds
        self._assigned = assigned
        self._pause = pause
        self._resume = resume
        self._held: set[Partition] = set()
        super().__init__(**kwargs)

    def look(self) -> None:
        """Bring the consumer in line with the holds."""
        ours = set(self._assigned())
        held = {partition for partition in ours if self._holds.held(partition)}
        # Pausing is repeated: Faust takes a paused partition up again when its buffer has drained.
        self._pause(held)
        self._resume((self._held & ours) - held)
        self._held = held

    @Service.timer(_LOOK_SECONDS)
    async def _look(self) -> None:
        self.look()
