"""One request of a plan, brought to its result: never sent while the fate of an earlier one is unknown.

Before a request leaves, the attempt is in the ledger. While an attempt has no result, nothing more is sent:
first it is found out what became of it, by what the customer's promotions show beyond what was noted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from topics.outcome import Outcome, OutcomeName
from worker.domain import ledger as states
from worker.domain.answers import Doubtful, Fault, FaultKind, IssueAnswer, LeftOpen, Throttled
from worker.domain.evidence import Applied, Evidence, Finding, NotShown
from worker.domain.faults import treatment
from worker.domain.ledger import Ask, Attempt, CoolingDown, Limit, NotAgain, OwnEnrolment, Settle, Standing
from worker.domain.promotions import Identifier, IdentifierName
from worker.domain.settlement import (
    Enrolled,
    LimitUnexplained,
    PutAside,
    Settlement,
    Subject,
    settle_by_ledger,
    settle_issue,
    settle_unprocessable,
)
from worker.domain.times import Span
from worker.enrolment.checkpoints import Checkpoint, Probe
from worker.enrolment.doubts import Doubts, reconciled, unsettled
from worker.enrolment.lease import until_certain
from worker.enrolment.outcomes import tell
from worker.enrolment.ports import PromotionsApi
from worker.enrolment.reconciliation import Readings, Unread
from worker.enrolment.rules import Rules
from worker.enrolment.telling import Taken
from worker.ledger.entries import (
    EventPlan,
    LedgerEntry,
    PlanEntry,
    Request,
    Result,
    ResultEntry,
    StandingEntry,
)
from worker.resilience.circuit import Call
from worker.resilience.retrying import Retrying
from worker.timing import Clock, Sleep


@dataclass(frozen=True, slots=True)
class World:
    """What settling needs of the world. `timer` counts seconds and only grows."""

    api: PromotionsApi
    readings: Readings
    retrying: Retrying
    clock: Clock
    timer: Callable[[], float]
    sleep: Sleep
    probe: Probe
    span: Callable[[], Span] | None = None
    """Between which times it is for certain; None where the clock is not doubted."""
    machine: Clock | None = None
    """This machine's own clock, which no answer of the API sets; None where `clock` is that."""

    def machine_time(self) -> datetime:
        """Return the time to hold moments of our own group against each other by."""
        return self.clock() if self.machine is None else self.machine()

    def now(self) -> Span:
        """Return between which times it is."""
        return Span.at(self.clock()) if self.span is None else self.span()


