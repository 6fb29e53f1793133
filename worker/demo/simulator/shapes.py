"""The JSON of the lookups and of the issue, field by field as the reference pages' samples have it.

Numbers that the samples quote are quoted here; `customerPromotionTimelines` and `promotionMetadata` are
absent where they are absent there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from worker.demo.simulator.model import OfferType, RedemptionLimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from worker.demo.simulator.model import Enrolment, Promotion

Json: TypeAlias = dict[str, object]

NOT_ISSUED_CODE: Final = 8890
NOT_ISSUED_MESSAGE: Final = "promotion not issued due to config issues or customer exhausted limits"

_ALL_USAGE: Final = tuple(
    RedemptionLimit(kpi=kpi, max_limit=-1)
    for kpi in ("NUMBER_OF_TIMES", "NUMBER_OF_POINTS", "NUMBER_OF_REDEMPTIONS_PER_EARN")
)


class Naming(StrEnum):
    """Which names a v2.1 answer uses when that page's table and its samples disagree."""

    SAMPLES = "samples"
    """`orgId`, and the `kpi` names of v2: `NUMBER_OF_ISSUALS`, `NUMBER_OF_EARNS`."""
    TABLE = "table"
    """`orgID`, `MAX_NUMBER_OF_ISSUALS_PER_CUSTOMER`, `MAX_NUMBER_OF_EARNS_PER_CUSTOMER`."""


