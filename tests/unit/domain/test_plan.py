"""Which promotions an event leads to an enrolment into."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.use_case.values import CUSTOMER, NOW, PROGRAM, promotion
from worker.domain.identity import Reenrol
from worker.domain.limits import LimitReason, exhausted_limit
from worker.domain.plan import Already, Enrol, Foreign, Policy, Step, UsedUp, plan
from worker.domain.promotions import CustomerPromotions, Promotion, Restriction, TimelineEntry
from worker.domain.times import Span

LATER = NOW + timedelta(seconds=1)
EARLIER = NOW - timedelta(seconds=1)
PAST = TimelineEntry(11, EARLIER, EARLIER)
STANDING = TimelineEntry(12, EARLIER, LATER)
ENDLESS = TimelineEntry(13, EARLIER, None)


def planned(*promotions: Promotion, policy: Policy | None = None) -> tuple[Step, ...]:
    """Plan for our customer now."""
    return plan(
        CustomerPromotions(CUSTOMER, promotions),
        policy or Policy(),
        event_id="evt-1",
        learnt_org=1800,
        now=Span.at(NOW),
    )


def restriction(limit_on: str, max_limit: str | None, usage: str | None) -> Restriction:
    """Return a restriction with these figures."""
    return Restriction(
        kpi="NUMBER_OF_ISSUALS",
        limit_on=limit_on,
        max_limit=None if max_limit is None else Decimal(max_limit),
        usage=None if usage is None else Decimal(usage),
    )


CUSTOMER_FULL = restriction("CUSTOMER", "10", "10")
PROMOTION_FULL = restriction("PROMOTION", "5.000", "7")
OPEN = restriction("CUSTOMER", "10", "9")


@pytest.mark.parametrize(
    ("changes", "policy", "steps"),
    [
        ({}, Policy(), 1),
        ({"offer_type": "GENERIC"}, Policy(), 0),
        ({"offer_type": "LOYALTY"}, Policy(), 0),
        ({"active": False}, Policy(), 0),
        ({"starts_at": NOW}, Policy(), 1),
        ({"starts_at": LATER}, Policy(), 0),
        ({"ends_at": NOW}, Policy(), 1),
        ({"ends_at": EARLIER}, Policy(), 0),
        ({}, Policy(program_ids=frozenset({PROGRAM})), 1),
        ({}, Policy(program_ids=frozenset({1})), 0),
        ({}, Policy(promotion_ids=frozenset({57099})), 1),
        ({}, Policy(promotion_ids=frozenset({1})), 0),
        ({}, Policy(excluded_promotion_ids=frozenset({1})), 1),
        ({}, Policy(excluded_promotion_ids=frozenset({57099})), 0),
        ({}, Policy(promotion_ids=frozenset({57099}), excluded_promotion_ids=frozenset({57099})), 0),
    ],
    ids=[
        "open",
        "without-issue",
        "direct-issue",
        "inactive",
        "starts-now",
        "starts-later",
        "ends-now",
        "ended",
        "program-listed",
        "program-not-listed",
        "listed",
        "not-listed",
        "not-excluded",
        "excluded",
        "listed-and-excluded",
    ],
)
def test_only_open_promotions_that_the_operator_allows_are_acted_on(
    changes: dict[str, Any], policy: Policy, steps: int
) -> None:
    """Type, state, window and filters decide; what is not ours to act on leads to no step at all."""
    assert [type(step) for step in planned(promotion(**changes), policy=policy)] == [Enrol] * steps


def test_steps_keep_the_lookups_order() -> None:
    """Promotions are acted on in the order in which the API lists them, whatever is decided for each."""
    steps = planned(
        promotion(9),
        promotion(1, timeline=[STANDING]),
        promotion(5, active=False),
        promotion(3, restrictions=[CUSTOMER_FULL]),
        promotion(2),
    )

    assert [(type(s), s.promotion.promotion_id) for s in steps] == [
        (Enrol, 9),
        (Already, 1),
        (UsedUp, 3),
        (Enrol, 2),
    ]


@pytest.mark.parametrize(
    ("reenrol", "timeline", "standing"),
    [
        (Reenrol.ONCE, (), None),
        (Reenrol.ONCE, None, None),
        (Reenrol.ONCE, (PAST,), 11),
        (Reenrol.ONCE, (PAST, STANDING), 12),
        (Reenrol.AFTER_EXPIRY, (), None),
        (Reenrol.AFTER_EXPIRY, (PAST,), None),
        (Reenrol.AFTER_EXPIRY, (STANDING, PAST), 12),
        (Reenrol.AFTER_EXPIRY, (PAST, ENDLESS), 13),
        (Reenrol.AFTER_EXPIRY, (TimelineEntry(14, None, NOW),), None),
        (Reenrol.EVERY_EVENT, (STANDING, ENDLESS), None),
    ],
)
def test_an_enrolment_is_repeated_only_as_the_policy_says(
    reenrol: Reenrol, timeline: tuple[TimelineEntry, ...] | None, standing: int | None
) -> None:
    """Once: any enrolment stands. After expiry: an unexpired one does. Every event: none does."""
    (step,) = planned(promotion(timeline=timeline), policy=Policy(reenrol=reenrol))

    if standing is None:
        assert isinstance(step, Enrol)
    else:
        assert isinstance(step, Already)
        assert step.enrolment.enrolment_id == standing


@pytest.mark.parametrize(
    ("reenrol", "timeline", "key"),
    [
        (Reenrol.ONCE, (), "390b4227-10e0-5e47-b192-813057d0df4d"),
        (Reenrol.AFTER_EXPIRY, (PAST, PAST), "ada12a50-540c-5284-b77e-847b44a875e7"),
        (Reenrol.EVERY_EVENT, (PAST,), "12ffadbd-57f4-5545-b4e1-9f563df7dba5"),
    ],
)
def test_the_key_is_frozen_in_the_step(
    reenrol: Reenrol, timeline: tuple[TimelineEntry, ...], key: str
) -> None:
    """The key holds the lookup's customer id, the promotion, and what the policy adds (literal vectors)."""
    (step,) = planned(promotion(timeline=timeline), policy=Policy(reenrol=reenrol))

    assert isinstance(step, Enrol)
    assert step.key == key


