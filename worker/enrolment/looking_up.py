"""The step that looks a customer up, and what becomes of an event that has none, or that nobody answers."""

from datetime import datetime

from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    Fault,
    Found,
    Misconfigured,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.faults import describe
from worker.domain.promotions import CustomerPromotions
from worker.domain.settlement import Deferred, Rejected, UnknownCustomer, Unresolved, UnresolvedReason
from worker.domain.settling import unresolved_by
from worker.domain.times import is_within
from worker.enrolment.admission import Admitted
from worker.enrolment.known_customers import KnownCustomers
from worker.enrolment.lookups import look_up
from worker.enrolment.outcomes import tell
from worker.enrolment.resources import Resources
from worker.enrolment.rules import Rules
from worker.enrolment.taking import Taken
from worker.ledger.entries import NOBODY, EventPlan, Foregone, PlanEntry
from worker.resilience.circuit import Call

_UNKNOWN_YET = "customer: not found, and the event is younger than ENROLMENT_NOT_FOUND_GRACE_SECONDS"


class LookingUp:
    """Finds the customer, else tells it, defers the event, or dead-letters it; raises what telling raises."""

    def __init__(self, resources: Resources, rules: Rules, known: KnownCustomers) -> None:
        self._resources = resources
        self._rules = rules
        self._known = known

    async def find(self, taken: Taken, event: Admitted) -> tuple[CustomerPromotions, datetime] | None:
        """Return the customer and when the reading began; None once it is told why there is nobody."""
        glimpse = await self._known.glimpse()
        read_at, began = self._resources.machine_time(), self._resources.timer()
        answer, attempts = await look_up(self._resources, event, taken.delivery.is_waited_for)
        await self._known.remember(taken, event, answer, glimpse)
        if isinstance(answer, Found):
            return answer.customer, read_at
        await self._tell(taken, event, answer, attempts=attempts, began=began)
        return None

    async def _tell(
        self,
        taken: Taken,
        event: Admitted,
        answer: CustomerNotFound | Refused | Fault,
        *,
        attempts: int,
        began: float,
    ) -> None:
        """Take the event of a lookup to its end that began at `began` on the timer, or put it off."""
        match answer:
            case CustomerNotFound(errors, request_id=request_id):
                await self._not_found(taken, event, UnknownCustomer(errors, attempts, request_id=request_id))
            case Refused(errors, request_id=request_id):
                rejected = Rejected(errors=errors, attempts=attempts, request_id=request_id)
                await taken.telling.settlement(event.origin, rejected)
            case Unsent() | Doubtful() | Throttled() | Misconfigured():
                alone = self._resources.retrying.served_since(Call.LOOKUP, began)
                lost = unresolved_by(f"lookup: {describe(answer)}", answer, attempts, alone=alone)
                await taken.telling.defer_or_dead_letter(event.origin, [lost])

    async def tell_again(self, taken: Taken, plan: EventPlan) -> None:
        """Tell what an event came to whose customer was not found: a replay asks nobody."""
        for step in plan.steps:
            if isinstance(step, Foregone):
                await taken.telling.outcome(plan.origin, step.outcome)

    async def _not_found(self, taken: Taken, event: Admitted, unknown: UnknownCustomer) -> None:
        """Tell it; but of a young event the customer's registration may be on its way still."""
        if self._is_young(taken, event):
            hop = 1
            why = Unresolved(
                reason=UnresolvedReason.RETRIES_EXHAUSTED,
                message=_UNKNOWN_YET,
                attempts=unknown.attempts or 1,
                request_id=unknown.request_id,
            )
            if await taken.telling.defer(event.origin, why, hop, Deferred(hop, why, unknown.errors)):
                return
        await self.tell_unknown(taken, event, unknown)

    async def tell_unknown(self, taken: Taken, event: Admitted, unknown: UnknownCustomer) -> None:
        """Tell that there is no such customer, for good: a replay finds it in the ledger."""
        outcome = tell(event.origin, unknown, self._resources.clock())
        plan = EventPlan(
            origin=event.origin,
            customer_id=NOBODY,
            steps=(Foregone(outcome),),
            marks=event.marks,
            key_hashes=event.key_hashes,
        )
        if not self._rules.dry_run:
            await taken.write(self._resources.sleep, PlanEntry(plan.event_id, plan))
        await self.tell_again(taken, plan)

    def _is_young(self, taken: Taken, event: Admitted) -> bool:
        """Whether the event is within the grace by its own time, and since it was first seen by our clock.

        Its own time may lie ahead for ever; what first failed ahead of our clock is not waited for again.
        """
        grace, now, earlier = self._rules.not_found_grace, self._resources.clock(), taken.arrival.earlier
        if grace is None or now - event.happened >= grace:
            return False
        return earlier is None or is_within(earlier.first_failed_at, grace, now)
