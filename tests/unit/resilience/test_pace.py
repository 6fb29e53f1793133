"""How fast requests may leave."""

from math import inf

import pytest

from worker.resilience.pace import Pace


def leaving(pace: Pace, start: float, seconds: float) -> list[float]:
    """Let requests leave as soon as they may, for so long; return when they did."""
    now, left = start, []
    while now < start + seconds:
        wait = pace.wait(now)
        if wait > 0:
            now += wait
            continue
        pace.take(now)
        left.append(now)
    return left


def busiest(left: list[float], seconds: float) -> int:
    """Return how many left in the busiest window of so many seconds."""
    most = first = 0
    for last, at in enumerate(left):
        while left[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_without_a_budget_nothing_waits() -> None:
    """0 is no budget: nothing is held, whatever share of it is ours."""
    pace = Pace(0)
    pace.share(0.0, 0.0)

    assert (pace.wait(5.0), pace.rate(5.0)) == (0.0, inf)


@pytest.mark.parametrize("budget", [30, 600, 3000])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.125])
def test_no_minute_has_more_than_its_share_and_two_percent(budget: int, share: float) -> None:
    """Also after an idle spell, and the share is made use of."""
    pace = Pace(budget)
    pace.share(share, 900.0)

    left = leaving(pace, 1000.0, 150.0)

    assert busiest(left, 60.0) <= max(budget * share * 1.02, budget * share + 1)
    assert len(left) >= int(150 / 60 * int(budget * share))


@pytest.mark.parametrize("replicas", [2, 4, 8])
@pytest.mark.parametrize("budget", [60, 200, 1000])
def test_replicas_that_join_give_no_minute_more(budget: int, replicas: int) -> None:
    """One that has the whole budget shares it with new ones; together they keep to it."""
    paces = [Pace(budget) for _ in range(replicas)]
    paces[0].share(1.0, 0.0)
    left = leaving(paces[0], 0.0, 70.0)
    for pace in paces:
        pace.share(1 / replicas, 70.0)
        left += leaving(pace, 70.0, 70.0)
    assert busiest(sorted(left), 60.0) <= budget * 1.02


def test_a_share_that_grows_makes_up_for_nothing() -> None:
    """Nor does it wait for what its small share would have had it wait for."""
    pace = Pace(6)
    pace.share(0.125, 0.0)
    pace.take(10.0)
    pace.share(1.0, 11.0)

    assert pace.wait(11.0) == pytest.approx(10.0)


def test_without_partitions_nothing_leaves() -> None:
    """A replica that has none has no share of the budget."""
    pace = Pace(600)
    pace.share(0.0, 0.0)

    assert leaving(pace, 0.0, 30.0) == []


def test_throttling_halves_the_rate_that_was_and_it_comes_back_little_by_little() -> None:
    """Once for all requests of one burst; in half a minute nothing is held any more."""
    pace = Pace(0)
    for request in range(1000):
        pace.take(request / 100)
    pace.throttled(10.0, sent_at=9.9, retry_after=None)
    pace.throttled(10.1, sent_at=9.95, retry_after=None)

    assert pace.rate(10.1) == pytest.approx(43, rel=0.1)
    assert pace.rate(15.0) == pytest.approx(65, rel=0.1)
    assert pace.rate(41.0) == inf


def test_a_request_sent_after_the_decrease_decreases_again() -> None:
    """Each round trip that is throttled halves; the API is always asked now and then."""
    pace = Pace(600)
    pace.share(1.0, 0.0)
    now = 0.0
    for _ in range(20):
        now += 1.0
        pace.take(now)
        pace.throttled(now + 0.1, sent_at=now, retry_after=None)

    assert 0.2 <= pace.rate(now + 0.1) < 0.4


def test_the_whole_replica_is_silent_for_as_long_as_it_is_asked_to_be() -> None:
    """Retry-After holds every request; a shorter one does not shorten it, and nothing is won back."""
    pace = Pace(600)
    pace.share(1.0, 0.0)
    pace.take(0.0)
    pace.throttled(1.0, sent_at=0.0, retry_after=30.0)
    pace.throttled(2.0, sent_at=0.5, retry_after=3.0)

    assert pace.wait(2.0) == pytest.approx(29.0)
    assert pace.rate(31.0) < 1.0


def test_the_budget_stays_the_upper_bound_after_throttling() -> None:
    """What is won back is never more than the share."""
    pace = Pace(60)
    pace.share(0.5, 0.0)
    pace.take(0.0)
    pace.throttled(0.1, sent_at=0.0, retry_after=None)

    assert pace.rate(1000.0) == 0.5