class Settling:
    """Settles the requests of one event, one after another.

    Its caller keeps others in this process from working on the customer meanwhile. Each call raises
    Abandoned where the partition is no longer ours, PublishFailed where Kafka did not acknowledge.
    """

    def __init__(
        self,
        world: World,
        rules: Rules,
        plan: EventPlan,
        *,
        is_written: bool,
        reopens: bool,
        taken: Taken,
        account: str | None = None,
    ) -> None:
        """Go on from the plan; `reopens` what was rejected, as a redrive does.

        `account` is that of the plan's source, by the event: it may name a person, so no plan keeps it.
        """
        self._world = world
        self._rules = rules
        self._plan = plan
        self._unwritten: tuple[LedgerEntry, ...] = () if is_written else (PlanEntry(plan.event_id, plan),)
        self._is_resumed = is_written
        self._reopens = reopens
        self._opening = 0
        self._ledger, self._lease, self._telling = taken.ledger, taken.lease, taken.telling
        who = str(plan.customer_id)
        self._customer = Identifier(IdentifierName.CUSTOMER_ID, who, plan.source, account)

    async def settle(self, request: Request) -> Outcome | PutAside:
        """Return the outcome, in the ledger and not yet told, or why the request cannot be settled now.

        Waits for the API, for Kafka, and as long as an attempt in doubt may take to show.
        """
        if (known := self._known(request)) is not None:
            return known
        done: Outcome | PutAside | LeftOpen | None = None
        since = self._world.timer()
        doubts = Doubts(self._world.retrying)
        while True:
            standing = self._standing(request.subject)
            advice = states.advise(
                standing,
                event_id=self._plan.event_id,
                key=request.key,
                after=request.after,
                reenrol=self._rules.policy.reenrol,
                cool_down=self._rules.limit_cool_down,
                now=self._world.clock(),
            )
            match advice:
                case OwnEnrolment() | NotAgain() | CoolingDown():
                    settlement = settle_by_ledger(advice, request.subject)
                    return await self._record(request.subject, settlement, standing)
                case Settle(attempt):
                    finding = await self._find_out(request.subject, attempt, since)
                    if attempt.event_id != self._plan.event_id:
                        done = await self._settle_anothers(request, attempt, finding)
                    elif isinstance(finding, NotShown) and not doubts.is_over:
                        await doubts.tries.begin()
                        done = await self._ask(request, standing, attempt.number + 1, attempt.noted)
                    else:
                        done = await self._settle_own(request, attempt, finding, doubts.last)
                case Ask():
                    done = await self._ask_first(request, standing, doubts)
                case _:
                    assert_never(advice)
            since = self._world.timer()
            if isinstance(done, LeftOpen):
                await doubts.add(done)
            elif done is not None:
                return done

    def _known(self, request: Request) -> Outcome | None:
        """Return the outcome that stands; else say to which opening of the promotion all belongs now."""
        result = self._ledger.result_of(self._plan.event_id, request.subject)
        if result is not None and not result.reopened:
            if not self._is_asked_anew(request, result):
                return result.outcome
            reopened = ResultEntry(self._plan.event_id, request.subject, replace(result, reopened=True))
            self._unwritten = (*self._unwritten, reopened)
        self._opening = 0 if result is None else result.opening + 1
        return None

    def _is_asked_anew(self, request: Request, result: Result) -> bool:
        """Whether a rejection counts no more: reopened now, or by an earlier release without a note."""
        if result.outcome.outcome is not OutcomeName.REJECTED:
            return False
        attempt = self._standing(request.subject).attempt
        is_open = attempt is not None and attempt.event_id == self._plan.event_id
        return self._reopens or (is_open and attempt is not None and not result.is_of(attempt))

    async def keep_plan(self) -> None:
        """Write the plan, if it is not in the ledger yet."""
        if self._unwritten:
            await self._write()

    async def _noted(self, request: Request, standing: Standing) -> Evidence | Unread:
        """Return what was seen before the request: by the plan, or anew if that may lack our last enrolment.

        An enrolment of ours that shows only afterwards would be taken for what the request came to. And of a
        request that nothing could tell the fate of, the first answer must be to a reading: credentials that
        are refused since it was planned are waited out by that.
        """
        if self._is_resumed and request.noted == Evidence():
            return await self._world.readings.note(self._customer, request.subject, 0.0, self._lease)
        if standing.enrolment is None:
            return request.noted
        unshown = standing.enrolment.unshown_for(
            self._plan.read_at, self._world.machine_time(), timedelta(seconds=self._rules.settle_seconds)
        )
        if unshown is None:
            return request.noted
        seconds = unshown.total_seconds()
        return await self._world.readings.note(self._customer, request.subject, seconds, self._lease)

    async def _ask_first(
        self, request: Request, standing: Standing, doubts: Doubts
    ) -> Outcome | PutAside | LeftOpen:
        noted = await self._noted(request, standing)
        if isinstance(noted, Unread):
            return unsettled(request, 1, noted)
        await doubts.tries.begin()
        return await self._ask(request, standing, 1, noted)

    async def _ask(
        self, request: Request, standing: Standing, number: int, noted: Evidence
    ) -> Outcome | PutAside | LeftOpen:
        """Send the request, with the attempt in the ledger before; what leaves it open settles nothing."""
        world = self._world
        attempt = Attempt(self._plan.event_id, request.key, number, noted, self._opening)
        opened = states.begin(standing, attempt)
        began = world.timer()

        async def send(resend: int) -> IssueAnswer:
            if resend == 0 or noted == Evidence():
                await self._write(self._standing_entry(request.subject, opened))
                world.probe(Checkpoint.PLANNED)
            answer = await self._send(request, number - 1 + resend)
            if noted == Evidence() and isinstance(answer, Fault) and not treatment(answer).may_be_applied:
                # An attempt that nothing can tell the fate of is open only while there is a doubt: the next
                # try may be hours away, and whoever found it open after a restart could not send it any more.
                await self._write(self._standing_entry(request.subject, states.released(opened)))
            return answer

        answer, sends = await world.retrying.issue(self._plan.customer_id, send)
        world.probe(Checkpoint.ANSWERED)
        if isinstance(answer, Doubtful) or (isinstance(answer, Throttled) and answer.may_be_applied):
            return answer
        alone = world.retrying.served_since(Call.ISSUE, began)
        settled = settle_issue(request.subject, request.key, answer, number + sends - 1, alone=alone)
        if isinstance(settled, LimitUnexplained):
            explained = settled.explained(*await world.readings.explain(self._customer, request.subject))
            limit = Limit(world.clock(), explained.reason, explained.restriction)
            return await self._record(request.subject, explained, states.limited(opened, limit))
        after = (
            states.enrolled(opened, world.machine_time())
            if isinstance(settled, Enrolled)
            else states.released(opened)
        )
        return await self._record(request.subject, settled, after)

    async def _send(self, request: Request, resend: int) -> IssueAnswer:
        await until_certain(self._lease, self._world.sleep)
        return await self._world.api.issue(
            self._customer,
            request.subject.program_id,
            request.subject.promotion_id,
            request.key,
            resend_count=resend,
            may_send=self._lease.is_certain,
        )

    async def _find_out(self, subject: Subject, attempt: Attempt, since: float) -> Finding | Unread:
        """Look into an attempt, unless it has a result and only the standing was not written."""
        result = self._ledger.result_of(attempt.event_id, subject)
        if result is not None and result.is_of(attempt):
            known = result.outcome
            return Applied(known.enrollment_id) if known.outcome is OutcomeName.ENROLLED else NotShown()
        return await self._world.readings.find_out(self._customer, subject, attempt.noted, since, self._lease)

    async def _settle_own(
        self, request: Request, attempt: Attempt, finding: Finding | Unread, doubt: Doubtful | None
    ) -> Outcome | PutAside:
        standing = self._standing(request.subject)
        if isinstance(finding, Applied):
            settlement = reconciled(request.subject, attempt, finding)
            after = states.enrolled(standing, self._world.machine_time(), finding.enrolment_id)
            return await self._record(request.subject, settlement, after)
        if isinstance(finding, NotShown):
            released = states.released(standing)
            if doubt is not None and doubt.kind is FaultKind.UNPROCESSABLE:
                rejected = settle_unprocessable(request.subject, request.key, attempt.number)
                return await self._record(request.subject, rejected, released)
            await self._write(self._standing_entry(request.subject, released))
        return unsettled(request, attempt.number, finding, doubt)

    async def _settle_anothers(
        self, request: Request, attempt: Attempt, finding: Finding | Unread
    ) -> PutAside | None:
        """Settle another event's attempt that stood in the way; tell its outcome where it succeeded.

        The attempt stays open until the outcome is told: nobody else would tell it if we died in between.
        """
        subject = request.subject
        standing = self._standing(subject)
        if isinstance(finding, NotShown):
            await self._write(self._standing_entry(subject, states.released(standing)))
            return None
        if not isinstance(finding, Applied):
            return unsettled(request, attempt.number, finding)
        other = self._ledger.plan_of(attempt.event_id)
        if other is not None:
            result = self._ledger.result_of(attempt.event_id, subject)
            if result is None or not result.is_of(attempt):
                outcome = tell(other.origin, reconciled(subject, attempt, finding), self._world.clock())
                result = Result(outcome, 0 if result is None else result.opening + 1)
                await self._write(ResultEntry(other.event_id, subject, result))
            await self._telling.outcome(other.origin, result.outcome)
        after = states.enrolled(standing, self._world.machine_time(), finding.enrolment_id)
        await self._write(self._standing_entry(subject, after))
        return None

    async def _record(self, subject: Subject, settlement: Settlement, after: Standing) -> Outcome | PutAside:
        """Write the result, with every field of its outcome, before the outcome is told."""
        if isinstance(settlement, PutAside):
            await self._write(self._standing_entry(subject, after))
            return settlement
        outcome = tell(self._plan.origin, settlement, self._world.clock())
        await self._write(
            ResultEntry(self._plan.event_id, subject, Result(outcome, self._opening)),
            self._standing_entry(subject, after),
        )
        self._world.probe(Checkpoint.RECORDED)
        return outcome

    def _standing(self, subject: Subject) -> Standing:
        return self._ledger.standing(self._plan.customer_id, subject)

    def _standing_entry(self, subject: Subject, standing: Standing) -> StandingEntry:
        return StandingEntry(self._plan.customer_id, subject, standing)

    async def _write(self, *entries: LedgerEntry) -> None:
        """Write in one batch, the plan first if it is not in the ledger yet."""
        await until_certain(self._lease, self._world.sleep)
        await self._ledger.write(*self._unwritten, *entries)
        self._unwritten = ()
