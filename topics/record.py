"""A Kafka record as its bytes, and where it lies."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

Headers = tuple[tuple[str, bytes], ...]
"""Record headers in their order; names may repeat."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record lies in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read. Key, value and headers may be personal and stay out of every repr."""

    position: Position
    timestamp_ms: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(default=(), repr=False)

    @property
    def timestamp(self) -> datetime:
        """The record's timestamp (creation or append time, as its topic is set), in UTC."""
        return datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)

    def header(self, name: str) -> str | None:
        """Return the last header of that name as text, None where it is absent or not UTF-8."""
        for found, value in reversed(self.headers):
            if found == name:
                try:
                    return value.decode()
                except UnicodeDecodeError:
                    return None
        return None
