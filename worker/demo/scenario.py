"""The organisation that the demo's API plays: its promotions, and what goes wrong there."""

from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import TypeAdapter

from worker.demo.simulator import Endpoint, FaultRule, Listing, OfferType, Promotion
from worker.demo.simulator.payloads import ManyCustomers, WorldBody

ORG_ID: Final = 100
OTHER_ORG_ID: Final = 900
LATENCY: Final = "30ms..120ms"

_WITHDRAWN: Final = 65009
_FAULTS: Final = (
    # Refused for good: ends as REJECTED.
    FaultRule(
        name="api_error", endpoint=Endpoint.ISSUE, promotion_ids=frozenset({_WITHDRAWN}), code=8874, rate=1
    ),
    # The answer is lost after the enrolment: found out by reading, and told as reconciled.
    FaultRule(name="reset_after_apply", endpoint=Endpoint.ISSUE, rate=0.05, count=5),
    # Passing: asked again in place, seen in the retries only.
    FaultRule(name="error_503", endpoint=Endpoint.LOOKUP, rate=0.02),
)


def world_json(customers: int) -> bytes:
    """Return the body for the control port's `PUT /world`: customers 1 to `customers` and the promotions."""
    world = WorldBody(customers=ManyCustomers(count=customers), promotions=_promotions(customers))
    return world.model_dump_json(by_alias=True).encode()


def faults_json() -> bytes:
    """Return the body for `PUT /faults`."""
    return TypeAdapter(tuple[FaultRule, ...]).dump_json(_FAULTS, by_alias=True)


def _promotions(customers: int) -> tuple[Promotion, ...]:
    """One for each way in which an event can end; ids that are multiples of `one_in` have it."""
    return (
        # Listed on: the second event of a customer finds the enrolment.
        Promotion(promotion_id=65001, name="Weekend bonus", one_in=2),
        # Gone once enrolled: customers with odd ids find nothing any more.
        Promotion(
            promotion_id=65002,
            name="Welcome challenge",
            program_id=470,
            listing=Listing.UNTIL_ENROLLED,
            limit_per_customer=1,
            enrolment_lasts=timedelta(days=5),
        ),
        # Enough for half of those who want it.
        Promotion(
            promotion_id=65003,
            name="Autumn draw",
            listing=Listing.ALWAYS,
            limit_per_customer=3,
            limit_per_promotion=max(1, customers // 8),
            one_in=4,
        ),
        # Without timelines: only the usage tells that the customer had it.
        Promotion(
            promotion_id=65004,
            name="Birthday treat",
            listing=Listing.ALWAYS,
            timelines=False,
            limit_per_customer=1,
            one_in=9,
        ),
        # 8890 whenever it is asked for.
        Promotion(
            promotion_id=65005,
            name="Misconfigured offer",
            configuration_fault=True,
            listing=Listing.ALWAYS,
            limit_per_customer=-1,
            one_in=15,
        ),
        Promotion(promotion_id=_WITHDRAWN, name="Withdrawn offer", listing=Listing.ALWAYS, one_in=40),
        # Never to be enrolled into: wrong types, and one that is over.
        Promotion(promotion_id=65006, name="Direct issue", offer_type=OfferType.LOYALTY),
        Promotion(promotion_id=65007, name="2X points", offer_type=OfferType.GENERIC),
        Promotion(promotion_id=65008, name="Last year's", ends=datetime(2024, 12, 31, tzinfo=UTC)),
    )
