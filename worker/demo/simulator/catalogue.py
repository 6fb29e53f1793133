"""The JSON of the organisation's promotion list, as that page's sample has it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from worker.demo.simulator.shapes import Json, identifier_of, page_details

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.demo.simulator.model import Promotion, RedemptionLimit

_LAST_UPDATED_BY: Final = 606_249
_REDEMPTION_NAMES: Final = {
    ("NUMBER_OF_POINTS", "EVENT"): "MAX_ALLOWED_POINTS_PER_EVENT",
    ("NUMBER_OF_TIMES", "CUSTOMER"): "MAX_ALLOWED_TIMES_PER_CUSTOMER",
    ("NUMBER_OF_POINTS", "CUSTOMER"): "MAX_ALLOWED_POINTS_PER_CUSTOMER",
    ("NUMBER_OF_TIMES", "PROMOTION"): "MAX_ALLOWED_TIMES_PER_PROMOTION",
    ("NUMBER_OF_POINTS", "PROMOTION"): "MAX_ALLOWED_POINTS_PER_PROMOTION",
    ("NUMBER_OF_REDEMPTIONS_PER_EARN", "CUSTOMER"): "MAX_REDEMPTIONS_PER_EARN_PER_CUSTOMER",
}


class Status(StrEnum):
    """`promotionStatus` of the list."""

    COMPLETED = "COMPLETED"
    LIVE = "LIVE"
    UPCOMING = "UPCOMING"
    INACTIVE = "INACTIVE"


def status_of(promotion: Promotion, now: datetime) -> Status:
    """Classify a promotion; an inactive one is INACTIVE whatever its dates."""
    if not promotion.active:
        return Status.INACTIVE
    if now > promotion.ends:
        return Status.COMPLETED
    return Status.UPCOMING if now < promotion.starts else Status.LIVE


def list_answer(
    promotions: Sequence[Promotion],
    now: datetime,
    *,
    total: int,
    page: int,
    size: int,
) -> Json:
    """Build the list's body from the promotions of one page."""
    return {
        "status": {"code": 200, "message": "success"},
        "validationErrors": None,
        "data": [_entry(promotion, now) for promotion in promotions],
        "pageDetails": page_details(page, size, total),
    }


def _entry(promotion: Promotion, now: datetime) -> Json:
    event = promotion.event_name.upper()
    return {
        "id": promotion.promotion_id,
        "name": promotion.name,
        "description": promotion.description,
        "promotionStatus": status_of(promotion, now).value,
        "lastUpdateDate": f"{promotion.starts:%Y-%m-%dT%H:%M:%SZ}",
        "lastUpdatedBy": _LAST_UPDATED_BY,
        "programName": "Default Program",
        "promotionType": "BILL" if event == "TRANSACTIONADD" else "CUSTOMER",
        "programId": promotion.program_id,
        "startDate": _short(promotion.starts),
        "endDate": _short(promotion.ends),
        "identifier": identifier_of(promotion),
        "isActive": promotion.active,
        "eventName": event,
        "pointsOfferType": promotion.offer_type.value,
        "promotionRestrictions": {
            "restrictions": _restrictions(promotion),
            "scope": None,
            "isStackable": False,
            "isConsideredForRanking": False,
            "loyaltyEarningType": None,
            "expiryReminder": None,
            "isExclusive": False,
            "isAlwaysApply": False,
            "cappingStatus": None,
        },
    }


def _restrictions(promotion: Promotion) -> Json:
    issuals = {
        "MAX_NUMBER_OF_ISSUALS_PER_CUSTOMER": promotion.limit_per_customer,
        "MAX_NUMBER_OF_ISSUALS_PER_PROMOTION": promotion.limit_per_promotion,
    }
    earns = {"MAX_NUMBER_OF_EARNS_PER_CUSTOMER": promotion.earn_limit}
    lasts = promotion.enrolment_lasts
    expiry: Json = {"name": "ISSUAL_PROMOTION_EXPIRY_BASED_ON"}
    expiry |= {"type": "PROMOTION"} if lasts is None else {"type": "CUSTOM", "value": max(lasts.days, 1)}
    return {
        "redemptionRestrictions": [_redemption(limit) for limit in promotion.redemptions],
        "issualRestrictions": _named(issuals),
        "earnRestrictions": _named(earns),
        "expiryRestrictions": [expiry],
    }


def _named(limits: dict[str, int | None]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in limits.items() if value is not None]


def _redemption(limit: RedemptionLimit) -> Json:
    periodic = limit.period_unit is not None
    return {
        "name": _REDEMPTION_NAMES.get((limit.kpi, limit.limit_on), limit.kpi),
        "value": limit.max_limit,
        "type": "PERIOD_BASED" if periodic else "NON_PERIOD_BASED",
        "periodType": "MOVING_WINDOW" if periodic else None,
        "periodUnit": limit.period_unit,
    }


def _short(moment: datetime) -> str:
    """Leave out seconds that are zero, as the list does (`2024-04-04T00:00Z`)."""
    return f"{moment:%Y-%m-%dT%H:%MZ}" if moment.second == 0 else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
