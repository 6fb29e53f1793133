"""The time by two clocks, whichever of them is wrong."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.use_case.values import NOW
from worker.domain.times import Span
from worker.timepiece import Timepiece

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


class Clocks:
    """A machine whose clock is ahead of the true time by `ahead`, and an API's clock by `theirs`."""

    def __init__(self, ahead: timedelta, theirs: timedelta | None = timedelta()) -> None:
        self.ahead = ahead
        self.seconds = 0.0
        self.skews: list[tuple[str, float, bool]] = []
        self.timepiece = Timepiece(lambda: self.true + self.ahead, lambda: 5_000 + self.seconds, self)
        if theirs is not None:
            self.timepiece.heard(self.true + theirs)

    @property
    def true(self) -> datetime:
        """The true time."""
        return NOW + timedelta(seconds=self.seconds)

    def clock_skew(self, against: str, seconds: float, *, is_apart: bool) -> None:
        """Keep what is told."""
        self.skews.append((against, round(seconds, 3), is_apart))


@pytest.mark.parametrize("ahead", [2 * HOUR, -2 * DAY, 6 * DAY, -3000 * DAY])
def test_a_wrong_clock_of_the_machine_is_not_gone_by(ahead: timedelta) -> None:
    """Nor later, as long as seconds are counted rightly."""
    clocks = Clocks(ahead)
    clocks.seconds = 86_400
    assert clocks.timepiece.now() == clocks.true
    assert clocks.timepiece.span() == Span.at(clocks.true, clocks.true + ahead)
    assert clocks.skews == [("api", ahead.total_seconds(), True)]


@pytest.mark.parametrize("theirs", [None, timedelta(seconds=-29), timedelta(seconds=30)])
def test_a_clock_that_agrees_or_is_alone_is_gone_by(theirs: timedelta | None) -> None:
    """A Date is a second or more old: it is no better than a clock that is about right."""
    clocks = Clocks(timedelta(), theirs)
    assert clocks.timepiece.now() == clocks.true
    assert all(not is_apart for _, _, is_apart in clocks.skews)


@pytest.mark.parametrize(
    ("ahead", "theirs", "stamped"),
    [
        (2 * HOUR, timedelta(), timedelta()),
        (timedelta(), 3 * HOUR, timedelta()),
        (-2 * DAY, timedelta(), -2 * DAY),
        (-20_000 * DAY, timedelta(), timedelta()),
        (timedelta(), -1500 * DAY, timedelta()),
    ],
    ids=["we are ahead", "the API is", "we are behind", "we are in 1971", "the API is years behind"],
)
def test_what_is_stamped_is_neither_refused_nor_deleted(
    ahead: timedelta, theirs: timedelta, stamped: timedelta
) -> None:
    """Never ahead while one clock is right, and never so far behind that Kafka deletes it."""
    clocks = Clocks(ahead, theirs)
    assert datetime.fromtimestamp(clocks.timepiece.stamp_ms() / 1000, UTC) == clocks.true + stamped


def test_once_the_clock_is_set_right_it_is_gone_by_at_once() -> None:
    """Without waiting for answers: seconds go on evenly."""
    clocks = Clocks(2 * HOUR)
    clocks.ahead = timedelta()
    assert clocks.timepiece.skew == timedelta()


def test_one_server_that_is_wrong_is_outvoted() -> None:
    """So is an answer out of a cache."""
    clocks = Clocks(timedelta())
    for theirs in (timedelta(), -DAY, timedelta(), DAY):
        clocks.timepiece.heard(clocks.true + theirs)
    assert clocks.timepiece.skew == timedelta()


@given(date=st.datetimes(timezones=st.just(UTC)), machine=st.datetimes(timezones=st.just(UTC)))
def test_any_two_times_make_one(date: datetime, machine: datetime) -> None:
    """Whatever the API and the machine say."""
    clocks = Clocks(machine - NOW, None)
    clocks.timepiece.heard(date)
    assert clocks.timepiece.now() in {machine, date} or abs(clocks.timepiece.now() - date) < HOUR
    span = clocks.timepiece.span()
    assert span.earliest <= span.latest
    assert isinstance(clocks.timepiece.stamp_ms(), int)


def test_kafka_tells_its_time_where_it_stamps_records() -> None:
    """Of a topic with LogAppendTime; what is dated does not go by it."""
    clocks = Clocks(2 * HOUR, None)
    clocks.timepiece.appended(round(clocks.true.timestamp() * 1000))
    assert clocks.skews == [("kafka", 7200.0, True)]
