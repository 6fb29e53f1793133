"""The dead-letter topic: the original bytes, and headers that say why nothing could be done with them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from topics.record import Headers, Position

PREFIX: Final = "enrolment.error."
"""Prefix of our headers; every other header is foreign and kept byte for byte."""

VALUE_OMITTED: Final = f"{PREFIX}value_omitted"
"""Present where the value was too large for the dead-letter topic and was replaced by an empty one."""


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
    """Return the foreign headers as they came, followed by ours; earlier ones of ours are replaced."""
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
    kept = tuple((name, value) for name, value in foreign if not name.startswith(PREFIX))
    return kept + tuple((PREFIX + name, value.encode()) for name, value in ours.items())


def _rfc3339(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
