"""A plan carried out: one promotion after another is asked for, and each is told as soon as it is known."""

from typing import assert_never

from topics.outcome import Outcome
from worker.domain.settlement import NothingAvailable, PutAside, Unsettled
from worker.enrolment.admission import Admitted
from worker.enrolment.attempts import Settling, World
from worker.enrolment.lease import Abandoned
from worker.enrolment.ports import PublishFailed, Tracker
from worker.enrolment.rules import Rules
from worker.enrolment.telling import Taken
from worker.ledger.entries import EventPlan, Foregone, Request


class CarryingOut:
    """Carries plans out. Its caller keeps others in this process from working on the customer meanwhile."""

    def __init__(self, world: World, rules: Rules, tracker: Tracker) -> None:
        self._world = world
        self._rules = rules
        self._tracker = tracker

    def reopens(self, taken: Taken) -> bool:
        """Whether an operator wants what was refused to be asked for anew."""
        return taken.arrival.redriven is not None or self._rules.retry_rejected

    async def enrol_each(self, taken: Taken, event: Admitted, plan: EventPlan, *, is_written: bool) -> None:
        """Go through the plan in the lookup's order; `is_written` when it came out of the ledger."""
        settling = Settling(
            self._world,
            self._rules,
            plan,
            is_written=is_written,
            reopens=self.reopens(taken),
            taken=taken,
            account=event.identifier.account if event.identifier.source == plan.source else None,
        )
        if self._must_be_kept(plan) or (not is_written and taken.ledger.plan_of(plan.event_id)):
            await settling.keep_plan()
        if not plan.steps:
            await taken.telling.settlement(plan.origin, NothingAvailable())
        unsettled: list[PutAside] = []
        for step in plan.steps:
            match step:
                case Foregone(outcome):
                    done: Outcome | PutAside = outcome
                case Request():
                    done = await self._settled(taken, settling, step)
                case _:
                    assert_never(step)
            if isinstance(done, PutAside):
                unsettled.append(done)
            else:
                await taken.telling.outcome(plan.origin, done)
        if unsettled:
            await taken.telling.set_aside(plan.origin, unsettled)

    def _must_be_kept(self, plan: EventPlan) -> bool:
        """Whether a replay without the plan could find otherwise for what is told before a request."""
        if self._rules.dry_run:
            return False
        reenrol = self._rules.policy.reenrol
        return any(isinstance(step, Request) for step in plan.steps[1:]) or any(
            isinstance(step, Foregone) and not step.holds(reenrol) for step in plan.steps
        )

    async def _settled(self, taken: Taken, settling: Settling, step: Request) -> Outcome | PutAside:
        """Settle a request; a fault of ours leaves this promotion unsettled and the others unharmed."""
        try:
            return await settling.settle(step)
        except (PublishFailed, Abandoned):
            raise
        except Exception as error:  # noqa: BLE001 - see above
            self._tracker.fault(taken.arrival.record, error)
            message = f"worker: {type(error).__name__}"
            return PutAside(Unsettled.HANDLER_FAULT, message, 1, step.subject, step.key)
