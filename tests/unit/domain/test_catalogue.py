"""What the promotion list rules out, and what it leaves open."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.domain.catalogue import ListedPromotion, may_be_open, may_enrol_into
from worker.domain.plan import Policy
from worker.domain.times import Span

NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _listed(**changes: Any) -> ListedPromotion:  # noqa: ANN401 - any field of it
    fields: dict[str, Any] = {
        "promotion_id": 7,
        "program_id": 3,
        "name": "Seven",
        "status": "LIVE",
        "offer_type": "LOYALTY_EARNING",
        "starts_at": None,
        "ends_at": None,
        "capped": None,
    }
    return ListedPromotion(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "policy", "possible"),
    [
        ({}, Policy(), True),
        ({"offer_type": "GENERIC"}, Policy(), False),
        ({"offer_type": "LOYALTY"}, Policy(), False),
        ({"offer_type": ""}, Policy(), True),
        *(({"status": status}, Policy(), False) for status in ("COMPLETED", "UPCOMING", "INACTIVE")),
        ({"status": ""}, Policy(), True),
        ({"status": "PAUSED_OR_NEW"}, Policy(), True),
        ({}, Policy(program_ids=frozenset({3})), True),
        ({}, Policy(program_ids=frozenset({4})), False),
        ({"program_id": None}, Policy(program_ids=frozenset({4})), True),
        ({}, Policy(promotion_ids=frozenset({7, 8})), True),
        ({}, Policy(promotion_ids=frozenset({8})), False),
        ({}, Policy(excluded_promotion_ids=frozenset({7})), False),
    ],
)
def test_what_may_be_enrolled_into(changes: dict[str, object], policy: Policy, possible: bool) -> None:  # noqa: FBT001 - a table
    """Type, status and filters rule out where they are clear; what is not told stays possible."""
    assert may_enrol_into(_listed(**changes), policy) is possible


@pytest.mark.parametrize(
    ("starts", "ends", "is_open"),
    [
        (None, None, True),
        (-HOUR, HOUR, True),
        (13 * HOUR, None, True),
        (15 * HOUR, None, False),
        (None, -13 * HOUR, True),
        (None, -15 * HOUR, False),
    ],
)
def test_windows(starts: timedelta | None, ends: timedelta | None, is_open: bool) -> None:  # noqa: FBT001 - a table
    """A window is over only where it is over in every time zone: the list may write local times."""
    promotion = _listed(
        starts_at=None if starts is None else NOW + starts, ends_at=None if ends is None else NOW + ends
    )
    assert may_be_open(promotion, Span.at(NOW)) is is_open
