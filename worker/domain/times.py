"""Arithmetic with times from outside, which may be any that a datetime can hold: it ends where they do."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)


def moved(time: datetime, by: timedelta) -> datetime:
    """Return the time so much later, or earlier; if it lies beyond, the first or the last that there is."""
    try:
        return time + by
    except OverflowError:
        return LATEST if by > timedelta() else EARLIEST


def is_within(since: datetime, length: timedelta, now: datetime) -> bool:
    """Tell whether it began no longer ago than that; what lies ahead of the clock has not begun."""
    return timedelta() <= now - since < length


@dataclass(frozen=True, slots=True)
class Span:
    """The time now, as far as it is known: two clocks that are apart leave open which of them is right."""

    earliest: datetime
    latest: datetime

    @classmethod
    def at(cls, now: datetime, other: datetime | None = None) -> "Span":
        """Return the span between two clocks, or the one moment if there is one clock."""
        return cls(now, now) if other is None else cls(min(now, other), max(now, other))
