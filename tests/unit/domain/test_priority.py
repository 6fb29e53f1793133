"""How urgent an event is, by its own time."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.domain.priority import Priority, priority_of

NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
MINUTES = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("age", "backlog_age", "expected"),
    [
        (timedelta(0), MINUTES, Priority.LIVE),
        (MINUTES, MINUTES, Priority.LIVE),
        (MINUTES + timedelta(milliseconds=1), MINUTES, Priority.BACKLOG),
        (timedelta(hours=-5), MINUTES, Priority.LIVE),
        (timedelta(days=9999), None, Priority.LIVE),
    ],
)
def test_what_is_older_than_the_age_is_backlog(
    age: timedelta, backlog_age: timedelta | None, expected: Priority
) -> None:
    """Not what is just as old, nor what lies ahead; without an age nothing is."""
    assert priority_of(NOW - age, backlog_age, NOW) is expected


def test_what_is_begun_goes_first() -> None:
    """Then what happened lately."""
    assert sorted(Priority) == [Priority.BEGUN, Priority.LIVE, Priority.BACKLOG]
