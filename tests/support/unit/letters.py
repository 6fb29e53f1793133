"""Dead letters that tests speak of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.use_case.values import event, record
from topics.dead_letter import DeadLetterReason, Failure, dead_letter_headers
from topics.record import Headers, Position, Record
from worker.operations.redrive_plan import ForeignLetter, Letter, read_letter

WRITTEN = 1_769_860_000_000
AT = datetime(2026, 1, 31, 10, tzinfo=UTC)
FAILURE = Failure(
    reason=DeadLetterReason.RETRIES_EXHAUSTED,
    message="lookup: HTTP 500",
    position=Position("customer-activity", 3, 42),
    timestamp_ms=1_769_853_600_000,
    group="ours",
    attempts=5,
    first_failed_at=AT - timedelta(hours=1),
    last_failed_at=AT,
)


def dead_letter(
    value: object, failure: Failure = FAILURE, *, offset: int = 7, foreign: Headers = ()
) -> Record:
    """Return a record of the dead-letter topic."""
    return record(
        value,
        headers=dead_letter_headers(foreign, failure),
        at=Position("customer-activity-dlt", 1, offset),
        timestamp_ms=WRITTEN,
    )


def read(source: Record) -> Letter | ForeignLetter:
    """Read it as group `ours`."""
    return read_letter(source, "ours", "customer-activity", 500)


def letter(offset: int = 7, **changes: Any) -> Letter:  # noqa: ANN401 - any field of the letter
    """Return a letter of ours at that offset."""
    found = read(dead_letter(event(), offset=offset))
    assert isinstance(found, Letter)
    return replace(found, **changes)
