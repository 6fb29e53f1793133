"""Known customers in the laboratories: settings of the workers, and what follows from them."""

from datetime import UTC, datetime, timedelta

from tests.crash.owed import Promise
from tests.crash.trust import known_customers, promise_of


def test_what_is_not_trusted_is_not_set() -> None:
    """An earlier version does not know the settings; every event has to be looked up."""
    assert known_customers(0) == {}
    assert promise_of(0) is None


def test_what_workers_promise_is_what_they_are_told() -> None:
    """An audience may be found as late as a lookup is trusted, all else as late as the list is read."""
    at = datetime(2026, 1, 31, tzinfo=UTC)
    settings = {"LOOKUP_TRUST_SECONDS": "7.5", "CATALOGUE_REFRESH_SECONDS": "3"}
    assert known_customers(7.5) == settings
    late = timedelta(seconds=3)
    assert promise_of(7.5, [at]) == Promise(timedelta(seconds=7.5), late, late, [at])
