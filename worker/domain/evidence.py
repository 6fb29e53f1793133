"""Evidence of an enrolment, judged by readings of the customer's promotions, never by clocks.

The API documents no idempotency, and an answer can be lost after the server applied the request. What a
reading showed before an attempt is noted; what a later one shows beyond it is evidence.
"""

from dataclasses import dataclass, field
from typing import Final

from worker.domain.promotions import Promotion

_ISSUAL_COUNTS: Final = ("ISSUALS", "NUMBER_OF_TIMES")
"""What the names of those `kpi` hold that count enrolments, the better one first: NUMBER_OF_ISSUALS,
MAX_NUMBER_OF_ISSUALS_PER_CUSTOMER; NUMBER_OF_TIMES "the issual was done" (page of the v2 lookup)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a reading showed of a customer's enrolments into one promotion; None if it told nothing."""

    enrolment_ids: tuple[int, ...] | None = None
    issuals: int | None = None
    """How often the promotion was issued to this customer, by its own restriction's usage."""


@dataclass(frozen=True, slots=True)
class Applied:
    """There is an enrolment that was not there before; its id if the reading has a timeline.

    A notification of it tells its other id.
    """

    enrolment_id: int | None
    issual_id: int | None = None
    request_id: str | None = field(default=None, compare=False)
    """What Capillary traces the reading by that showed it; None if it was told otherwise."""


@dataclass(frozen=True, slots=True)
class NotShown:
    """There is none yet: final only once the time is over that the server may take to apply and show it."""


@dataclass(frozen=True, slots=True)
class NoEvidence:
    """The reading cannot tell: no timeline, no issual count, or no such promotion in it."""

    request_id: str | None = field(default=None, compare=False)
    """What Capillary traces that reading by."""


Finding = Applied | NotShown | NoEvidence


def evidence_of(promotion: Promotion) -> Evidence:
    """Return what a reading shows.

    A count over all customers (limitOn PROMOTION) is no evidence, nor is one that falls again by itself.
    """
    ids = None if promotion.timeline is None else tuple(entry.enrolment_id for entry in promotion.timeline)
    counts = [
        (restriction.kpi.upper(), int(restriction.usage))
        for restriction in promotion.issual_restrictions
        if restriction.usage is not None
        and restriction.limit_on.upper() == "CUSTOMER"
        and not restriction.periodic
    ]
    issuals = next((usage for name in _ISSUAL_COUNTS for kpi, usage in counts if name in kpi), None)
    return Evidence(ids, issuals)


def compare(noted: Evidence, seen: Promotion | None) -> Finding:
    """Compare a later reading with what was noted before the attempt.

    If the later reading has a timeline, it decides. A timeline that appeared with entries counts as new.
    Only without one does a risen issual count.
    """
    if seen is None:
        return NoEvidence()
    now = evidence_of(seen)
    if now.enrolment_ids is not None and (noted.enrolment_ids is not None or now.enrolment_ids):
        known = noted.enrolment_ids or ()
        new = [enrolment_id for enrolment_id in now.enrolment_ids if enrolment_id not in known]
        return Applied(new[-1], request_id=seen.request_id) if new else NotShown()
    if now.issuals is not None and noted.issuals is not None:
        return Applied(None, request_id=seen.request_id) if now.issuals > noted.issuals else NotShown()
    return NoEvidence(seen.request_id)
