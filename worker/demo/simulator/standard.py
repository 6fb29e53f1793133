"""The promotions that a simulator has when nobody gives it others: one of every kind a worker meets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from worker.demo.simulator.model import Listing, OfferType, Promotion, RedemptionLimit


def standard_promotions() -> tuple[Promotion, ...]:
    """Return them; every customer can be enrolled into 65001 and 65002, one in five into 65003."""
    return (
        Promotion(
            promotion_id=65001,
            name="Weekend bonus ",
            description='Buy "two",\nearn more',
            limit_per_customer=10,
            earn_limit=7,
            metadata=(("preferred language", "en"),),
        ),
        Promotion(
            promotion_id=65002,
            name="Welcome challenge",
            program_id=470,
            event_name="TargetCompleted",
            listing=Listing.UNTIL_ENROLLED,
            limit_per_customer=1,
            enrolment_lasts=timedelta(days=5),
        ),
        Promotion(
            promotion_id=65003,
            name="Autumn draw",
            listing=Listing.ALWAYS,
            limit_per_customer=3,
            limit_per_promotion=50,
            limit_per_event=150,
            one_in=5,
        ),
        Promotion(
            promotion_id=65004,
            name="Misconfigured offer",
            configuration_fault=True,
            listing=Listing.ALWAYS,
            limit_per_customer=-1,
            one_in=50,
        ),
        Promotion(
            promotion_id=65005,
            name="Partner stamps",
            timelines=False,
            limit_per_customer=5,
            one_in=7,
        ),
        Promotion(
            promotion_id=65006,
            name="Direct issue",
            offer_type=OfferType.LOYALTY,
            limit_per_customer=100,
        ),
        Promotion(
            promotion_id=65007,
            name="2X Points",
            offer_type=OfferType.GENERIC,
            limit_per_customer=None,
            points_used="4990.000",
            times_used=4,
            redemptions=(
                RedemptionLimit(kpi="NUMBER_OF_TIMES", max_limit=-1),
                RedemptionLimit(kpi="NUMBER_OF_POINTS", max_limit=-1),
            ),
        ),
        Promotion(
            promotion_id=65008,
            name="Last year's enrolment",
            starts=datetime(2023, 1, 1, tzinfo=UTC),
            ends=datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC),
        ),
    )
