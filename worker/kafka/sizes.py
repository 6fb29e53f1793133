"""Sizes of records in Kafka, and how a dead letter is made to fit into its topic."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from topics.dead_letter import HEADERS_OMITTED, KEY_OMITTED, VALUE_OMITTED, Failure, dead_letter_headers
from topics.record import Headers, Record
from worker.kafka.raw_headers import name_in_bytes

LARGEST_ENTRY_BYTES: Final = 1_000_000
"""Below Kafka's default for a batch, which the ledger's topic has."""

LARGEST_REQUEST_BYTES: Final = 64 * 1024 * 1024
"""The producer's own limit, beyond what topics allow as a rule; no record of ours is larger."""
MOST_OCTETS: Final = 16 * 1024 * 1024
"""Of records that one place holds unpacked, a fetch or the buffer before the lanes; or a single one."""
_BATCH_BYTES: Final = 61 + 40
"""Header of a batch, and a record's own fields at their longest (message format 2)."""
_FIELD_BYTES: Final = 10
TRACE_BYTES: Final = 1024
"""Headers of the trace context, for a record that has none of its own yet."""


def batch_bytes(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Return an upper bound of the record's batch, as the broker measures it."""
    fields = sum(len(name_in_bytes(name)) + len(content or b"") + _FIELD_BYTES for name, content in headers)
    return _BATCH_BYTES + len(key or b"") + len(value or b"") + fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A dead letter as it is written; `marks` say what was left out."""

    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    foreign: Headers = field(repr=False)
    ours: Headers
    marks: Headers = ()

    @property
    def headers(self) -> Headers:
        """All headers, ours behind the others."""
        return self.foreign + self.ours + self.marks

    @property
    def omitted(self) -> tuple[str, ...]:
        """The headers that say what was left out, by name."""
        return tuple(name for name, _ in self.marks)


def fitted(record: Record, failure: Failure, trace_headers: Headers, largest: int) -> Fitted:
    """Return the dead letter with as much of the record as the topic's largest batch has room for.

    The value goes first, then foreign headers, then the key.
    """
    ours = dead_letter_headers((), failure)
    headers = dead_letter_headers(record.headers, failure)
    letters = [
        *_ever_smaller(
            Fitted(
                key=record.key, value=record.value, foreign=headers[: -len(ours)], ours=ours + trace_headers
            )
        )
    ]
    fitting = (each for each in letters if batch_bytes(each.key, each.value, each.headers) <= largest)
    return next(fitting, letters[-1])


def _ever_smaller(letter: Fitted) -> Iterator[Fitted]:
    yield letter
    if letter.value:
        letter = replace(letter, value=b"", marks=(*letter.marks, (VALUE_OMITTED, b"true")))
        yield letter
    if letter.foreign:
        letter = replace(letter, foreign=(), marks=(*letter.marks, (HEADERS_OMITTED, b"true")))
        yield letter
    if letter.key:
        size = str(len(letter.key)).encode()
        yield replace(letter, key=None, marks=(*letter.marks, (KEY_OMITTED, size)))
