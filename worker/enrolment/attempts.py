"""One request of a plan, brought to its result: never sent while the fate of an earlier one is unknown.

Before a request leaves, the attempt is in the ledger. While an attempt has no result, nothing more is sent:
first it is found out what became of it, by what the customer's promotions show beyond what was noted.
"""

from datetime import timedelta
from typing import assert_never

from topics.outcome import Outcome, OutcomeName
from worker.domain import ledger as states
from worker.domain.answers import Doubtful, Fault, FaultKind, IssueAnswer, Throttled
from worker.domain.evidence import Applied, Evidence, Finding, NotShown
from worker.domain.faults import treatment
from worker.domain.identity import Reenrol
from worker.domain.ledger import (
    Ask,
    Attempt,
    CoolingDown,
    Enrolment,
    FindOut,
    Limit,
    NotAgain,
    OwnEnrolment,
    Standing,
)
from worker.domain.promotions import Identifier
from worker.domain.settlement import Enrolled, LimitUnexplained, Settlement, Unresolved
from worker.domain.settling import settle_by_ledger, settle_issue, settle_unprocessable
from worker.enrolment.checkpoints import Checkpoint
from worker.enrolment.doubts import Doubts, reconciled, result_of_found, unresolved
from worker.enrolment.event_ledger import EventLedger
from worker.enrolment.lease import until_certain
from worker.enrolment.reconciliation import Unread
from worker.enrolment.resources import Resources
from worker.enrolment.rules import Rules
from worker.enrolment.taking import Taken
from worker.ledger.entries import Request, ResultEntry
from worker.resilience.circuit import Call


