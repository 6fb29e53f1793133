"""What goes first when there is too much to do: what is begun, then what happened lately, then the rest."""

from datetime import datetime, timedelta
from enum import IntEnum


class Priority(IntEnum):
    """Who goes before whom: the smaller one first."""

    BEGUN = 0
    """Goes on with an event that is begun."""
    LIVE = 1
    """Begins an event that happened lately: its customer may be waiting."""
    BACKLOG = 2
    """Begins an older event: a replay, a redrive, a retry, a lag."""


def priority_of(happened: datetime, backlog_age: timedelta | None, now: datetime) -> Priority:
    """Return how urgent it is to begin an event; without an age all events are as urgent."""
    is_old = backlog_age is not None and now - happened > backlog_age
    return Priority.BACKLOG if is_old else Priority.LIVE
