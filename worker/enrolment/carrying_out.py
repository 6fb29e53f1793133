"""A plan carried out: one promotion after another is asked for, and each is told as soon as it is known."""

from typing import assert_never

from topics.outcome import Outcome
from worker.domain.promotions import Identifier, IdentifierName
from worker.domain.settlement import NothingAvailable, Unresolved, UnresolvedReason
from worker.enrolment.admission import Admitted
from worker.enrolment.attempts import Attempts
from worker.enrolment.event_ledger import EventLedger
from worker.enrolment.lease import Abandoned
from worker.enrolment.ports import PublishFailed, Tracker
from worker.enrolment.resources import Resources
from worker.enrolment.rules import Rules
from worker.enrolment.taking import Taken
from worker.ledger.entries import EventPlan, Foregone, Request


class CarryingOut:
    """Carries plans out. Its caller keeps others in this process from working on the customer meanwhile."""

    def __init__(self, resources: Resources, rules: Rules, tracker: Tracker) -> None:
        self._resources = resources
        self._rules = rules
        self._tracker = tracker

    def reopens(self, taken: Taken) -> bool:
        """Whether an operator wants what was refused to be asked for anew."""
        return taken.arrival.redriven is not None or self._rules.retry_rejected

    async def enrol_each(self, taken: Taken, event: Admitted, plan: EventPlan, *, is_written: bool) -> None:
        """Go through the plan in the lookup's order; `is_written` when it came out of the ledger."""
        ledger = EventLedger(self._resources, taken, plan, is_written=is_written)
        account = event.identifier.account if event.identifier.source == plan.source else None
        customer = Identifier(IdentifierName.CUSTOMER_ID, str(plan.customer_id), plan.source, account)
        if self._must_be_kept(plan) or (not is_written and ledger.plan_of(plan.event_id)):
            await ledger.keep_plan()
        if not plan.steps:
            await taken.telling.settlement(plan.origin, NothingAvailable(request_id=plan.request_id))
        unresolved: list[Unresolved] = []
        for step in plan.steps:
            match step:
                case Foregone(outcome):
                    done: Outcome | Unresolved = outcome
                case Request():
                    done = await self._enrol(taken, ledger, customer, step, is_resumed=is_written)
                case _:
                    assert_never(step)
            if isinstance(done, Unresolved):
                unresolved.append(done)
            else:
                await taken.telling.outcome(plan.origin, done)
        if unresolved:
            await taken.telling.defer_or_dead_letter(plan.origin, unresolved)

    def _must_be_kept(self, plan: EventPlan) -> bool:
        """Whether a replay without the plan could find otherwise for what is told before a request."""
        if self._rules.dry_run:
            return False
        policy = self._rules.policy
        return any(isinstance(step, Request) for step in plan.steps[1:]) or any(
            isinstance(step, Foregone) and not step.holds(policy) for step in plan.steps
        )

    async def _enrol(
        self, taken: Taken, ledger: EventLedger, customer: Identifier, request: Request, *, is_resumed: bool
    ) -> Outcome | Unresolved:
        """Enrol into one promotion; a fault of ours leaves this one open and the others unharmed."""
        try:
            opening = ledger.open(request, reopens=self.reopens(taken))
            if isinstance(opening, Outcome):
                return opening
            attempts = Attempts(
                self._resources,
                self._rules,
                taken=taken,
                ledger=ledger,
                customer=customer,
                request=request,
                opening=opening,
                is_resumed=is_resumed,
            )
            return await attempts.enrol()
        except (PublishFailed, Abandoned):
            raise
        except Exception as error:  # noqa: BLE001 - see above
            self._tracker.fault(taken.arrival.record, error)
            message = f"worker: {type(error).__name__}"
            return Unresolved(
                reason=UnresolvedReason.HANDLER_FAULT,
                message=message,
                attempts=1,
                subject=request.subject,
                key=request.key,
            )
