"""The results of an event or of one promotion of it: the closed union behind the outcome records."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from worker.domain.answers import (
    Notice,
)
from worker.domain.limits import LimitReason
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
    request_id: str | None = None
    """What Capillary traces the request by whose answer settled it, here and below; None if none did."""


@dataclass(frozen=True, slots=True)
class AlreadyEnrolled:
    """There is an enrolment that the policy does not repeat."""

    subject: Subject
    enrolment_id: int | None
    cached: bool = False
    """By what is remembered of the customer, without a lookup."""
    request_id: str | None = None


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
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class NothingAvailable:
    """There is nothing to enrol into."""

    reason: PassedOver | None = None
    cached: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class UnknownCustomer:
    """8015, from the lookup (no subject) or from the issue."""

    errors: tuple[Notice, ...]
    attempts: int | None
    subject: Subject | None = None
    key: str | None = None
    cached: bool = False
    request_id: str | None = None


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
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class WouldEnrol:
    """A dry run stops here."""

    subject: Subject
    key: str
    request_id: str | None = None


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
    request_id: str | None = None
    """Of the last answer that did not settle it."""

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


@dataclass(frozen=True, slots=True)
class LimitUnexplained:
    """8890: before it is settled, the customer's promotions are read once more to name the limit."""

    settlement: LimitExhausted

    def explained(self, reason: LimitReason, restriction: Restriction | None) -> LimitExhausted:
        """Settle it with what that reading shows."""
        return replace(self.settlement, reason=reason, restriction=restriction)
