"""Doubtful answers to an enrolment, and what follows from them and from what is found out."""

from datetime import datetime

from worker.domain.answers import Doubtful, LeftOpen, Throttled
from worker.domain.evidence import Applied, Finding, NoEvidence
from worker.domain.faults import is_ours
from worker.domain.ledger import Attempt
from worker.domain.settlement import Enrolled, Subject, Unresolved, UnresolvedReason
from worker.enrolment.outcomes import tell
from worker.enrolment.reconciliation import Unread
from worker.ledger.entries import EventPlan, Request, Result
from worker.resilience.circuit import Call
from worker.resilience.retrying import Retrying


class Doubts:
    """The doubtful answers to one request, and whether it is sent again once they are found out."""

    def __init__(self, retrying: Retrying) -> None:
        self.tries = retrying.tries()
        self.last: Doubtful | None = None
        self._retrying = retrying
        self._count = 0

    @property
    def is_over(self) -> bool:
        """Whether the request is sent no more once its answers are found out."""
        return self.tries.are_used_up

    async def add(self, doubt: LeftOpen) -> None:
        """Count an answer; waits if it may go on so for as long as it takes."""
        self._count += 1
        if isinstance(doubt, Doubtful):
            self.last = doubt
            self.tries.add_doubt(doubt)
        if is_ours(doubt) or isinstance(doubt, Throttled):
            await self._retrying.pause(Call.ISSUE, doubt, self._count)


def reconciled(subject: Subject, attempt: Attempt, found: Applied) -> Enrolled:
    """Tell an enrolment that a reading showed, or a notification."""
    return Enrolled(
        subject=subject,
        key=attempt.key,
        attempts=attempt.number,
        issual_id=found.issual_id,
        warnings=(),
        reconciled=True,
        enrolment_id=found.enrolment_id,
        request_id=found.request_id,
    )


def result_of_found(
    plan: EventPlan, known: Result | None, subject: Subject, attempt: Attempt, found: Applied, now: datetime
) -> Result:
    """Return what an attempt came to that was found applied: the result that is known, if it is of it."""
    if known is not None and known.is_of(attempt):
        return known
    outcome = tell(plan.origin, reconciled(subject, attempt, found), now)
    return Result(outcome, 0 if known is None else known.opening + 1)


def unresolved(
    request: Request, attempts: int, finding: Finding | Unread, doubt: Doubtful | None = None
) -> Unresolved:
    """Return why a request is unresolved whose attempt did not show, or could not be found out."""
    reason, message, waits = UnresolvedReason.RETRIES_EXHAUSTED, "issue: no usable answer", is_ours(doubt)
    last = finding if isinstance(finding, NoEvidence | Unread) else doubt
    if isinstance(finding, NoEvidence):
        reason, message = UnresolvedReason.IN_DOUBT, "issue: no evidence of its effect either way"
    elif isinstance(finding, Unread):
        message, waits = "reconciliation: no usable answer", finding.waits
        reason = UnresolvedReason.BUSY if finding.is_busy else reason
    return Unresolved(
        reason=reason,
        message=message,
        attempts=attempts,
        subject=request.subject,
        key=request.key,
        waits=waits,
        request_id=None if last is None else last.request_id,
    )
