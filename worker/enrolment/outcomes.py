"""How a settlement is told: from the domain's value to the outcome record."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final, assert_never

from topics.origin import Origin
from topics.outcome import SEVERITY, CodeAndMessage, Outcome, OutcomeName, RestrictionUsed
from worker.domain.answers import Notice
from worker.domain.identity import outcome_id
from worker.domain.promotions import Restriction
from worker.domain.settlement import (
    AlreadyEnrolled,
    Deferred,
    Enrolled,
    LimitExhausted,
    NothingAvailable,
    Rejected,
    Settlement,
    Subject,
    UnknownCustomer,
    Unresolved,
    WouldEnrol,
)

MOST_NOTICES: Final = 16
"""Warnings, or errors, that an outcome tells; its record must fit its topic whatever the API says."""


def tell(origin: Origin, settlement: Settlement, now: datetime) -> Outcome:
    """Return the outcome record of a settlement; its id hangs on event, promotion and outcome alone."""
    subject: Subject | None = None
    hop: int | None = None
    match settlement:
        case Enrolled():
            name, subject = OutcomeName.ENROLLED, settlement.subject
            more = _asked(settlement) | {
                "issual_id": settlement.issual_id,
                "enrollment_id": settlement.enrolment_id,
                "reconciled": settlement.reconciled or None,
                "warnings": _notices(settlement.warnings),
            }
        case AlreadyEnrolled():
            name, subject = OutcomeName.ALREADY_ENROLLED, settlement.subject
            more = {
                "enrollment_id": settlement.enrolment_id,
                "cached": settlement.cached or None,
                "api_request_id": settlement.request_id,
            }
        case LimitExhausted():
            name, subject = OutcomeName.LIMIT_EXHAUSTED, settlement.subject
            more = _asked(settlement) | {
                "reason": settlement.reason.value,
                "cached": settlement.cached or None,
                "restriction": _restriction(settlement.restriction),
                "warnings": _notices(settlement.warnings),
            }
        case NothingAvailable():
            name = OutcomeName.NO_PROMOTION_AVAILABLE
            reason = settlement.reason.value if settlement.reason else None
            more = {
                "reason": reason,
                "cached": settlement.cached or None,
                "api_request_id": settlement.request_id,
            }
        case UnknownCustomer():
            name, subject = OutcomeName.CUSTOMER_NOT_FOUND, settlement.subject
            more = _asked(settlement) | {
                "cached": settlement.cached or None,
                "errors": _notices(settlement.errors),
            }
        case Rejected():
            name, subject = OutcomeName.REJECTED, settlement.subject
            more = _asked(settlement) | {
                "reason": settlement.reason.value if settlement.reason else None,
                "cached": settlement.cached or None,
                "errors": _notices(settlement.errors),
                "warnings": _notices(settlement.warnings),
            }
        case WouldEnrol():
            name, subject = OutcomeName.WOULD_ENROL, settlement.subject
            more = {"idempotency_key": settlement.key, "api_request_id": settlement.request_id}
        case Unresolved():
            name, subject = OutcomeName.DEAD_LETTERED, settlement.subject
            more = _asked(settlement) | {"reason": settlement.dead_letter_reason.value}
        case Deferred(hop, unresolved, errors):
            name, subject = OutcomeName.DEFERRED, unresolved.subject
            more = _asked(unresolved) | {"reason": unresolved.reason.value, "errors": _notices(errors)}
        case _:
            assert_never(settlement)
    return _outcome(origin, name, now, subject, more, hop)


def tell_dead_letter(origin: Origin, reason: str, attempts: int, now: datetime) -> Outcome:
    """Return the outcome of a record that is dead-lettered as a whole, for a fault of its own."""
    return _outcome(origin, OutcomeName.DEAD_LETTERED, now, None, {"reason": reason, "attempts": attempts})


def _outcome(
    origin: Origin,
    name: OutcomeName,
    now: datetime,
    subject: Subject | None,
    more: dict[str, Any],
    hop: int | None = None,
) -> Outcome:
    about: dict[str, Any] = {"org_id": origin.org_id}
    if subject is not None:
        about = {
            "org_id": subject.org_id,
            "program_id": subject.program_id,
            "promotion_id": subject.promotion_id,
            "promotion_name": subject.name,
        }
    return Outcome(
        outcome_id=outcome_id(origin.event_id, subject.promotion_id if subject else None, name, hop),
        outcome=name,
        severity=SEVERITY[name],
        customer_id=origin.customer_id,
        customer_ref=origin.customer_ref,
        activity=origin.activity,
        occurred_at=now,
        **about,
        **more,
    )


def _asked(settlement: Enrolled | LimitExhausted | UnknownCustomer | Rejected | Unresolved) -> dict[str, Any]:
    return {
        "idempotency_key": settlement.key,
        "attempts": settlement.attempts,
        "api_request_id": settlement.request_id,
    }


def _notices(notices: tuple[Notice, ...]) -> tuple[CodeAndMessage, ...] | None:
    told = [CodeAndMessage(code=n.code, message=n.message) for n in notices[:MOST_NOTICES]]
    if len(notices) > len(told):
        more = f"{told[-1].message} (and {len(notices) - len(told)} more)"
        told[-1] = CodeAndMessage(code=told[-1].code, message=more)
    return tuple(told) or None


def _restriction(restriction: Restriction | None) -> RestrictionUsed | None:
    if restriction is None or restriction.max_limit is None or restriction.usage is None:
        return None
    return RestrictionUsed(
        kpi=restriction.kpi,
        limit_on=restriction.limit_on,
        max_limit=_number(restriction.max_limit),
        current_customer_usage=_number(restriction.usage),
    )


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
