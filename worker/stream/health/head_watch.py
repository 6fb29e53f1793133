"""The first record of each partition that is not finished: how old it is, and how long it holds up the rest.

Its age goes by the record's timestamp; for how long nothing moves, by a clock of ours. The first tells of an
outage or a restart before this process began; the second, of one record that does not get on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError
from mode import Service

from worker.stream.delivery.partition import Partition
from worker.timing import Clock

_LOOK_SECONDS: Final = 1.0
_TELL_SECONDS: Final = 60.0
_AGAIN: Final = 2
"""The next line comes after as many times as long."""
_READ_AGAIN_SECONDS: Final = 5.0

ON_HAND: Final = "it is in work, or waits for its turn"
TRANSACTION: Final = "a transaction that upstream has not ended"
UNREAD: Final = "it has not been read yet"
_REMEDIES: Final = {
    ON_HAND: "earlier lines about it (`of`) and the API's metrics tell what keeps it; a restart is safe",
    TRANSACTION: "`kafka-transactions.sh find-hanging` names it: upstream ends it, or an operator aborts it",
    UNREAD: "earlier lines tell whether Kafka gives no answer; a restart is safe",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How far a partition is done, and what comes first of the rest."""

    done: int
    """All before this offset is finished."""
    lag: int
    """How many records are not, as far as offsets tell."""
    offset: int
    """Of the first of them, or before it if it is not on hand."""
    written_ms: int | None
    """When that was written, if it is on hand."""
    is_due: bool
    """Whether it could be worked on; a retry waits until it is due."""
    waits_for: str
    """ON_HAND, TRANSACTION or UNREAD."""


@dataclass(slots=True, kw_only=True)
class _Standing:
    """Since when a partition has been done up to the same offset, with records behind it."""

    done: int
    began: float
    blocked_since: float
    """The same, or when the first record was due last."""
    written_ms: int | None
    """Of the first record; before that is known, of an earlier one."""
    is_known: bool = False
    """Whether it is the first record's."""
    is_empty: bool = False
    """Whether there is no record when looked at last: markers of transactions alone."""
    read_at: float | None = None
    """When the log was asked last, for this or an earlier first record."""
    tell_after: float = _TELL_SECONDS
    is_told: bool = False

    def is_to_read(self, now: float) -> bool:
        """Whether the log is to be asked for the first record's time, now or once more."""
        return not self.is_known and (self.read_at is None or now - self.read_at >= _READ_AGAIN_SECONDS)


class HeadWatch(Service):
    """Looks every second at the partitions that are ours; what others have, or had from us, it forgets."""

    def __init__(
        self,
        heads: Callable[[], Mapping[Partition, Head]],
        written_at: Callable[[Partition, int], Awaitable[int | None]],
        is_outage: Callable[[], bool],
        *,
        clock: Clock,
        timer: Callable[[], float],
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        """`written_at` reads in the log when the first record from an offset on was written."""
        self._heads = heads
        self._written_at = written_at
        self._is_outage = is_outage
        self._clock = clock
        self._timer = timer
        self._standing: dict[Partition, _Standing] = {}
        self._outage_at = float("-inf")
        super().__init__(**kwargs)

    @Service.timer(_LOOK_SECONDS)
    async def _look(self) -> None:
        await self.look()

    async def look(self) -> None:
        """Look once; reads in the log for partitions that had nothing on hand at this look and the last."""
        now, heads = self._timer(), self._heads()
        if self._is_outage():
            self._outage_at = now
        before = self._standing
        self._standing = {at: self._stood(at, head, now) for at, head in heads.items() if head.lag}
        for at, standing in before.items():
            if standing.is_told and at in heads and self._standing.get(at) is not standing:
                log.info("a partition that stood still gets on again", topic=at[0], partition=at[1])
        for at, standing in self._standing.items():
            self._tell(at, heads[at], standing, now)
        unknown = [
            (at, each)
            for at, each in self._standing.items()
            if (was := before.get(at)) is each or (was is not None and not was.is_known)
        ]
        await asyncio.gather(*(self._read(at, each) for at, each in unknown if each.is_to_read(now)))

    def lag_seconds(self) -> dict[Partition, float]:
        """Return how old each partition's first record is that is not finished, 0 without one."""
        wall_ms, now = self._clock().timestamp() * 1000, self._timer()

        def age(at: Partition, head: Head) -> float:
            standing = self._standing.get(at)
            written_ms = head.written_ms or (standing and standing.written_ms)
            if written_ms:
                return max(0.0, (wall_ms - written_ms) / 1000)
            # Without a time of its own it is as old as we have seen it wait.
            return 0.0 if standing is None or standing.is_empty else now - standing.began

        return {at: age(at, head) if head.lag else 0.0 for at, head in self._heads().items()}

    def blocked_seconds(self) -> dict[Partition, float]:
        """Return for how long each partition has been done up to where it is, with records due behind it."""
        now = self._timer()

        def blocked(at: Partition, head: Head) -> float:
            standing = self._standing.get(at)
            if standing is None or standing.done != head.done or standing.is_empty:
                return 0.0
            return now - standing.blocked_since if head.lag and head.is_due else 0.0

        return {at: blocked(at, head) for at, head in self._heads().items()}

    def _stood(self, at: Partition, head: Head, now: float) -> _Standing:
        """Return since when the partition stands where it is."""
        standing = self._standing.get(at)
        if standing is None or standing.done != head.done:
            earlier_ms, read_at = (
                (None, None) if standing is None else (standing.written_ms, standing.read_at)
            )
            standing = _Standing(
                done=head.done, began=now, blocked_since=now, written_ms=earlier_ms, read_at=read_at
            )
        if not head.is_due:
            standing.blocked_since = now
        if head.written_ms:
            standing.written_ms, standing.is_known, standing.is_empty = head.written_ms, True, False
        return standing

    def _tell(self, at: Partition, head: Head, standing: _Standing, now: float) -> None:
        """Say that nothing moves, a minute after the last outage at the earliest: that was told by itself."""
        blocked = now - standing.blocked_since
        if standing.is_empty:
            return
        if min(blocked, now - self._outage_at) < _TELL_SECONDS or blocked < standing.tell_after:
            return
        standing.is_told, standing.tell_after = True, _AGAIN * blocked
        log.warning(
            "a partition stands still: its first record that is not finished holds up those behind it",
            topic=at[0],
            partition=at[1],
            offset=head.offset,
            of=f"{at[0]}-{at[1]}-{head.offset}",
            seconds=round(blocked),
            records=head.lag,
            waits_for=head.waits_for,
            remedy=_REMEDIES[head.waits_for],
        )

    async def _read(self, at: Partition, standing: _Standing) -> None:
        standing.read_at = self._timer()
        try:
            written_ms = await self._written_at(at, standing.done)
        except KafkaError as error:
            log.debug("the time of a record could not be read", error=type(error).__name__)
            return
        standing.is_empty = written_ms is None
        if not standing.is_known:
            has_time = written_ms is not None and written_ms > 0
            standing.written_ms, standing.is_known = written_ms if has_time else None, not standing.is_empty
