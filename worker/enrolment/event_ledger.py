"""What the ledger knows of one event's plan, and what is written of it: always the plan first."""

from dataclasses import replace

from topics.outcome import Outcome, OutcomeName
from worker.domain.ledger import Standing
from worker.domain.settlement import Settlement, Subject, Unresolved
from worker.enrolment.checkpoints import Checkpoint
from worker.enrolment.outcomes import tell
from worker.enrolment.resources import Resources
from worker.enrolment.taking import Taken
from worker.ledger.entries import (
    EventPlan,
    LedgerEntry,
    PlanEntry,
    Request,
    Result,
    ResultEntry,
    StandingEntry,
)


class EventLedger:
    """The ledger as one event reads and writes it.

    What writes returns once Kafka has acknowledged; raises Abandoned when the partition is no longer ours,
    PublishFailed when Kafka did not acknowledge.
    """

    def __init__(self, resources: Resources, taken: Taken, plan: EventPlan, *, is_written: bool) -> None:
        """`is_written` when the plan came out of the ledger."""
        self.plan = plan
        self._resources = resources
        self._taken = taken
        self._unwritten: tuple[LedgerEntry, ...] = () if is_written else (PlanEntry(plan.event_id, plan),)

    def standing(self, subject: Subject) -> Standing:
        """Return what is known of the plan's customer in the promotion."""
        return self._taken.ledger.standing(self.plan.customer_id, subject)

    def plan_of(self, event_id: str) -> EventPlan | None:
        """Return the plan of another event."""
        return self._taken.ledger.plan_of(event_id)

    def result_of(self, event_id: str, subject: Subject) -> Result | None:
        """Return what an event's promotion came to, of this event or of another one."""
        return self._taken.ledger.result_of(event_id, subject)

    def open(self, request: Request, *, reopens: bool) -> Outcome | int:
        """Return the outcome that stands, else how often the promotion was opened again by now.

        `reopens` what was rejected, as a redrive does; that it is opened again is written with what follows.
        """
        result = self.result_of(self.plan.event_id, request.subject)
        if result is None:
            return 0
        if not result.reopened:
            is_rejected = result.outcome.outcome is OutcomeName.REJECTED
            if not (is_rejected and (reopens or self._has_later_attempt(request, result))):
                return result.outcome
            reopened = ResultEntry(self.plan.event_id, request.subject, replace(result, reopened=True))
            self._unwritten = (*self._unwritten, reopened)
        return result.opening + 1

    def _has_later_attempt(self, request: Request, result: Result) -> bool:
        """Whether an earlier release opened it again, and left no note but the attempt."""
        attempt = self.standing(request.subject).attempt
        is_own = attempt is not None and attempt.event_id == self.plan.event_id
        return is_own and attempt is not None and not result.is_of(attempt)

    async def keep_plan(self) -> None:
        """Write the plan, if it is not in the ledger yet."""
        if self._unwritten:
            await self.write()

    async def stands(self, subject: Subject, standing: Standing) -> None:
        """Write how the customer stands in the promotion."""
        await self.write(self._standing_entry(subject, standing))

    async def record(
        self, subject: Subject, settlement: Settlement, after: Standing, opening: int
    ) -> Outcome | Unresolved:
        """Write the result, with every field of its outcome, before the outcome is told."""
        if isinstance(settlement, Unresolved):
            await self.stands(subject, after)
            return settlement
        outcome = tell(self.plan.origin, settlement, self._resources.clock())
        await self.write(
            ResultEntry(self.plan.event_id, subject, Result(outcome, opening)),
            self._standing_entry(subject, after),
        )
        self._resources.probe(Checkpoint.RECORDED)
        return outcome

    def _standing_entry(self, subject: Subject, standing: Standing) -> StandingEntry:
        return StandingEntry(self.plan.customer_id, subject, standing)

    async def write(self, *entries: LedgerEntry) -> None:
        """Write in one batch, the plan first if it is not in the ledger yet."""
        await self._taken.write(self._resources.sleep, *self._unwritten, *entries)
        self._unwritten = ()
