"""Times as text: RFC 3339, as we write it, and as upstream systems write it, more or less."""

import re
from datetime import UTC, datetime
from typing import Final

_LEAP_SECOND: Final = re.compile(r"(?<=:[0-5][0-9]:)60(?![0-9])")


def written(time: datetime, timespec: str = "auto") -> str:
    """Return a time in UTC as RFC 3339, with as many digits as `datetime.isoformat` gives it."""
    return time.isoformat(timespec=timespec).replace("+00:00", "Z")


def read_time(text: str) -> datetime | None:
    """Return the time in UTC, None for what is none; without a zone it is UTC already.

    A leap second is the one before it: no datetime holds it.
    """
    try:
        time = datetime.fromisoformat(_LEAP_SECOND.sub("59", text.strip()))
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
