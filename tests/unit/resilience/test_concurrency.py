"""How many requests may be under way at once."""

from worker.resilience.concurrency import ConcurrencyLimit


def test_it_begins_at_the_maximum_and_never_passes_it() -> None:
    """Quick answers leave it there."""
    limit = ConcurrencyLimit(64, slow_seconds=5.0)

    for second in range(1000):
        limit.answered(second + 0.1, second, 64)
    assert limit.limit == 64


def test_slow_answers_shrink_it_once_a_round_trip_and_quick_ones_win_it_back() -> None:
    """All answers of one burst are one finding; the next burst is the next."""
    limit = ConcurrencyLimit(64, slow_seconds=5.0)
    for _ in range(64):
        limit.answered(8.0, 0.0, 64)
    assert limit.limit == 48
    for _ in range(48):
        limit.answered(14.0, 8.0, 48)
    assert limit.limit == 36

    for _ in range(38):
        limit.answered(14.1, 14.0, 36)
    assert limit.limit == 37
    for _ in range(5000):
        limit.answered(15.0, 14.5, 64)
    assert limit.limit == 64


def test_one_request_may_always_be_under_way() -> None:
    """A limit of none would never learn that the API is quick again."""
    limit = ConcurrencyLimit(8, slow_seconds=1.0)

    for burst in range(100):
        limit.answered(2.0 * burst + 2, 2.0 * burst, 8, timed_out=True)
    assert limit.limit == 1


def test_an_api_that_takes_its_time_whatever_it_is_asked_is_not_asked_less_and_less() -> None:
    """Where asking less does not make answers quicker it is of no use."""
    limit = ConcurrencyLimit(256, slow_seconds=5.0)

    for burst in range(300):
        for _ in range(limit.limit):
            limit.answered(6.0 * burst + 6, 6.0 * burst, limit.limit)
    assert limit.limit > 128


def test_an_idle_worker_learns_nothing() -> None:
    """Quick answers to a few requests do not say that many would be quick."""
    limit = ConcurrencyLimit(64, slow_seconds=1.0)
    for burst in range(4):
        limit.answered(2.0 * burst + 2, 2.0 * burst, 64, timed_out=True)
    shrunk = limit.limit

    for second in range(1000):
        limit.answered(second + 10.1, second + 10.0, 1)
    assert limit.limit == shrunk


def test_after_an_outage_it_grows_by_a_quarter_each_round_trip() -> None:
    """Gently, and still all the way."""
    limit = ConcurrencyLimit(256, slow_seconds=5.0)
    limit.begin_again()

    limits = []
    for trip in range(20):
        limits.append(limit.limit)
        for _ in range(limit.limit):
            limit.answered(trip + 0.1, trip, limits[-1])
    assert limits[:4] == [8, 10, 12, 15]
    assert limits[-1] == 256
