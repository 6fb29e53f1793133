"""What a reading proves of an enrolment where there is no timeline: counts that only grow."""

from decimal import Decimal

import pytest

from worker.domain.evidence import Applied, Evidence, Finding, NoEvidence, NotShown, compare, evidence_of
from worker.domain.promotions import ENROL_AND_ISSUE, Promotion, Restriction


def _showing(*restrictions: Restriction) -> Promotion:
    return Promotion(
        promotion_id=1,
        program_id=2,
        name="",
        offer_type=ENROL_AND_ISSUE,
        active=True,
        starts_at=None,
        ends_at=None,
        issual_restrictions=restrictions,
        timeline=None,
    )


def _count(kpi: str, usage: int | None, limit_on: str = "CUSTOMER", *, periodic: bool = False) -> Restriction:
    return Restriction(
        kpi=kpi,
        limit_on=limit_on,
        max_limit=Decimal(10),
        usage=None if usage is None else Decimal(usage),
        periodic=periodic,
    )


@pytest.mark.parametrize(
    ("restrictions", "issuals"),
    [
        ([_count("NUMBER_OF_ISSUALS", 3)], 3),
        ([_count("MAX_NUMBER_OF_ISSUALS_PER_CUSTOMER", 3)], 3),
        ([_count("NUMBER_OF_TIMES", 3)], 3),
        ([_count("NUMBER_OF_TIMES", 9), _count("NUMBER_OF_ISSUALS", 3)], 3),
        ([_count("NUMBER_OF_POINTS", 3)], None),
        ([_count("MAX_POINTS_PER_ISSUAL_PER_CUSTOMER", 3)], None),
        ([_count("NUMBER_OF_ISSUALS", 3, "PROMOTION")], None),
        ([_count("NUMBER_OF_ISSUALS", 3, "EVENT")], None),
        ([_count("NUMBER_OF_ISSUALS", None)], None),
        ([_count("NUMBER_OF_ISSUALS", 3, periodic=True)], None),
        ([], None),
    ],
)
def test_counts_of_enrolments(restrictions: list[Restriction], issuals: int | None) -> None:
    """Only the customer's own count of issuals, in any of its spellings, tells an enrolment."""
    assert evidence_of(_showing(*restrictions)) == Evidence(None, issuals)


@pytest.mark.parametrize(
    ("noted", "later", "finding"),
    [
        (3, [_count("NUMBER_OF_TIMES", 4)], Applied(None)),
        (3, [_count("NUMBER_OF_TIMES", 3)], NotShown()),
        (3, [_count("NUMBER_OF_TIMES", 4, periodic=True)], NoEvidence()),
        (None, [_count("NUMBER_OF_TIMES", 4)], NoEvidence()),
    ],
)
def test_counts_compared(noted: int | None, later: list[Restriction], finding: Finding) -> None:
    """A risen count is an enrolment, the same one is none; without both nothing is known."""
    assert compare(Evidence(None, noted), _showing(*later)) == finding
