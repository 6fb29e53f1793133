"""A short run of the crash laboratory; `python -m tests.crash` does long ones."""

import pytest

from tests.crash.__main__ import lines
from tests.crash.books import reconcile
from tests.crash.choices import Options
from tests.crash.laboratory import laboratory

_OPTIONS = Options(
    events=600,
    customers=120,
    kills=3,
    broker_restarts=1,
    freezes=0,
    guests=0,
    # The end has one of each, whatever is given here.
    redrives=0,
    replays=0,
    promotions=6,
    partitions=4,
    session_seconds=4.0,
    # A kill for every 200 events, and as many in work at each as in a long run, which has one for 600.
    most_repeated=0.30,
    seed=3,
)


@pytest.mark.timeout(150)
@pytest.mark.usefixtures("kafka")  # skips where there can be no broker; this test has one of its own
def test_the_books_agree_after_a_short_run() -> None:
    """Three kills, a broker restart, lost answers: nothing lost, nobody enrolled twice, order kept."""
    with laboratory(_OPTIONS, print) as made:
        verdict = reconcile(made.run())
    chronicle = made.chronicle
    print("\n".join(lines(_OPTIONS, made, verdict)))  # noqa: T201 - the figures that this test is for
    assert verdict.findings == ()
    assert (len(chronicle.in_flight_at_kill) + chronicle.named_kills, chronicle.broker_restarts) == (3, 1)
    assert verdict.applied > _OPTIONS.customers
    assert verdict.reconciled > 0
