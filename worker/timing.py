"""Time as the parts of the worker see it: passed in, so that tests can bring their own."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""The time now, aware, in UTC."""


Sleep = Callable[[float], Awaitable[None]]
"""Waits that many seconds; cancellable."""


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def now() -> float:
    """Return seconds that also pass while the machine is suspended, if the system can tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
