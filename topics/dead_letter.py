"""Retry and dead-letter records: the original bytes, and headers that say why they lie there.

A record comes back from there in two ways: out of a retry topic, and by redrive, which puts a dead letter
back on the activity topic with our headers kept and one more, `REDRIVEN`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from topics.record import Headers, Position, Record

PREFIX: Final = "enrolment.error."
"""Prefix of our headers; every other header is foreign and kept byte for byte."""

VALUE_OMITTED: Final = f"{PREFIX}value_omitted"
"""Present where the value was too large for the dead-letter topic and was replaced by an empty one."""
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_LONG: Final = range(-(2**63), 2**63)

REDRIVEN: Final = "enrolment.redriven"
"""On a record that was sent back to the activity topic: where its dead letter lies, as Position's text."""


class DeadLetterReason(StrEnum):
    """Why a record was put aside."""

    MALFORMED_EVENT = "malformed_event"
    NO_IDENTIFIER = "no_identifier"
    OTHER_ORGANISATION = "other_organisation"
    RETRIES_EXHAUSTED = "retries_exhausted"
    IN_DOUBT = "in_doubt"
    HANDLER_FAULT = "handler_fault"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why, where from and since when; the position and timestamp are the original activity record's."""

    reason: DeadLetterReason
    message: str
    """Names the field and the fault, never a value."""
    position: Position
    timestamp_ms: int
    group: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime


def dead_letter_headers(foreign: Headers, failure: Failure) -> Headers:
    """Return the foreign headers as they came, followed by ours; earlier ones of ours are replaced.

    A redrive's mark is ours too, and goes: the new dead letter was not redriven.
    """
    ours = {
        "reason": failure.reason.value,
        "message": failure.message,
        "topic": failure.position.topic,
        "partition": str(failure.position.partition),
        "offset": str(failure.position.offset),
        "timestamp": str(failure.timestamp_ms),
        "group": failure.group,
        "attempts": str(failure.attempts),
        "first_failed_at": _rfc3339(failure.first_failed_at),
        "last_failed_at": _rfc3339(failure.last_failed_at),
    }
    return foreign_headers(foreign) + tuple((PREFIX + name, value.encode()) for name, value in ours.items())


def foreign_headers(headers: Headers) -> Headers:
    """Return the headers that are not ours, as they came."""
    return tuple((name, value) for name, value in headers if not name.startswith(PREFIX) and name != REDRIVEN)


def group_of(record: Record) -> str | None:
    """Return the consumer group that put the record aside, None where no header says so."""
    return record.header(f"{PREFIX}group")


def read_failure(record: Record) -> Failure | None:
    """Read our headers back; None where one is missing or is nothing that `dead_letter_headers` wrote."""
    try:
        return Failure(
            reason=DeadLetterReason(_text(record, "reason")),
            message=_text(record, "message"),
            position=Position(
                _text(record, "topic"), _number(record, "partition"), _number(record, "offset")
            ),
            timestamp_ms=_number(record, "timestamp"),
            group=_text(record, "group"),
            attempts=_number(record, "attempts"),
            first_failed_at=_time(record, "first_failed_at"),
            last_failed_at=_time(record, "last_failed_at"),
        )
    except (ValueError, OverflowError):
        return None


def as_on_activity_topic(record: Record, failure: Failure) -> Record:
    """Return the original activity record: where it lay, when it was written, without our headers."""
    return Record(
        position=failure.position,
        timestamp_ms=failure.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=foreign_headers(record.headers),
    )


def _text(record: Record, name: str) -> str:
    text = record.header(PREFIX + name)
    if text is None:
        raise ValueError(name)
    return text


def _number(record: Record, name: str) -> int:
    text = _text(record, name)
    if _WHOLE.fullmatch(text) is None or int(text) not in _LONG:
        raise ValueError(name)
    return int(text)


def _time(record: Record, name: str) -> datetime:
    time = datetime.fromisoformat(_text(record, name))
    if time.tzinfo is None:
        raise ValueError(name)
    return time.astimezone(UTC)


def _rfc3339(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
