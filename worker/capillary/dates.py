"""Dates as HTTP headers write them (RFC 9110, 5.6.7)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from worker.domain.times import moved

_AGE_DIGITS: Final = 9


def read_date(text: str) -> datetime | None:
    """Return the date in UTC, None for what is none, or is none that a datetime can hold."""
    try:
        date = parsedate_to_datetime(text)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def written_at(headers: Mapping[str, str]) -> datetime | None:
    """Return the time at the server of the answer: its `Date`, and how long a cache has kept it since."""
    date, age = read_date(headers.get("date", "")), headers.get("age", "")
    if date is None or not (age.isascii() and age.isdigit() and len(age) <= _AGE_DIGITS):
        return date
    return moved(date, timedelta(seconds=int(age)))
