"""Arrivals: an activity record for the first time, or one that comes again.

A record comes again out of a retry topic, or from the dead letters by redrive. It is handled as the activity
record that it was: where it lay then, when it was written, without our headers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from topics.dead_letter import (
    PREFIX,
    Failure,
    as_on_activity_topic,
    group_of,
    read_failure,
    redriven_from,
)
from topics.names import TopicNames
from topics.record import Position, Record


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record of ours, as it was on the activity topic."""

    record: Record
    hop: int = 0
    """Number of the retry topic that it came out of, 0 for the activity topic."""
    earlier: Failure | None = None
    """How it failed the last time."""
    redriven: str | None = None
    """Where the dead letter lies that an operator sent back: what was rejected is tried again."""


@dataclass(frozen=True, slots=True)
class NotOurs:
    """A retry or a redrive of another consumer group, or of nobody's."""

    why: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """A retry of ours that cannot be what it says."""

    record: Record
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A record of the activity topic that says it was redriven, as whoever may write there can say.

    The dead letter that it names decides: it is what it says, or a record like any other.
    """

    record: Record = field(repr=False)
    letter: Position
    original: Record = field(repr=False)
    """What it says it was on the activity topic."""
    true: Arrival | NotOurs
    false: Arrival


def arrive(record: Record, names: TopicNames) -> Arrival | NotOurs | Damaged | Claim:
    """Say what a record of the activity topic or of a retry topic is."""
    hop = hop_of(record, names)
    if hop == 0:
        return _on_activity_topic(record, names)
    if group_of(record) != names.group_id:
        return NotOurs("retry_of_another_group")
    failure = read_failure(record)
    if failure is None:
        return Damaged(record, f"header {PREFIX}*: missing or unreadable")
    fault = _misplaced(record, failure, names)
    if fault is not None:
        return Damaged(record, fault)
    letter = redriven_from(record)
    redriven = str(letter) if letter is not None and letter.topic == names.dead_letters else None
    return Arrival(as_on_activity_topic(record, failure), hop, failure, redriven)


def _on_activity_topic(record: Record, names: TopicNames) -> Arrival | Claim:
    letter, failure = redriven_from(record), read_failure(record)
    if letter is None or letter.topic != names.dead_letters or failure is None:
        return Arrival(record)
    if _misplaced(record, failure, names) is not None:
        return Arrival(record)
    original = as_on_activity_topic(record, failure)
    true: Arrival | NotOurs = NotOurs("redrive_of_another_group")
    if failure.group == names.group_id:
        true = Arrival(original, redriven=str(letter))
    return Claim(record=record, letter=letter, original=original, true=true, false=Arrival(record))


def _misplaced(record: Record, failure: Failure, names: TopicNames) -> str | None:
    """Return which header names a place that the record cannot have come from."""
    if failure.position.topic != names.activity:
        return f"header {PREFIX}topic: not the activity topic"
    if failure.position.partition != record.position.partition:
        # The customer's ledger entries lie on the original's partition.
        return f"header {PREFIX}partition: not the partition that the record lies on"
    return None


def hop_of(record: Record, names: TopicNames) -> int:
    """Return the number of the retry topic that the record lies on, 0 for none."""
    topic = record.position.topic
    return names.retries.index(topic) + 1 if topic in names.retries else 0


def wait_of(record: Record, names: TopicNames, delays: Sequence[float], now: float, seen_for: float) -> float:
    """Return in how many seconds the record is due, 0 if it is; `now` in seconds since the epoch.

    A retry is due its topic's delay after it was written there. No clock, be it ever so wrong, makes that
    more than the delay since we saw it first, `seen_for` seconds ago.
    """
    hop = hop_of(record, names)
    if hop == 0 or group_of(record) != names.group_id:
        return 0.0
    delay = delays[hop - 1]
    return max(0.0, min(delay - seen_for, record.timestamp_ms / 1000 + delay - now))
