"""Retry and dead-letter records: the original bytes, and headers that say why they lie there.

A record comes back from there in two ways: out of a retry topic, and by redrive, which puts a dead letter
back on the activity topic with our headers kept and one more, `REDRIVEN`.

Ours are written as one block behind all others, and begin at the last `reason`. What has such a name before
that came from outside, and is as foreign as any other header.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from topics.record import Headers, Position, Record, UnreadableOffsets
from topics.times import written

PREFIX: Final = "enrolment.error."
"""Prefix of our headers; every other header is foreign and kept byte for byte."""

VALUE_OMITTED: Final = f"{PREFIX}value_omitted"
"""Present if the record was too large for the dead-letter topic: its value was replaced by an empty one."""
HEADERS_OMITTED: Final = f"{PREFIX}headers_omitted"
"""Present if it was too large still: its foreign headers were left out."""
KEY_OMITTED: Final = f"{PREFIX}key_omitted"
"""Present if it was too large even so: its key was replaced by a null one; says how many bytes it had."""
OMITTED: Final = (VALUE_OMITTED, HEADERS_OMITTED, KEY_OMITTED)

_FIRST: Final = f"{PREFIX}reason"
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_LONG: Final = range(-(2**63), 2**63)
_PLACE: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_LONGEST_MESSAGE: Final = 1000
_MOST_ATTEMPTS: Final = 10**9

REDRIVEN: Final = "enrolment.redriven"
"""On a record that was sent back to the activity topic: where its dead letter lies, as Position's text."""


class DeadLetterReason(StrEnum):
    """Why a record was dead-lettered."""

    MALFORMED_EVENT = "malformed_event"
    NO_IDENTIFIER = "no_identifier"
    OTHER_ORGANISATION = "other_organisation"
    RETRIES_EXHAUSTED = "retries_exhausted"
    IN_DOUBT = "in_doubt"
    HANDLER_FAULT = "handler_fault"


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """Return the foreign headers as they came, followed by ours.

    The mark of a batch that cannot be read is none: it never came.
    """
    came = tuple(each for each in foreign if not isinstance(each[1], UnreadableOffsets))
    ours = {
        "reason": failure.reason.value,
        "message": failure.message[:_LONGEST_MESSAGE],
        "topic": failure.position.topic,
        "partition": str(failure.position.partition),
        "offset": str(failure.position.offset),
        "timestamp": str(failure.timestamp_ms),
        "group": failure.group,
        "attempts": str(failure.attempts),
        "first_failed_at": written(failure.first_failed_at),
        "last_failed_at": written(failure.last_failed_at),
    }
    return came + tuple((PREFIX + name, value.encode()) for name, value in ours.items())


def foreign_headers(headers: Headers) -> Headers:
    """Return the headers that are not ours, as they came.

    A redrive's mark is ours too: what fails again was not redriven since.
    """
    begin = _begin_of_ours(headers)
    return headers[:begin] + tuple(each for each in headers[begin:] if not _is_our_name(each[0]))


def our_headers(headers: Headers) -> dict[str, bytes | None]:
    """Return ours by their names; none if nothing was written by `dead_letter_headers`."""
    return {name: value for name, value in headers[_begin_of_ours(headers) :] if _is_our_name(name)}


def _begin_of_ours(headers: Headers) -> int:
    places = range(len(headers) - 1, -1, -1)
    return next((at for at in places if headers[at][0] == _FIRST), len(headers))


def _is_our_name(name: str) -> bool:
    return name.startswith(PREFIX) or name == REDRIVEN


def group_of(record: Record) -> str | None:
    """Return the consumer group that dead-lettered or deferred the record, None if no header says so."""
    return _decoded(our_headers(record.headers).get(f"{PREFIX}group"))


def redriven_from(record: Record) -> Position | None:
    """Return the dead letter that a record says it was redriven from, None for any other record."""
    text = _decoded(our_headers(record.headers).get(REDRIVEN)) or ""
    topic_and_partition, _, offset = text.rpartition("-")
    topic, _, partition = topic_and_partition.rpartition("-")
    numbers = (_PLACE.fullmatch(partition), _PLACE.fullmatch(offset))
    return Position(topic, int(partition), int(offset)) if topic and all(numbers) else None


def read_failure(record: Record) -> Failure | None:
    """Read our headers back; None if one is missing or is nothing that `dead_letter_headers` wrote."""
    ours = _Ours(our_headers(record.headers))
    try:
        failure = Failure(
            reason=DeadLetterReason(ours.text("reason")),
            message=ours.text("message")[:_LONGEST_MESSAGE],
            position=Position(ours.text("topic"), ours.number("partition"), ours.number("offset")),
            timestamp_ms=ours.number("timestamp"),
            group=ours.text("group"),
            attempts=ours.number("attempts"),
            first_failed_at=ours.time("first_failed_at"),
            last_failed_at=ours.time("last_failed_at"),
        )
    except (ValueError, OverflowError):
        return None
    return failure if failure.position.offset >= 0 and 0 <= failure.attempts <= _MOST_ATTEMPTS else None


def as_on_activity_topic(record: Record, failure: Failure) -> Record:
    """Return the original activity record: where it lay, when it was written, without our headers."""
    return Record(
        position=failure.position,
        timestamp_ms=failure.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=foreign_headers(record.headers),
    )


class _Ours:
    """Our headers, read as what they are to be; ValueError or OverflowError for what is not that."""

    def __init__(self, headers: dict[str, bytes | None]) -> None:
        self._headers = headers

    def text(self, name: str) -> str:
        text = _decoded(self._headers.get(PREFIX + name))
        if text is None:
            raise ValueError(name)
        return text

    def number(self, name: str) -> int:
        text = self.text(name)
        if _WHOLE.fullmatch(text) is None or int(text) not in _LONG:
            raise ValueError(name)
        return int(text)

    def time(self, name: str) -> datetime:
        time = datetime.fromisoformat(self.text(name))
        if time.tzinfo is None:
            raise ValueError(name)
        return time.astimezone(UTC)


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def redriven_headers(letter: Record) -> Headers:
    """Return the headers of a dead letter on its way back: all of its own, and where it lies."""
    return (*letter.headers, (REDRIVEN, str(letter.position).encode()))
