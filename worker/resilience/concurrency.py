"""How many requests may be under way at once: fewer when the API gets slow, before requests time out.

Additive increase, multiplicative decrease, as in TCP and in Netflix's concurrency-limits (AIMDLimit): an
answer that takes too long lowers the limit, once per round trip; each quick one raises it by its share.
"""

from math import inf
from typing import Final

_HELPED: Final = 0.9
"""Of how long answers took before: less than that, and it was worth asking less."""
_DECREASE: Final = 0.75
_RAMP: Final = 0.25
"""By which each answer raises the limit after an outage: a quarter more every round trip."""
_RAMP_SHARE: Final = 1 / 32
"""Of the maximum that the API is met with after an outage."""


class ConcurrencyLimit:
    """The limit, between 1 and a maximum. Times are seconds of one clock that only grows."""

    def __init__(self, maximum: int, slow_seconds: float) -> None:
        """Begin at the maximum; an answer after `slow_seconds` or more says that there are too many."""
        self._maximum = maximum
        self._slow_seconds = slow_seconds
        self._limit = float(maximum)
        self._lowered_at = -inf
        self._slow_before = inf
        self._ramping = False

    @property
    def limit(self) -> int:
        """How many requests may be under way."""
        return int(self._limit)

    def begin_again(self) -> None:
        """Meet an API that was down gently."""
        self._limit = max(1.0, self._maximum * _RAMP_SHARE)
        self._ramping = True

    def answered(self, now: float, sent_at: float, under_way: int, *, timed_out: bool = False) -> None:
        """Judge an answer to a request that left at `sent_at`, with so many under way, itself included."""
        seconds = now - sent_at
        if timed_out or seconds >= self._slow_seconds:
            self._ramping = False
            # Requests that left before the limit was lowered say nothing about what it is now.
            if sent_at < self._lowered_at:
                return
            self._lowered_at = now
            helped, self._slow_before = timed_out or seconds < _HELPED * self._slow_before, seconds
            if helped:
                self._limit = max(1.0, self._limit * _DECREASE)
                return
            # An API that takes its time however little it is asked would be asked less and less for nothing.
            self._limit = min(self._maximum, self._limit / _DECREASE)
        else:
            self._slow_before = inf
            if 2 * under_way >= self._limit:
                self._limit = min(self._maximum, self._limit + (_RAMP if self._ramping else 1 / self._limit))
