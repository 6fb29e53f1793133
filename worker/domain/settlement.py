"""The results of an event or of one promotion of it: the closed union behind the outcome records."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from worker.domain.answers import (
    UNPROCESSABLE,
    CustomerNotFound,
    Fault,
    Issued,
    Misconfigured,
    Notice,
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.faults import describe, is_busy, is_ours
from worker.domain.ledger import CoolingDown, NotAgain, OwnEnrolment
from worker.domain.limits import LimitReason
from worker.domain.plan import Already, Foreign, UsedUp
from worker.domain.promotions import Promotion, Restriction

LIMIT_WARNING: Final = 8890
"""Not issued "due to config issues or customer exhausted limits" (page "Enrol a Customer")."""


class PassedOver(StrEnum):
    """Why no promotion was looked for, or looked for in vain; None stands for a lookup that left nothing."""

    EVENT_TOO_OLD = "EVENT_TOO_OLD"
    CATALOGUE = "CATALOGUE"


class RejectionReason(StrEnum):
    """Why a rejection has no error code of the API to name."""

    OTHER_ORGANISATION = "OTHER_ORGANISATION"
    NOT_ISSUED = "NOT_ISSUED"


class UnresolvedReason(StrEnum):
    """Why a promotion, or a whole event, could not be settled; the dead letter's reason, but for BUSY."""

    BUSY = "busy"
    """The API asks to try after some time; nothing was done. A dead letter says retries_exhausted."""

    RETRIES_EXHAUSTED = "retries_exhausted"
    IN_DOUBT = "in_doubt"
    HANDLER_FAULT = "handler_fault"


@dataclass(frozen=True, slots=True)
class Subject:
    """The promotion that a settlement is about, and whose it is."""

    promotion_id: int
    program_id: int
    name: str
    org_id: int

    @classmethod
    def of(cls, promotion: Promotion, org_id: int) -> "Subject":
        """Name the promotion without what the lookup said of its state."""
        return cls(promotion.promotion_id, promotion.program_id, promotion.name, org_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The API answered with a side effect."""

    subject: Subject
    key: str
    attempts: int
    issual_id: int | None
    warnings: tuple[Notice, ...]
    reconciled: bool = False
    """It was not the answer that told, but a later reading, which may also know the enrolment's id."""
    enrolment_id: int | None = None


@dataclass(frozen=True, slots=True)
class AlreadyEnrolled:
    """There is an enrolment that the policy does not repeat."""

    subject: Subject
    enrolment_id: int | None
    cached: bool = False
    """By what is remembered of the customer, without a lookup."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitExhausted:
    """8890 (then with key, attempts and warnings), or a cached one, or a restriction that is used up."""

    subject: Subject
    reason: LimitReason
    restriction: Restriction | None
    key: str | None = None
    attempts: int | None = None
    warnings: tuple[Notice, ...] = ()
    cached: bool = False


@dataclass(frozen=True, slots=True)
class NothingAvailable:
    """There is nothing to enrol into."""

    reason: PassedOver | None = None
    cached: bool = False


@dataclass(frozen=True, slots=True)
class UnknownCustomer:
    """8015, from the lookup (no subject) or from the issue."""

    errors: tuple[Notice, ...]
    attempts: int | None
    subject: Subject | None = None
    key: str | None = None
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A final error, from the lookup (no subject) or for one promotion."""

    errors: tuple[Notice, ...]
    attempts: int | None = None
    subject: Subject | None = None
    key: str | None = None
    reason: RejectionReason | None = None
    warnings: tuple[Notice, ...] = ()
    cached: bool = False


@dataclass(frozen=True, slots=True)
class WouldEnrol:
    """A dry run stops here."""

    subject: Subject
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """Not settled, and not to be settled here: the event goes to a retry topic or to the dead letters."""

    reason: UnresolvedReason
    message: str
    attempts: int
    subject: Subject | None = None
    key: str | None = None
    waits: bool = False
    """Not the event's fault: never a dead letter, however often it is tried."""

    @property
    def dead_letter_reason(self) -> "UnresolvedReason":
        """What a dead letter says of it."""
        return UnresolvedReason.RETRIES_EXHAUSTED if self.reason is UnresolvedReason.BUSY else self.reason


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not settled: the event goes to this retry topic, and a final settlement follows."""

    hop: int
    why: Unresolved
    errors: tuple[Notice, ...] = ()


Settlement = (
    Enrolled
    | AlreadyEnrolled
    | LimitExhausted
    | NothingAvailable
    | UnknownCustomer
    | Rejected
    | WouldEnrol
    | Unresolved
    | Deferred
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


@dataclass(frozen=True, slots=True)
class LimitUnexplained:
    """8890: before it is settled, the customer's promotions are read once more to name the limit."""

    settlement: LimitExhausted

    def explained(self, reason: LimitReason, restriction: Restriction | None) -> LimitExhausted:
        """Settle it with what that reading shows."""
        return replace(self.settlement, reason=reason, restriction=restriction)


def settle_unasked(step: Already | UsedUp | Foreign) -> Settlement:
    """Settle a promotion that the plan spends no request on."""
    subject = Subject.of(step.promotion, step.org_id)
    match step:
        case Already():
            return AlreadyEnrolled(subject, step.enrolment.enrolment_id)
        case UsedUp():
            return LimitExhausted(subject=subject, reason=step.reason, restriction=step.restriction)
        case Foreign():
            return Rejected(errors=(), subject=subject, reason=RejectionReason.OTHER_ORGANISATION)


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
            )
        case CustomerNotFound():
            return UnknownCustomer(answer.errors, attempts, subject, key)
        case Refused():
            asked = attempts - answer.unsent
            return Rejected(
                errors=answer.errors, attempts=asked or None, subject=subject, key=key, cached=answer.cached
            )
        case Unsent() if not (is_busy(answer) or is_ours(answer)):
            return unresolved_by(f"issue: {answer.kind}", answer, attempts, subject, key)
        case Unsent() | Throttled() | Misconfigured():
            return unresolved_by(f"issue: {describe(answer)}", answer, attempts, subject, key, alone=alone)


def settle_unprocessable(subject: Subject, key: str, attempts: int) -> Rejected:
    """Settle a promotion whose request was answered 422, without a word of the API, and was not applied."""
    return Rejected(errors=(UNPROCESSABLE,), attempts=attempts, subject=subject, key=key)


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
    )
