"""Which dead letters are looked at and redriven, and what of them people may see. Pure decisions.

A redrive puts a dead letter back where its original lay, once: the record there bears the dead letter's own
position, and what bears it already is left out.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from topics.activity import Activity, ids_outside_value, read_activity
from topics.dead_letter import (
    HEADERS_OMITTED,
    KEY_OMITTED,
    VALUE_OMITTED,
    DeadLetterReason,
    Failure,
    as_on_activity_topic,
    group_of,
    our_headers,
    read_failure,
)
from topics.record import Position, Record

CLOCKS_APART_MS: Final = 3_600_000
"""How far the clocks of workers, brokers and whoever redrives may be apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter of ours, without its key, value and foreign headers: they are personal."""

    position: Position
    """Where the dead letter lies; `failure` says where its original lay."""
    written_ms: int
    failure: Failure
    event_id: str
    event_name: str
    """Empty if the value is no event, or one that names none."""
    customer_id: int | None
    key_bytes: int | None
    value_bytes: int | None
    value_omitted: bool
    headers_omitted: bool
    key_omitted: bool
    largest_batch_bytes: int
    """What the redriven record takes at most, as a topic's `max.message.bytes` counts."""


class ForeignLetter(StrEnum):
    """Why a record of the dead-letter topic is left alone."""

    OTHER_GROUP = "of other groups"
    UNREADABLE = "without readable headers"


def read_letter(record: Record, group: str, activity_topic: str, batch_bytes: int) -> Letter | ForeignLetter:
    """Read a record of the dead-letter topic; any bytes lead to an answer."""
    if group_of(record) not in (None, group):
        return ForeignLetter.OTHER_GROUP
    failure = read_failure(record)
    if failure is None or failure.position.topic != activity_topic or failure.position.partition < 0:
        return ForeignLetter.UNREADABLE
    original, ours = as_on_activity_topic(record, failure), our_headers(record.headers)
    reading = read_activity(original)
    event = reading if isinstance(reading, Activity) else None
    return Letter(
        position=record.position,
        written_ms=record.timestamp_ms,
        failure=failure,
        event_id=event.event_id if event else ids_outside_value(original)[0],
        event_name=event.event_name if event else "",
        customer_id=_customer_id(event) if event else None,
        key_bytes=None if record.key is None else len(record.key),
        value_bytes=None if record.value is None else len(record.value),
        value_omitted=record.value is None or VALUE_OMITTED in ours,
        headers_omitted=HEADERS_OMITTED in ours,
        key_omitted=KEY_OMITTED in ours,
        largest_batch_bytes=batch_bytes,
    )


def _customer_id(event: Activity) -> int | None:
    return next((int(value) for name, value, *_ in event.customer.names if name == "customerId"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which dead letters the operator asks for; what is not given admits all."""

    reasons: frozenset[DeadLetterReason] = frozenset()
    since: datetime | None = None
    """Dead-lettered then or later."""
    until: datetime | None = None
    """Dead-lettered before then."""
    customer_id: int | None = None
    count: int | None = None
    """The oldest so many of them."""

    def admits(self, letter: Letter) -> bool:
        """Whether the letter is asked for; the count is not looked at."""
        at = letter.failure.last_failed_at
        return (
            (not self.reasons or letter.failure.reason in self.reasons)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
            and self.customer_id in (None, letter.customer_id)
        )


class Chosen:
    """Collects the letters asked for; holds no more than twice their count."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._letters: list[Letter] = []

    def add(self, letter: Letter) -> None:
        """Take the letter if it is asked for."""
        if self._wanted.admits(letter):
            self._letters.append(letter)
            if self._wanted.count is not None and len(self._letters) >= 2 * self._wanted.count:
                self._letters = self.letters()

    def letters(self) -> list[Letter]:
        """Return them, the oldest first."""
        self._letters.sort(key=_age)
        return self._letters[: self._wanted.count]


def _age(letter: Letter) -> tuple[datetime, int, int]:
    return letter.failure.last_failed_at, letter.position.partition, letter.position.offset


@dataclass(frozen=True, slots=True)
class Horizon:
    """Where a partition of the activity topic begins today; what lay before it is gone."""

    first_offset: int
    first_time_ms: int | None
    """None if the partition is empty."""

    def forgets(self, letter: Letter) -> bool:
        """Whether an earlier redrive of the letter may have been there and be gone.

        It came after the original, and after the dead letter was written.
        """
        if self.first_offset <= letter.failure.position.offset + 1:
            return False
        return self.first_time_ms is None or letter.written_ms - CLOCKS_APART_MS <= self.first_time_ms


class Obstacle(StrEnum):
    """Why a chosen letter stays where it is."""

    OMITTED = "without value, headers or key, which were too large for the dead-letter topic"
    TOO_LARGE = "too large for the activity topic"
    FORGOTTEN = "perhaps redriven before: the activity topic no longer holds what was written then"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a redrive does with the chosen letters."""

    to_send: tuple[Letter, ...]
    redriven_before: int
    left: Mapping[Obstacle, tuple[Letter, ...]] = field(default_factory=dict)


def plan(
    letters: Iterable[Letter],
    redriven: Collection[Position],
    horizons: Mapping[int, Horizon],
    largest_batch_bytes: int,
    *,
    also_forgotten: bool = False,
) -> Plan:
    """Decide for each chosen letter. `horizons` has every partition that one of them goes to."""
    to_send: list[Letter] = []
    left: dict[Obstacle, list[Letter]] = {}
    before = 0
    for letter in letters:
        horizon = horizons[letter.failure.position.partition]
        if letter.position in redriven:
            before += 1
        elif letter.value_omitted or letter.headers_omitted or letter.key_omitted:
            left.setdefault(Obstacle.OMITTED, []).append(letter)
        elif letter.largest_batch_bytes > largest_batch_bytes:
            left.setdefault(Obstacle.TOO_LARGE, []).append(letter)
        elif horizon.forgets(letter) and not also_forgotten:
            left.setdefault(Obstacle.FORGOTTEN, []).append(letter)
        else:
            to_send.append(letter)
    return Plan(tuple(to_send), before, {why: tuple(kept) for why, kept in left.items()})
