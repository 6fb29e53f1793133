"""Waiting for a condition, for a bounded time, with something to read when it does not come."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

_PAUSE_SECONDS: Final = 0.03


def wait_until(
    condition: Callable[[], T],
    what: str,
    *,
    seconds: float = 30.0,
    evidence: Callable[[], str] = str,
) -> T:
    """Block until the condition holds (is truthy) and return its value.

    Raises AssertionError after `seconds`, saying what did not happen, the condition's last value, and the
    evidence.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what} (last: {value!r})\n{evidence()}")
        time.sleep(_PAUSE_SECONDS)
    return value
