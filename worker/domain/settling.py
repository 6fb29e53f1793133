"""How a promotion, or a whole event, is settled: by what the API answered, by the ledger, or unasked."""

from collections.abc import Sequence

from worker.domain.answers import (
    UNPROCESSABLE,
    CustomerNotFound,
    Fault,
    Issued,
    Misconfigured,
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.faults import describe, is_busy, is_ours
from worker.domain.ledger import CoolingDown, NotAgain, OwnEnrolment
from worker.domain.limits import LimitReason
from worker.domain.plan import Already, Foreign, UsedUp
from worker.domain.settlement import (
    LIMIT_WARNING,
    AlreadyEnrolled,
    Enrolled,
    LimitExhausted,
    LimitUnexplained,
    Rejected,
    RejectionReason,
    Settlement,
    Subject,
    UnknownCustomer,
    Unresolved,
    UnresolvedReason,
)


def next_hop(hop: int, last: int, unresolved: Sequence[Unresolved]) -> int | None:
    """Return the retry topic that the event goes to, coming from `hop`; None for the dead letters.

    Only what failed for want of a usable answer is worth another try.
    """
    again = [each for each in unresolved if each.dead_letter_reason is UnresolvedReason.RETRIES_EXHAUSTED]
    if not again:
        return None
    if hop < last:
        return hop + 1
    return last if any(each.waits for each in again) else None


def settle_unasked(step: Already | UsedUp | Foreign) -> Settlement:
    """Settle a promotion that the plan spends no request on."""
    subject, shown_by = Subject.of(step.promotion, step.org_id), step.promotion.request_id
    match step:
        case Already():
            return AlreadyEnrolled(subject, step.enrolment.enrolment_id, request_id=shown_by)
        case UsedUp():
            return LimitExhausted(
                subject=subject, reason=step.reason, restriction=step.restriction, request_id=shown_by
            )
        case Foreign():
            return Rejected(
                errors=(), subject=subject, reason=RejectionReason.OTHER_ORGANISATION, request_id=shown_by
            )


def settle_by_ledger(advice: OwnEnrolment | NotAgain | CoolingDown, subject: Subject) -> Settlement:
    """Settle a promotion by what the ledger knows, without a request."""
    match advice:
        case OwnEnrolment(enrolment):
            return Enrolled(
                subject=subject,
                key=enrolment.key,
                attempts=enrolment.attempts,
                issual_id=enrolment.issual_id,
                warnings=(),
                reconciled=True,
                enrolment_id=enrolment.enrolment_id,
            )
        case NotAgain(enrolment):
            return AlreadyEnrolled(subject, enrolment.enrolment_id)
        case CoolingDown(limit):
            return LimitExhausted(
                subject=subject, reason=limit.reason, restriction=limit.restriction, cached=True
            )


def settle_issue(  # noqa: PLR0911 - one for each kind of answer
    subject: Subject,
    key: str,
    answer: Issued | NotIssued | CustomerNotFound | Refused | Unsent | Throttled | Misconfigured,
    attempts: int,
    *,
    alone: bool = True,
) -> Settlement | LimitUnexplained:
    """Settle a promotion by the last answer to its request; `alone` if others were served meanwhile.

    A warning other than 8890 without a side effect is not documented: nothing was issued, so it is final
    and rejected, with the warning kept. A doubtful answer is for the ledger to settle.
    """
    match answer:
        case Issued():
            return Enrolled(
                subject=subject,
                key=key,
                attempts=attempts,
                issual_id=answer.issual_id,
                warnings=answer.warnings,
                request_id=answer.request_id,
            )
        case NotIssued() if any(warning.code == LIMIT_WARNING for warning in answer.warnings):
            return LimitUnexplained(
                LimitExhausted(
                    subject=subject,
                    reason=LimitReason.CONFIGURATION_OR_LIMIT,
                    restriction=None,
                    key=key,
                    attempts=attempts,
                    warnings=answer.warnings,
                    request_id=answer.request_id,
                )
            )
        case NotIssued():
            return Rejected(
                errors=(),
                attempts=attempts,
                subject=subject,
                key=key,
                reason=RejectionReason.NOT_ISSUED,
                warnings=answer.warnings,
                request_id=answer.request_id,
            )
        case CustomerNotFound():
            return UnknownCustomer(answer.errors, attempts, subject, key, request_id=answer.request_id)
        case Refused():
            asked = attempts - answer.unsent
            return Rejected(
                errors=answer.errors,
                attempts=asked or None,
                subject=subject,
                key=key,
                cached=answer.cached,
                request_id=answer.request_id,
            )
        case Unsent() if not (is_busy(answer) or is_ours(answer)):
            return unresolved_by(f"issue: {answer.kind}", answer, attempts, subject, key)
        case Unsent() | Throttled() | Misconfigured():
            return unresolved_by(f"issue: {describe(answer)}", answer, attempts, subject, key, alone=alone)


def settle_unprocessable(
    subject: Subject, key: str, attempts: int, request_id: str | None = None
) -> Rejected:
    """Settle a promotion whose request was answered 422, without a word of the API, and was not applied."""
    return Rejected(
        errors=(UNPROCESSABLE,), attempts=attempts, subject=subject, key=key, request_id=request_id
    )


def unresolved_by(
    message: str,
    fault: Fault,
    attempts: int,
    subject: Subject | None = None,
    key: str | None = None,
    *,
    alone: bool = True,
) -> Unresolved:
    """Return what a fault left unresolved; `alone` if others were served meanwhile."""
    busy = is_busy(fault)
    reason = UnresolvedReason.BUSY if busy else UnresolvedReason.RETRIES_EXHAUSTED
    return Unresolved(
        reason=reason,
        message=message,
        attempts=attempts,
        subject=subject,
        key=key,
        waits=is_ours(fault) or (busy and not alone),
        request_id=fault.request_id,
    )
