"""Which records give way to live ones: those of older events, by the events' own times."""

from collections.abc import Callable
from datetime import datetime, timedelta

from topics.activity import Activity, read_activity
from topics.names import TopicNames
from topics.record import Record
from worker.domain.priority import Priority, priority_of
from worker.enrolment.admission import happened_at
from worker.enrolment.arrivals import Arrival, Claim, arrive
from worker.enrolment.rules import Rules


class Backlog:
    """Tells a backlog from live records, as their lookups will be told apart.

    A retry or a redrive is as old as the event that it was, and not as the record. What leads to no lookup
    takes nothing of the budget, and gives way to nobody.
    """

    def __init__(
        self, names: TopicNames, rules: Rules, age: timedelta, earliest: Callable[[], datetime]
    ) -> None:
        """`earliest` tells the time, or what is certainly not behind it."""
        self._names = names
        self._rules = rules
        self._age = age
        self._earliest = earliest

    def has(self, record: Record) -> bool:
        """Whether the record gives way; any bytes lead to an answer."""
        original = _original(record, self._names)
        activity = None if original is None else read_activity(original)
        if original is None or not isinstance(activity, Activity):
            return False
        if not self._rules.acts_on(activity.event_name):
            return False
        now = self._earliest()
        return priority_of(happened_at(activity, original, now), self._age, now) is Priority.BACKLOG


def _original(record: Record, names: TopicNames) -> Record | None:
    """Return the activity record that the record was; None if nothing will be looked up for it."""
    match arrive(record, names):
        case Arrival(original):
            return original
        case Claim(original=original):
            return original
        case _:
            return None
