"""How long a 429 asks to wait."""

import re
from collections.abc import Mapping
from datetime import datetime

from worker.capillary.dates import read_date

LONGEST_SECONDS = 3600.0
_RATE_LIMIT_RESET = re.compile(r"\b(?:t|reset)\s*=\s*(\d{1,9})\b")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that the server asks to wait, at most an hour; None if it does not say.

    `Retry-After` (RFC 9110, 10.2.3: seconds or a date), else the draft `RateLimit` header in either of its
    forms or `RateLimit-Reset`. What cannot be read is as if absent. `headers` looks names up in any case.
    """
    # A date is the server's own, and so is what its clock says now, be ours ever so wrong.
    stated = _seconds(headers.get("retry-after", ""), read_date(headers.get("date", "")) or now)
    if stated is not None:
        return min(stated, LONGEST_SECONDS)
    drafts = (
        match[1] if (match := _RATE_LIMIT_RESET.search(headers.get("ratelimit", ""))) else "",
        headers.get("ratelimit-reset", ""),
    )
    # Some servers put an epoch there: what is longer than the longest wait is no wait.
    waits = (float(text) for text in drafts if re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII))
    return next((wait for wait in waits if wait <= LONGEST_SECONDS), None)


def _seconds(text: str, now: datetime) -> float | None:
    text = text.strip()
    if re.fullmatch(r"\d{1,12}", text, re.ASCII):
        return float(text)
    when = read_date(text)
    return None if when is None else max(0.0, (when - now).total_seconds())
