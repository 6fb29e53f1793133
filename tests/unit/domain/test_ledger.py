"""How long what the ledger notes is trusted."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.domain.identity import Reenrol
from worker.domain.ledger import Ask, CoolingDown, Limit, Standing, advise
from worker.domain.limits import LimitReason

NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("ago", "advice"),
    [
        (timedelta(), CoolingDown),
        (HOUR - timedelta(microseconds=1), CoolingDown),
        (HOUR, Ask),
        (-timedelta(seconds=1), Ask),
        (-48 * HOUR, Ask),
        (NOW - datetime.max.replace(tzinfo=UTC), Ask),
    ],
)
def test_an_8890_is_trusted_for_the_cool_down_and_no_longer(ago: timedelta, advice: type) -> None:
    """One that a wrong clock noted ahead of now is asked for again: nobody knows how old it is."""
    limit = Limit(NOW - ago, LimitReason.CUSTOMER_LIMIT)
    said = advise(
        Standing(limit=limit),
        event_id="e",
        key="k",
        after=None,
        reenrol=Reenrol.ONCE,
        cool_down=HOUR,
        now=NOW,
    )
    assert type(said) is advice
