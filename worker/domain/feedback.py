"""What Capillary's own notifications of an enrolment do to a customer's standing.

The same notification may come twice, late, or behind a later one ("Event notifications"): its time decides,
and what is known by then already changes nothing.
"""

from dataclasses import replace
from datetime import datetime

from worker.domain.ledger import Attempt, Enrolment, Standing


def issued(standing: Standing, *, event_id: str, issual_id: int | None, at: datetime) -> Standing:
    """Enter an enrolment that was made at that time, by anybody; an open attempt stays as it is.

    One of ours that stands is never replaced: its key must not be used again.
    """
    known = standing.enrolment
    another = Enrolment(key="", event_id=event_id, attempts=0, settled_at=at, issual_id=issual_id)
    if known is None:
        return replace(standing, enrolment=another)
    if issual_id is not None and known.issual_id == issual_id:
        return standing
    if known.revoked_at is not None:
        return replace(standing, enrolment=another) if at > known.revoked_at else standing
    is_later = known.settled_at is None or at > known.settled_at
    return replace(standing, enrolment=another) if known.is_anothers and is_later else standing


def revoked(standing: Standing, *, event_id: str, issual_id: int | None, at: datetime) -> Standing:
    """Enter that an enrolment was taken back at that time, also one that nobody told us of."""
    known = standing.enrolment
    if known is None:
        known = Enrolment(key="", event_id=event_id, attempts=0, settled_at=at, issual_id=issual_id)
    elif not _is_meant(known, issual_id, at) or known.revoked_at is not None:
        return standing
    return replace(
        standing, enrolment=replace(known, revoked_at=at), limit=None, revocations=standing.revocations + 1
    )


def _is_meant(known: Enrolment, issual_id: int | None, at: datetime) -> bool:
    """Whether a revocation is of the enrolment that is known: by its id, else by the time."""
    if issual_id is not None and known.issual_id is not None:
        return issual_id == known.issual_id
    return known.settled_at is None or at > known.settled_at


def proves(attempt: Attempt, standing: Standing, *, issual_id: int | None, at: datetime) -> bool:
    """Whether an enrolment made at that time is evidence that the open attempt was applied.

    It may be another channel's all the same: once too few beats twice. What was made before the attempt, or
    is the enrolment that was known before it, proves nothing.
    """
    known = standing.enrolment
    is_known = issual_id is not None and known is not None and known.issual_id == issual_id
    return attempt.begun_at is not None and at >= attempt.begun_at and not is_known
