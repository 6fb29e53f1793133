"""The time, also on a machine whose clock is wrong: what its own says, held against the API's.

Each answer of the API bears its time (`Date`). It is noted against seconds counted, which go on evenly when
the machine's clock is set right: from then on both agree at once. Kafka tells its time of topics with
LogAppendTime only; of others it refuses a record that is stamped more than an hour ahead of it.
"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final, Protocol

from worker.domain.times import Span
from worker.timing import Clock

AGREED: Final = timedelta(seconds=30)
"""Clocks this close agree: a `Date` has whole seconds, and is as old as its answer was under way."""
_NEAR: Final = timedelta(days=7)
_PLAUSIBLE: Final = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
_ANSWERS: Final = 9
"""The middle one of so many is believed: one server of several may be wrong, or an answer be an old one."""


class ClockTracker(Protocol):
    """Told how right this machine's clock is."""

    def clock_skew(self, against: str, seconds: float, *, is_apart: bool) -> None:
        """Note by how many seconds it is ahead of another's, and whether that is more than is well."""


class Unheard:
    """Counts and logs nothing. Implements `worker.enrolment.ports.ClockTracker`."""

    def clock_skew(self, against: str, seconds: float, *, is_apart: bool) -> None:
        """Do nothing."""


class Timepiece:
    """Tells the time by two clocks. `timer` counts seconds, also those for which the machine sleeps."""

    def __init__(self, machine: Clock, timer: Callable[[], float], tracker: ClockTracker) -> None:
        self._machine = machine
        self._timer = timer
        self._tracker = tracker
        self._heard: deque[float] = deque(maxlen=_ANSWERS)
        self._began: float | None = None
        """When the timer stood at 0 by the API's clock, in seconds since the epoch."""

    def heard(self, date: datetime) -> None:
        """Note the time of an answer that came just now."""
        if not _PLAUSIBLE[0] <= date < _PLAUSIBLE[1]:
            return
        self._heard.append(date.timestamp() - self._timer())
        self._began = median(self._heard)
        skew = self.skew
        if skew is not None:
            self._tracker.clock_skew("api", skew.total_seconds(), is_apart=abs(skew) > AGREED)

    @property
    def skew(self) -> timedelta | None:
        """How far the machine's clock is ahead of the API's, None before the first answer."""
        theirs = self._theirs()
        return None if theirs is None else self._machine() - theirs

    def now(self) -> datetime:
        """Return the time: the machine's, but the API's if they are apart.

        If they are apart by more than a week, one of them is no clock at all. A clock that lost its time
        begins long ago, so the later is taken: what is stamped long ago, Kafka deletes.
        """
        ours, theirs = self._machine(), self._theirs()
        if theirs is None or abs(ours - theirs) <= AGREED:
            return ours
        return theirs if abs(ours - theirs) <= _NEAR else max(ours, theirs)

    def span(self) -> Span:
        """Return between which times it certainly is."""
        return Span.at(self._machine(), self._theirs())

    def stamp_ms(self) -> int:
        """Return what to stamp a record with: the earlier time, for Kafka takes none that is far ahead."""
        now, ours = self.now(), self._machine()
        return round((min(now, ours) if now - ours <= _NEAR else now).timestamp() * 1000)

    def appended(self, at_ms: int) -> None:
        """Note Kafka's own time of a record that it has just acknowledged."""
        seconds = self._machine().timestamp() - at_ms / 1000
        self._tracker.clock_skew("kafka", seconds, is_apart=abs(seconds) > AGREED.total_seconds())

    def _theirs(self) -> datetime | None:
        if self._began is None:
            return None
        return datetime.fromtimestamp(self._began + self._timer(), UTC)
