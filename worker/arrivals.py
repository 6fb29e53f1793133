"""What a record is that arrives: an activity record for the first time, or one that comes again.

A record comes again out of a retry topic, or from the dead letters by redrive. It is handled as the activity
record that it was: where it lay then, when it was written, without our headers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from topics.dead_letter import REDRIVEN, Failure, as_on_activity_topic, group_of, read_failure
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
    redriven: bool = False
    """An operator sent it back: what was rejected is tried again."""


@dataclass(frozen=True, slots=True)
class NotOurs:
    """A retry or a redrive of another consumer group, or of nobody's."""

    why: str


def arrive(record: Record, names: TopicNames) -> Arrival | NotOurs:
    """Say what a record of the activity topic or of a retry topic is."""
    hop = hop_of(record, names)
    redriven = hop == 0 and record.header(REDRIVEN) is not None
    if hop == 0 and not redriven:
        return Arrival(record)
    if group_of(record) != names.group_id:
        return NotOurs("redrive_of_another_group" if redriven else "retry_of_another_group")
    failure = read_failure(record)
    if failure is None:
        return NotOurs("unreadable_headers")
    return Arrival(as_on_activity_topic(record, failure), hop, None if redriven else failure, redriven)


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
