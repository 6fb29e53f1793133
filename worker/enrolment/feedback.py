"""Feedback: what Capillary's own notifications change of what is known. None of it leads to a lookup."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, assert_never

from topics.feedback import (
    CustomerChanged,
    CustomersMerged,
    ListChanged,
    PromotionIssued,
    PromotionRevoked,
    Unusable,
)
from worker.domain import feedback as changes
from worker.domain import ledger as states
from worker.domain.evidence import Applied
from worker.domain.feedback import Notice
from worker.domain.identity import organisation
from worker.domain.ledger import Attempt, Standing
from worker.domain.settlement import Subject
from worker.domain.times import moved
from worker.enrolment.admission import Told
from worker.enrolment.catalogue import Lists
from worker.enrolment.doubts import result_of_found
from worker.enrolment.known_customers import KnownCustomers
from worker.enrolment.ports import Tracker
from worker.enrolment.resources import Resources
from worker.enrolment.rules import Rules
from worker.enrolment.taking import Taken
from worker.ledger.entries import Request, ResultEntry, StandingEntry
from worker.signs import Turn

_CLOCKS_APART: Final = timedelta(seconds=5)
"""How far ahead of ours the time of a notification may be; further, and it tells no order."""


class Feedback:
    """Heeds notifications. An older one never undoes a newer one; one that comes again changes nothing."""

    def __init__(
        self,
        rules: Rules,
        resources: Resources,
        known: KnownCustomers,
        lists: Lists,
        *,
        tracker: Tracker,
        turn_of: Callable[[int], Turn],
    ) -> None:
        """`turn_of` returns the lock of a customer."""
        self._policy = rules.policy
        self._resources = resources
        self._known = known
        self._lists = lists
        self._tracker = tracker
        self._turn_of = turn_of

    async def heed(self, taken: Taken, told: Told) -> str:
        """Enter what is told; return in a word what became of it, for the count of events.

        Returns once Kafka has acknowledged what it changed; raises Abandoned and PublishFailed.
        """
        now = self._resources.now().latest
        at = min(told.happened, now)
        match told.feedback:
            case ListChanged():
                self._lists.changed(at)
            case PromotionIssued() | PromotionRevoked():
                is_timed = told.has_own_time and told.happened <= moved(now, _CLOCKS_APART)
                notice = Notice(
                    event_id=told.origin.event_id,
                    issual_id=told.feedback.issual_id,
                    at=told.happened if is_timed else at,
                    is_timed=is_timed,
                )
                return await self._enrolment(taken, told, told.feedback, notice)
            case CustomerChanged():
                customer_id = self._known.who(taken, told.names)
                ids = () if customer_id is None else (customer_id,)
                await self._known.forget(taken, ids, told.names, at)
            case CustomersMerged(customer_ids):
                await self._known.forget(taken, customer_ids, told.names, at)
            case Unusable(message):
                self._tracker.unusable(told.event_name, message, taken.arrival.record)
                return "feedback_unusable"
            case _:
                assert_never(told.feedback)
        return "feedback"

    async def _enrolment(
        self, taken: Taken, told: Told, change: PromotionIssued | PromotionRevoked, notice: Notice
    ) -> str:
        """Enter that an enrolment was made, or taken back."""
        customer_id = self._known.who(taken, told.names)
        if customer_id is None:
            return "feedback_of_unknown"
        org_id = organisation(None, self._policy.org_id, told.origin.org_id)
        subject = Subject(change.promotion_id, change.program_id, "", org_id)
        async with self._turn_of(customer_id):
            standing = taken.ledger.standing(customer_id, subject)
            attempt = standing.attempt
            # What is taken back was made: it proves the attempt as well.
            is_proven = attempt is not None and changes.proves(attempt, standing, notice)
            after = standing
            if attempt is not None and is_proven:
                after = await self._settle(taken, subject, standing, attempt, notice)
            if isinstance(change, PromotionRevoked):
                after = changes.revoked(after, notice, is_proven=is_proven)
            elif not is_proven:
                after = changes.issued(after, notice)
            if after != standing:
                await taken.write(self._resources.sleep, StandingEntry(customer_id, subject, after))
        if isinstance(change, PromotionRevoked):
            await self._known.forget(taken, (customer_id,), (), notice.at)
        return "feedback"

    async def _settle(
        self, taken: Taken, subject: Subject, standing: Standing, attempt: Attempt, notice: Notice
    ) -> Standing:
        """Tell the event whose attempt it was; the attempt stays open until that is told."""
        plan = taken.ledger.plan_of(attempt.event_id)
        steps = () if plan is None else plan.steps
        same = (
            step.subject
            for step in steps
            if isinstance(step, Request)
            and (step.subject.program_id, step.subject.promotion_id)
            == (subject.program_id, subject.promotion_id)
        )
        named = next(same, None)
        if plan is not None and named is not None:
            known = taken.ledger.result_of(attempt.event_id, named)
            found = Applied(None, notice.issual_id)
            result = result_of_found(plan, known, named, attempt, found, self._resources.clock())
            if result is not known:
                await taken.write(self._resources.sleep, ResultEntry(plan.event_id, named, result))
            await taken.telling.outcome(plan.origin, result.outcome)
        return states.enrolled(standing, self._resources.machine_time(), issual_id=notice.issual_id)
