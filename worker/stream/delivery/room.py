"""How much may be on hand at once, and how much is."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from worker.stream.delivery.partition import Partition

_BACKLOG_OCTETS: Final = 1 / 2
"""Of the octets may be those of a backlog."""
FILLED: Final = 3 / 4
"""Of the room may be taken before no more is fetched for it: what is fetched already has room then."""
_OWN: Final = 1 / 64
"""Of the backlog's records may be those of each partition, whatever others have on hand."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be on hand at once.

    `in_flight` events are worked on; `waiting` more may queue behind their keys; at most `window`
    offsets of a partition may lie between its watermark and its last delivery; all records
    together take at most `octets`, or are a single event. Beside them `backlog` events that give way
    to others may be on hand, with half of the octets.
    """

    in_flight: int = 256
    waiting: int = 1024
    window: int = 20_000
    octets: int = 64 * 1024 * 1024
    backlog: int = field(default=4096, kw_only=True)


class Room:
    """What is on hand, live events and a backlog apart."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._own = max(1, int(bounds.backlog * _OWN))
        self._live = self._backlog = self._octets = self._backlog_octets = 0
        self._backlog_of: Counter[Partition] = Counter()

    @property
    def on_hand(self) -> int:
        """How many events are on hand."""
        return self._live + self._backlog

    def has(self, partition: Partition, *, is_backlog: bool) -> bool:
        """Whether there is room for another event of the partition."""
        bounds = self._bounds
        if self._octets >= bounds.octets:
            return False
        if not is_backlog:
            return self._live < bounds.in_flight + bounds.waiting
        return not self._reaches(partition, 1.0)

    def is_filled(self, partition: Partition) -> bool:
        """Whether the backlog's room is so full that no more of the partition's is to be fetched."""
        return self._reaches(partition, FILLED)

    def take(self, partition: Partition, octets: int, *, is_backlog: bool) -> None:
        """Note an event that came."""
        self._count(partition, 1, octets, is_backlog=is_backlog)

    def give_back(self, partition: Partition, octets: int, *, is_backlog: bool) -> None:
        """Note that one is gone that `take` was told of."""
        self._count(partition, -1, -octets, is_backlog=is_backlog)

    def _reaches(self, partition: Partition, share: float) -> bool:
        """Whether so much of the backlog's room is taken."""
        bounds = self._bounds
        # A backlog elsewhere does not keep a partition from passing a few old events of its own.
        is_crowded = self._backlog >= share * bounds.backlog and self._backlog_of[partition] >= self._own
        return is_crowded or self._backlog_octets >= share * _BACKLOG_OCTETS * bounds.octets

    def _count(self, partition: Partition, events: int, octets: int, *, is_backlog: bool) -> None:
        self._octets += octets
        if is_backlog:
            self._backlog += events
            self._backlog_of[partition] += events
            self._backlog_octets += octets
        else:
            self._live += events