class Attempts:
    """The attempts at one request, step by step as the ledger advises.

    Its caller keeps others in this process from working on the customer meanwhile. Each call raises
    Abandoned when the partition is no longer ours, PublishFailed when Kafka did not acknowledge.
    """

    def __init__(  # noqa: PLR0913 - one request, and all that it takes
        self,
        resources: Resources,
        rules: Rules,
        *,
        taken: Taken,
        ledger: EventLedger,
        customer: Identifier,
        request: Request,
        opening: int,
        is_resumed: bool,
    ) -> None:
        """Begin, or go on from what an earlier delivery left: `is_resumed` when that made the plan."""
        self._resources = resources
        self._rules = rules
        self._taken = taken
        self._ledger = ledger
        self._plan = ledger.plan
        self._customer = customer
        self._request = request
        self._subject = request.subject
        self._opening = opening
        self._is_resumed = is_resumed
        self._doubts = Doubts(resources.retrying)
        self._since = resources.timer()
        """When the last attempt was over, or was found."""

    async def enrol(self) -> Outcome | Unresolved:
        """Return the outcome, in the ledger and not yet told, or why there is none for now.

        Waits for the API, for Kafka, and as long as an attempt in doubt may take to show.
        """
        done: Outcome | Unresolved | None = None
        while done is None:
            done = await self._step()
        return done

    async def _step(self) -> Outcome | Unresolved | None:
        """Do what the ledger advises; None if more is to be done."""
        standing = self._ledger.standing(self._subject)
        advice = states.advise(
            standing,
            event_id=self._plan.event_id,
            key=self._request.key,
            after=self._request.after,
            reenrol=self._rules.policy.reenrol,
            after_revoke=self._rules.policy.reenrol_after_revoke,
            revocations=self._request.revocations,
            cool_down=self._rules.limit_cool_down,
            now=self._resources.clock(),
        )
        match advice:
            case OwnEnrolment() | NotAgain() | CoolingDown():
                return await self._record(settle_by_ledger(advice, self._subject), standing)
            case FindOut(attempt) if attempt.event_id == self._plan.event_id:
                return await self._find_out_own(standing, attempt)
            case FindOut(attempt):
                return await self._find_out_anothers(attempt)
            case Ask():
                return await self._ask_first(standing)
            case _:
                assert_never(advice)

    async def _ask_first(self, standing: Standing) -> Outcome | Unresolved | None:
        """Make the first attempt, once it is known what there is before it."""
        noted = await self._note(standing)
        if isinstance(noted, Unread):
            return unresolved(self._request, 1, noted)
        return await self._ask(standing, 1, noted)

    async def _note(self, standing: Standing) -> Evidence | Unread:
        """Return what was seen before the request: by the plan, or anew if that may lack our last enrolment.

        An enrolment of ours that shows only afterwards would be taken for what the request came to. And of a
        request that nothing could tell the fate of, the first answer must be to a reading: credentials that
        are refused since it was planned are waited out by that.
        """
        readings, noted, lease = self._resources.readings, self._request.noted, self._taken.lease
        if self._is_resumed and noted == Evidence():
            return await readings.note(self._customer, self._subject, 0.0, lease)
        if standing.enrolment is None:
            return noted
        unshown = standing.enrolment.unshown_for(
            self._plan.read_at,
            self._resources.machine_time(),
            timedelta(seconds=self._rules.settle_seconds),
        )
        if unshown is None:
            return noted
        return await readings.note(self._customer, self._subject, unshown.total_seconds(), lease)

    async def _ask(self, standing: Standing, number: int, noted: Evidence) -> Outcome | Unresolved | None:
        """Send the request, with the attempt in the ledger before; None if the answer leaves it open."""
        await self._doubts.tries.begin()
        began = self._resources.timer()
        attempt = Attempt(
            event_id=self._plan.event_id,
            key=self._request.key,
            number=number,
            noted=noted,
            opening=self._opening,
            begun_at=standing.attempt.begun_at if standing.attempt else self._resources.now().earliest,
        )
        opened = states.begin(standing, attempt)
        answer, sends = await self._resources.retrying.issue(
            self._plan.customer_id, lambda resend: self._send(opened, attempt, resend)
        )
        self._resources.probe(Checkpoint.ANSWERED)
        self._since = self._resources.timer()
        if isinstance(answer, Doubtful) or (isinstance(answer, Throttled) and answer.may_be_applied):
            await self._doubts.add(answer)
            return None
        alone = self._resources.retrying.served_since(Call.ISSUE, began)
        settled = settle_issue(self._subject, self._request.key, answer, number + sends - 1, alone=alone)
        if isinstance(settled, LimitUnexplained):
            explained = settled.explained(
                *await self._resources.readings.explain(self._customer, self._subject)
            )
            limit = Limit(self._resources.clock(), explained.reason, explained.restriction)
            return await self._record(explained, states.limited(opened, limit))
        if isinstance(settled, Enrolled):
            now, issual_id = self._resources.machine_time(), settled.issual_id
            return await self._record(settled, states.enrolled(opened, now, issual_id=issual_id))
        return await self._record(settled, states.released(opened))

    async def _send(self, opened: Standing, attempt: Attempt, resend: int) -> IssueAnswer:
        """Send it once; an attempt that nothing can tell the fate of is noted for each sending.

        Such a one is open only while there is a doubt: the next try may be hours away, and whoever found it
        open after a restart could not send it any more.
        """
        tells_nothing = attempt.noted == Evidence()
        if resend == 0 or tells_nothing:
            await self._ledger.stands(self._subject, opened)
            self._resources.probe(Checkpoint.PLANNED)
        await until_certain(self._taken.lease, self._resources.sleep)
        answer = await self._resources.api.issue(
            self._customer,
            self._subject.program_id,
            self._subject.promotion_id,
            self._request.key,
            resend_count=attempt.number - 1 + resend,
            may_send=self._taken.lease.is_certain,
        )
        if tells_nothing and isinstance(answer, Fault) and not treatment(answer).may_be_applied:
            await self._ledger.stands(self._subject, states.released(opened))
        return answer

    async def _find_out(self, attempt: Attempt) -> Finding | Unread:
        """Look into an attempt, unless it has a result and only the standing was not written."""
        result = self._ledger.result_of(attempt.event_id, self._subject)
        if result is not None and result.is_of(attempt):
            known = result.outcome
            return Applied(known.enrollment_id) if known.outcome is OutcomeName.ENROLLED else NotShown()
        return await self._resources.readings.find_out(
            self._customer, self._subject, attempt.noted, self._since, self._taken.lease
        )

    async def _find_out_own(self, standing: Standing, attempt: Attempt) -> Outcome | Unresolved | None:
        """Find out what became of our own attempt, and send it again if it did not show and may be."""
        finding, doubt = await self._find_out(attempt), self._doubts.last
        if isinstance(finding, Applied):
            after = states.enrolled(standing, self._resources.machine_time(), finding.enrolment_id)
            return await self._record(reconciled(self._subject, attempt, finding), after)
        if isinstance(finding, NotShown):
            others = self._others(standing, attempt)
            if others is not None:
                settled = settle_by_ledger(NotAgain(others), self._subject)
                return await self._record(settled, states.released(standing))
            if not self._doubts.is_over:
                return await self._ask(standing, attempt.number + 1, attempt.noted)
            if doubt is not None and doubt.kind is FaultKind.UNPROCESSABLE:
                rejected = settle_unprocessable(
                    self._subject, self._request.key, attempt.number, doubt.request_id
                )
                return await self._record(rejected, states.released(standing))
            await self._ledger.stands(self._subject, states.released(standing))
        return unresolved(self._request, attempt.number, finding, doubt)

    def _others(self, standing: Standing, attempt: Attempt) -> Enrolment | None:
        """Return an enrolment that was told of since the attempt began, and that `once` does not repeat."""
        policy = self._rules.policy
        if policy.reenrol is not Reenrol.ONCE:
            return None
        known = standing.forbids(after_revoke=policy.reenrol_after_revoke)
        return None if known is None or known.key == attempt.key else known

    async def _find_out_anothers(self, attempt: Attempt) -> Unresolved | None:
        """Find out what became of another event's attempt that stood in the way; tell it if it succeeded.

        The attempt stays open until the outcome is told: nobody else would tell it if we died in between.
        """
        finding = await self._find_out(attempt)
        standing = self._ledger.standing(self._subject)
        if isinstance(finding, Applied):
            await self._tell_anothers(attempt, finding)
            after = states.enrolled(standing, self._resources.machine_time(), finding.enrolment_id)
        elif isinstance(finding, NotShown):
            after = states.released(standing)
        else:
            return unresolved(self._request, attempt.number, finding)
        await self._ledger.stands(self._subject, after)
        self._since = self._resources.timer()
        return None

    async def _tell_anothers(self, attempt: Attempt, found: Applied) -> None:
        other = self._ledger.plan_of(attempt.event_id)
        if other is None:
            return
        known = self._ledger.result_of(attempt.event_id, self._subject)
        result = result_of_found(other, known, self._subject, attempt, found, self._resources.clock())
        if result is not known:
            await self._ledger.write(ResultEntry(other.event_id, self._subject, result))
        await self._taken.telling.outcome(other.origin, result.outcome)

    async def _record(self, settlement: Settlement, after: Standing) -> Outcome | Unresolved:
        return await self._ledger.record(self._subject, settlement, after, self._opening)