def lookup_answer(customer_id: int, promotions: list[Json], *, total: int, limit: int, offset: int) -> Json:
    """Build the body of both lookups from one page of promotions; `offset` is a start index."""
    return {
        "pageDetails": page_details(offset // limit if limit else 0, limit, total),
        "customerId": customer_id,
        "promotions": promotions,
        "warnings": [],
    }


def page_details(number: int, size: int, total: int) -> Json:
    """Build `pageDetails`, the same in the lookups and in the list."""
    pages = -(-total // size) if size else 0
    return {"pageNumber": number, "pageSize": size, "totalEntries": total, "pageCount": pages}


def promotion_v2(
    promotion: Promotion,
    enrolments: Sequence[Enrolment],
    *,
    promotion_count: int,
    all_usage: bool = False,
) -> Json:
    """Build one promotion of the v2 lookup from the customer's enrolments and everybody's count of them."""
    shown = _promotion(promotion, enrolments, promotion_count, Naming.SAMPLES, all_usage=all_usage)
    if promotion.timelines and promotion.offer_type is not OfferType.GENERIC:
        shown["customerPromotionTimelines"] = [_timeline(enrolment) for enrolment in enrolments]
    return shown


def promotion_v21(
    promotion: Promotion,
    enrolments: Sequence[Enrolment],
    *,
    promotion_count: int,
    org_id: int,
    naming: Naming = Naming.SAMPLES,
) -> Json:
    """Build one promotion of the v2.1 lookup: with its organisation, and without timelines."""
    shown = _promotion(promotion, enrolments, promotion_count, naming)
    shown["orgId" if naming is Naming.SAMPLES else "orgID"] = org_id
    return shown


def issued_answer(promotion: Promotion, issual_id: int) -> Json:
    """Build the body of a successful issue."""
    effect = {
        "programId": promotion.program_id,
        "issualId": issual_id,
        "promotionId": promotion.promotion_id,
        "type": "Points promotion",
    }
    return {"warnings": [], "errors": [], "sideEffects": [effect]}


def not_issued_answer() -> Json:
    """Build the body that says configuration fault or exhausted limits, without saying which."""
    warning = warning_entry(NOT_ISSUED_CODE, NOT_ISSUED_MESSAGE)
    return {"warnings": [warning], "errors": [], "sideEffects": []}


def warning_entry(code: int, message: str) -> Json:
    """Build one of `warnings`."""
    return {"status": False, "code": code, "message": message}


def error_answer(code: int, message: str, *, issue: bool = False) -> Json:
    """Build an error body; that of the issue carries `warnings` as well."""
    errors = [{"status": False, "code": code, "message": message}]
    return {"warnings": [], "errors": errors} if issue else {"errors": errors}


def identifier_of(promotion: Promotion) -> str:
    """Return the promotion's universally unique identifier, made from its id if none is given."""
    return promotion.identifier or str(uuid5(NAMESPACE_URL, f"promotion/{promotion.promotion_id}"))


def _promotion(
    promotion: Promotion,
    enrolments: Sequence[Enrolment],
    promotion_count: int,
    naming: Naming,
    *,
    all_usage: bool = False,
) -> Json:
    redemptions = promotion.redemptions + (_missing(promotion.redemptions) if all_usage else ())
    shown: Json = {
        "promotionId": promotion.promotion_id,
        "promotionName": promotion.name,
        "programId": promotion.program_id,
        "startDate": _millis(promotion.starts),
        "endDate": _millis(promotion.ends),
        "identifier": identifier_of(promotion),
        "description": promotion.description,
        "active": promotion.active,
        "eventName": promotion.event_name,
        "limits": _limits(redemptions),
        "customerUsage": {
            "currentPointsPerCustomer": promotion.points_used,
            "currentNumberOfTimesPerCustomer": promotion.times_used,
            "currentTotalPointsInPromotion": "0",
        },
        "pointsOfferType": promotion.offer_type.value,
        "promotionRestriction": {
            "issualRestrictions": _issual_restrictions(promotion, len(enrolments), promotion_count, naming),
            "earnRestrictions": _earn_restrictions(promotion, enrolments, naming),
            "redemptionRestrictions": [_redemption(promotion, limit) for limit in redemptions],
        },
    }
    if promotion.metadata:
        shown["promotionMetadata"] = [
            {"key": key, "value": value, "brandDefined": True} for key, value in promotion.metadata
        ]
    return shown


def _issual_restrictions(promotion: Promotion, own: int, everybodys: int, naming: Naming) -> list[Json]:
    restrictions: list[Json] = []
    if promotion.limit_per_event is not None:
        kpi = "NUMBER_OF_POINTS" if naming is Naming.SAMPLES else "MAX_POINTS_PER_ISSUAL_PER_CUSTOMER"
        restrictions.append({"kpi": kpi, "maxLimit": str(promotion.limit_per_event), "limitOn": "EVENT"})
    if promotion.limit_per_customer is not None:
        restrictions.append(_issuals(promotion.limit_per_customer, own, "CUSTOMER", naming))
    if promotion.limit_per_promotion is not None:
        restrictions.append(_issuals(promotion.limit_per_promotion, everybodys, "PROMOTION", naming))
    return restrictions


def _issuals(limit: int, usage: int, limit_on: str, naming: Naming) -> Json:
    kpi = "NUMBER_OF_ISSUALS" if naming is Naming.SAMPLES else f"MAX_NUMBER_OF_ISSUALS_PER_{limit_on}"
    return {"kpi": kpi, "maxLimit": str(limit), "currentCustomerUsage": str(usage), "limitOn": limit_on}


def _earn_restrictions(promotion: Promotion, enrolments: Sequence[Enrolment], naming: Naming) -> list[Json]:
    if promotion.earn_limit is None:
        return []
    return [
        {
            "kpi": "NUMBER_OF_EARNS" if naming is Naming.SAMPLES else "MAX_NUMBER_OF_EARNS_PER_CUSTOMER",
            "maxLimit": str(promotion.earn_limit),
            "currentCustomerUsage": str(sum(len(enrolment.issued) for enrolment in enrolments)),
            "limitOn": "CUSTOMER",
        },
    ]


def _redemption(promotion: Promotion, limit: RedemptionLimit) -> Json:
    shown: Json = {"kpi": limit.kpi, "maxLimit": str(limit.max_limit)}
    if limit.limit_on == "CUSTOMER" and limit.period_unit is None and limit.kpi == "NUMBER_OF_POINTS":
        shown["currentCustomerUsage"] = promotion.points_used
    elif limit.limit_on == "CUSTOMER" and limit.period_unit is None and limit.kpi == "NUMBER_OF_TIMES":
        shown["currentCustomerUsage"] = str(promotion.times_used)
    elif limit.limit_on != "EVENT":
        shown["currentCustomerUsage"] = "0"
    shown["limitOn"] = limit.limit_on
    shown["type"] = "NON_PERIOD_BASED" if limit.period_unit is None else "PERIOD_BASED"
    if limit.period_unit is not None:
        shown |= {"periodType": "MOVING_WINDOW", "periodUnit": limit.period_unit}
    return shown


def _missing(redemptions: Iterable[RedemptionLimit]) -> tuple[RedemptionLimit, ...]:
    present = {(limit.kpi, limit.limit_on) for limit in redemptions}
    return tuple(limit for limit in _ALL_USAGE if (limit.kpi, limit.limit_on) not in present)


def _limits(redemptions: Iterable[RedemptionLimit]) -> Json:
    fixed = {
        (limit.kpi, limit.limit_on): limit.max_limit for limit in redemptions if limit.period_unit is None
    }
    return {
        "maxPointsPerEvent": str(fixed.get(("NUMBER_OF_POINTS", "EVENT"), 0)),
        "pointsPerCustomer": str(fixed.get(("NUMBER_OF_POINTS", "CUSTOMER"), 0)),
        "numberOFTimesPerCustomer": fixed.get(("NUMBER_OF_TIMES", "CUSTOMER"), 0),
        "totalPointsInPromotion": str(fixed.get(("NUMBER_OF_POINTS", "PROMOTION"), 0)),
    }


def _timeline(enrolment: Enrolment) -> Json:
    return {
        "enrollmentDate": _millis(enrolment.at),
        "enrollmentExpiryDate": _millis(enrolment.expires),
        "enrollmentId": enrolment.enrolment_id,
        "enrollEventLogId": enrolment.event_log_id,
        "issuedDetails": [
            {
                "issualId": issual.issual_id,
                "issualDate": _millis(issual.at),
                "issualExpiryDate": _millis(issual.expires),
                "issualEventLogId": issual.event_log_id,
                "redeemedCount": issual.redeemed_count,
            }
            for issual in enrolment.issued
        ],
    }


def _millis(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
