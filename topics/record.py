"""A Kafka record as its bytes, and where it lies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

Headers = tuple[tuple[str, bytes | None], ...]
"""Record headers in their order; names may repeat, and Kafka allows null for a value.

A name that is not UTF-8 holds its bytes as lone surrogates (the error handler `surrogateescape`).
"""

UNREADABLE: Final = "enrolment.error.unreadable"
"""On what stands for a batch that could not be read, as `UnreadableOffsets`."""


class UnreadableOffsets(bytes):
    """First and last offset of a batch that could not be read, as `17-21`.

    Made in this process alone: a header of the same name and bytes that comes out of Kafka is foreign.
    """

    __slots__ = ()


LATEST_MS: Final = 253_402_300_799_000
"""The last second that a datetime can hold, in milliseconds since the epoch."""
LARGEST_MS: Final = 2**63 - 1
"""The largest timestamp that a record can have."""


_HEADER_OCTETS: Final = 200
"""What a header costs in memory beside what it holds."""


def octets_of(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> int:
    """Return about how much memory a record takes, for bounds: a short header costs more than its bytes."""
    bare = len(key or b"") + len(value or b"")
    if not headers:
        return bare
    return bare + sum(_HEADER_OCTETS + len(name) + len(content or b"") for name, content in headers)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record lies in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as it was read. Key, value and headers may be personal and stay out of every repr."""

    position: Position
    timestamp_ms: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(default=(), repr=False)

    @property
    def timestamp(self) -> datetime:
        """The record's timestamp (creation or append time, as its topic is set), in UTC.

        Producers may stamp anything: none (-1) is the epoch, what lies beyond year 9999 its last second.
        """
        return datetime.fromtimestamp(min(max(self.timestamp_ms, 0), LATEST_MS) / 1000, UTC)

    @property
    def unreadable(self) -> str | None:
        """The offsets of the batch that the record stands for, None for a record of its own."""
        marks = (value for _, value in self.headers if isinstance(value, UnreadableOffsets))
        return next((mark.decode() for mark in marks), None)

    def header(self, name: str) -> str | None:
        """Return the last header of that name as text, None if it is absent, null or not UTF-8."""
        last = next((value for found, value in reversed(self.headers) if found == name), None)
        try:
            return None if last is None else last.decode()
        except UnicodeDecodeError:
            return None
