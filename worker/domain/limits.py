"""Which limit stands behind an enrolment that is not possible."""

from enum import StrEnum

from worker.domain.promotions import Promotion, Restriction


class LimitReason(StrEnum):
    """Which limit stands behind a promotion that cannot be issued any more."""

    CUSTOMER_LIMIT = "CUSTOMER_LIMIT"
    PROMOTION_LIMIT = "PROMOTION_LIMIT"
    CONFIGURATION_OR_LIMIT = "CONFIGURATION_OR_LIMIT"


_LIMIT_REASONS = {"CUSTOMER": LimitReason.CUSTOMER_LIMIT, "PROMOTION": LimitReason.PROMOTION_LIMIT}


def exhausted_limit(promotion: Promotion | None) -> tuple[LimitReason, Restriction | None]:
    """Tell which limit stopped an enrolment, by what a reading of the promotion shows.

    The first issual restriction of the customer or the promotion that is used up names it. Without one,
    or without the promotion, the API's own words hold (page "Enrol a Customer"): configuration or limit.
    """
    for restriction in promotion.issual_restrictions if promotion else ():
        reason = _LIMIT_REASONS.get(restriction.limit_on.upper())
        if reason is not None and restriction.used_up:
            return reason, restriction
    return LimitReason.CONFIGURATION_OR_LIMIT, None
