"""What Capillary's own notifications of an enrolment do to a customer's standing.

The same notification may come twice, late, or behind a later one ("Event notifications"): its ids and its
time decide, and what is known by then already changes nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from worker.domain.ledger import Attempt, Enrolment, Standing

_MOST_HEEDED: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notification of an enrolment, or of its end."""

    event_id: str
    """The notification's own identity."""
    issual_id: int | None
    at: datetime
    is_timed: bool = True
    """Whether the time is Capillary's, and not merely when we heard of it: else it tells no order."""

    @property
    def mark(self) -> str:
        """What a repeat of it is known by."""
        return self.event_id if self.issual_id is None else str(self.issual_id)


def issued(standing: Standing, notice: Notice) -> Standing:
    """Enter an enrolment, made by anybody; an open attempt stays as it is.

    One of ours that stands is never replaced: its key must not be used again. One that was taken back before
    it was told of is not entered.
    """
    known = standing.enrolment
    issual_id = notice.issual_id
    another = Enrolment(
        key="", event_id=notice.event_id, attempts=0, settled_at=notice.at, issual_id=issual_id
    )
    if issual_id is not None and notice.mark in standing.heeded:
        return standing
    if known is None:
        return replace(standing, enrolment=another)
    if issual_id is not None and known.issual_id == issual_id:
        return standing
    if known.revoked_at is not None:
        is_later = notice.is_timed and notice.at > known.revoked_at
    else:
        is_later = known.is_anothers and (
            known.settled_at is None or (notice.is_timed and notice.at > known.settled_at)
        )
    return replace(standing, enrolment=another) if is_later else standing


def revoked(standing: Standing, notice: Notice, *, is_proven: bool = False) -> Standing:
    """Enter that an enrolment was taken back, also one that nobody told us of; each once.

    `is_proven` if the enrolment that is known is the one that is meant.
    """
    if notice.mark in standing.heeded:
        return standing
    heard = replace(standing, heeded=(*standing.heeded, notice.mark)[-_MOST_HEEDED:])
    known = standing.enrolment
    if known is None:
        known = Enrolment(
            key="",
            event_id=notice.event_id,
            attempts=0,
            settled_at=notice.at,
            issual_id=notice.issual_id,
        )
    elif known.revoked_at is not None or not (is_proven or _is_meant(known, notice)):
        return heard
    return replace(
        heard,
        enrolment=replace(known, revoked_at=notice.at),
        limit=None,
        revocations=standing.revocations + 1,
    )


def _is_meant(known: Enrolment, notice: Notice) -> bool:
    """Whether a revocation is of the enrolment that is known: by its id, else by the time; in doubt not."""
    if notice.issual_id is not None and known.issual_id is not None:
        return notice.issual_id == known.issual_id
    return notice.is_timed and (known.settled_at is None or notice.at > known.settled_at)


def proves(attempt: Attempt, standing: Standing, notice: Notice) -> bool:
    """Whether an enrolment that a notification tells of is evidence that the open attempt was applied.

    It may be another channel's all the same: once too few beats twice. What was made before the attempt, or
    is the enrolment that was known before it, proves nothing; nor does what tells no time.
    """
    known = standing.enrolment
    is_known = notice.issual_id is not None and known is not None and known.issual_id == notice.issual_id
    began = attempt.begun_at
    return notice.is_timed and began is not None and notice.at >= began and not is_known
