"""What a record is that arrives: an activity record for the first time, or one that comes again.

A record comes again out of a retry topic, or from the dead letters by redrive. It is handled as the activity
record that it was: where it lay then, when it was written, without our headers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from topics.dead_letter import PREFIX, REDRIVEN, Failure, as_on_activity_topic, group_of, read_failure
from topics.names import TopicNames
from topics.record import Record


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
    """A retry or a redrive of ours that cannot be what it says."""

    record: Record
    message: str


def arrive(record: Record, names: TopicNames) -> Arrival | NotOurs | Damaged:
    """Say what a record of the activity topic or of a retry topic is."""
    hop, redriven, group = hop_of(record, names), record.header(REDRIVEN), group_of(record)
    if hop == 0 and (redriven is None or group is None):
        # Upstream may use any header, also one of this name.
        return Arrival(record)
    if group != names.group_id:
        return NotOurs("retry_of_another_group" if hop else "redrive_of_another_group")
    failure = read_failure(record)
    if failure is None:
        return Damaged(record, f"header {PREFIX}*: missing or unreadable")
    if failure.position.partition != record.position.partition:
        # The customer's ledger entries lie on the original's partition.
        return Damaged(record, f"header {PREFIX}partition: not the partition that the record lies on")
    return Arrival(as_on_activity_topic(record, failure), hop, failure if hop else None, redriven)


def hop_of(record: Record, names: TopicNames) -> int:
    """Return the number of the retry topic that the record lies on, 0 for none."""
    topic = record.position.topic
    return names.retries.index(topic) + 1 if topic in names.retries else 0


def wait_of(record: Record, names: TopicNames, delays: Sequence[float], now: float) -> float:
    """Return in how many seconds the record is due, 0 where it is; `now` in seconds since the epoch.

    A retry is due its topic's delay after it was written there. No clock, be it ever so wrong, makes that
    more than the delay.
    """
    hop = hop_of(record, names)
    if hop == 0 or group_of(record) != names.group_id:
        return 0.0
    delay = delays[hop - 1]
    return min(delay, max(0.0, record.timestamp_ms / 1000 + delay - now))