@pytest.mark.parametrize(
    ("promotion_org", "policy_org", "kind", "org"),
    [
        (None, None, Enrol, 1800),
        (None, 7, Enrol, 7),
        (7, 7, Enrol, 7),
        (8, 7, Foreign, 8),
        (8, None, Enrol, 8),
    ],
)
def test_promotions_of_other_organisations_are_left_alone(
    promotion_org: int | None, policy_org: int | None, kind: type[Step], org: int
) -> None:
    """With v2.1 a promotion names its organisation: one that the credentials are not for is foreign."""
    (step,) = planned(promotion(org_id=promotion_org), policy=Policy(org_id=policy_org))

    assert (type(step), step.org_id) == (kind, org)


def test_a_foreign_promotion_is_foreign_whatever_its_state() -> None:
    """Neither timeline nor restrictions of another organisation's promotion are ours to tell."""
    (step,) = planned(
        promotion(org_id=8, timeline=[STANDING], restrictions=[CUSTOMER_FULL]), policy=Policy(org_id=7)
    )

    assert isinstance(step, Foreign)


@pytest.mark.parametrize(
    ("restrictions", "reason", "named"),
    [
        ((), LimitReason.CONFIGURATION_OR_LIMIT, None),
        ((OPEN,), LimitReason.CONFIGURATION_OR_LIMIT, None),
        ((CUSTOMER_FULL,), LimitReason.CUSTOMER_LIMIT, 0),
        ((PROMOTION_FULL,), LimitReason.PROMOTION_LIMIT, 0),
        ((OPEN, PROMOTION_FULL, CUSTOMER_FULL), LimitReason.PROMOTION_LIMIT, 1),
        ((restriction("customer", "1", "1"),), LimitReason.CUSTOMER_LIMIT, 0),
        ((restriction("CUSTOMER", "0", "0"),), LimitReason.CONFIGURATION_OR_LIMIT, None),
        ((restriction("CUSTOMER", "-1", "3"),), LimitReason.CONFIGURATION_OR_LIMIT, None),
        ((restriction("CUSTOMER", None, "3"),), LimitReason.CONFIGURATION_OR_LIMIT, None),
        ((restriction("CUSTOMER", "3", None),), LimitReason.CONFIGURATION_OR_LIMIT, None),
        ((restriction("EVENT", "1", None), CUSTOMER_FULL), LimitReason.CUSTOMER_LIMIT, 1),
        ((restriction("", "1", "1"),), LimitReason.CONFIGURATION_OR_LIMIT, None),
    ],
)
def test_the_first_used_up_restriction_names_the_limit(
    restrictions: tuple[Restriction, ...], reason: LimitReason, named: int | None
) -> None:
    """Figures decide: a limit above 0 whose usage has reached it; -1, 0 and absent figures limit nothing."""
    expected = (reason, None if named is None else restrictions[named])

    assert exhausted_limit(promotion(restrictions=restrictions)) == expected


def test_a_promotion_that_is_not_shown_names_no_limit() -> None:
    """A reading without the promotion leaves the API's own words."""
    assert exhausted_limit(None) == (LimitReason.CONFIGURATION_OR_LIMIT, None)


def test_an_enrolment_is_told_before_a_used_up_limit() -> None:
    """A customer who is enrolled and has thereby used up the limit is already enrolled."""
    (step,) = planned(promotion(timeline=[STANDING], restrictions=[CUSTOMER_FULL]))

    assert isinstance(step, Already)
