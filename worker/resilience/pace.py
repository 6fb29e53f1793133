"""How fast requests may leave: a share of the group's budget, and slower when the API throttles.

The budget is a token bucket, kept as the time at which the next request is due (GCRA). Throttling (429)
halves the rate at which requests were leaving, and what was taken comes back little by little: additive
increase, multiplicative decrease. A server that says how long to wait (Retry-After) is waited for.
"""

from math import exp, floor, inf
from typing import Final

_BURST_SHARE: Final = 0.005
"""Of a minute's budget that may leave at once after a pause."""
_DECREASE: Final = 0.5
_INCREASE_PER_SECOND: Final = 0.05
"""Of the rate before the decrease, won back each second."""
_SLOWEST: Final = 0.2
"""Requests a second that are left however often the API throttles: it must be asked to be found willing."""
_MEMORY_SECONDS: Final = 5.0
"""Over which the rate that requests leave at is measured."""
_USE_SECONDS: Final = 30.0
"""Over which it is measured how much of the budget is used."""
_UNASSIGNED_SECONDS: Final = 1.0


class Pace:
    """Says when the next request may leave. Times are seconds of one clock that only grows."""

    def __init__(self, budget_per_minute: float) -> None:
        """Begin without a share of the budget; 0 is no budget to keep."""
        self._budget = budget_per_minute / 60 if budget_per_minute else inf
        self._allowed = self._budget if self._budget == inf else 0.0
        self._due = -inf
        self._closed_until = -inf
        self._measured = 0.0
        self._used = 0.0
        self._taken_at = 0.0
        self._slowed: float | None = None
        self._full = 0.0
        self._slowed_at = -inf

    def share(self, share: float, now: float) -> None:
        """Keep to this share of the budget, 0 to 1, from now on.

        Another replica may have spent until now what is ours from now on: the first request waits its turn.
        """
        if self._budget == inf:
            return
        a_minute = 60 * self._budget * share
        # Whole requests a minute: with seven and a half each, eight replicas would send eight in one minute.
        before, self._allowed = self._allowed, (floor(a_minute) if a_minute >= 1 else a_minute) / 60
        if self._allowed not in (before, 0.0):
            self._due = now + 1 / self._allowed

    def rate(self, now: float) -> float:
        """Return how many requests a second may leave now; infinite if nothing holds them."""
        if self._slowed is None:
            return self._allowed
        won_back = self._full * _INCREASE_PER_SECOND * max(0.0, now - self._slowed_at)
        slowed = self._slowed + won_back
        if slowed >= 2 * self._full:
            self._slowed = None
            return self._allowed
        return min(self._allowed, slowed)

    def wait(self, now: float) -> float:
        """Return in how many seconds the next request may leave, 0 for now."""
        if now < self._closed_until:
            return self._closed_until - now
        rate = self.rate(now)
        if rate == inf:
            return 0.0
        if rate <= 0:
            return _UNASSIGNED_SECONDS
        ahead = (max(1.0, 60 * rate * _BURST_SHARE) - 1) / rate
        return max(0.0, self._due - ahead - now)

    def take(self, now: float) -> None:
        """Note that a request leaves now."""
        self._measured = self._leaving(now) + 1 / _MEMORY_SECONDS
        self._used = self._faded(self._used, now, _USE_SECONDS) + 1 / _USE_SECONDS
        self._taken_at = now
        rate = self.rate(now)
        if 0 < rate < inf:
            self._due = max(self._due, now) + 1 / rate

    def used(self, now: float) -> float:
        """Return which share of what may leave left within the last minute or so, 0 to 1; 0 without a budget.

        While the API throttles it is a share of what that leaves of the budget.
        """
        rate = self.rate(now)
        if self._budget == inf or rate <= 0:
            return 0.0
        return min(1.0, self._faded(self._used, now, _USE_SECONDS) / rate)

    def throttled(self, now: float, sent_at: float, retry_after: float | None) -> None:
        """Slow down: a request that left at `sent_at` was throttled.

        Those that left before the last decrease say nothing about the rate since.
        """
        self._closed_until = max(self._closed_until, now + (retry_after or 0.0))
        if sent_at < self._slowed_at:
            return
        leaving = min(self.rate(now), max(self._leaving(now), _SLOWEST))
        self._full = leaving
        self._slowed = max(_SLOWEST, leaving * _DECREASE)
        # Nothing is won back while the API asked for silence.
        self._slowed_at = max(now, self._closed_until)

    def _leaving(self, now: float) -> float:
        """Return at how many a second requests have been leaving of late."""
        return self._faded(self._measured, now, _MEMORY_SECONDS)

    def _faded(self, measured: float, now: float, memory: float) -> float:
        return measured * exp((self._taken_at - now) / memory)
