"""The story of an event: admit it, find the customer's promotions, enrol, tell what came of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

from topics.dead_letter import DeadLetterReason, Failure
from topics.record import Record
from worker.domain.answers import CustomerNotFound, Doubtful, Found, Misconfigured, Refused, Throttled, Unsent
from worker.domain.plan import Already, Enrol, Foreign, Step, UsedUp, exhausted_limit, plan
from worker.domain.promotions import CustomerPromotions, Identifier, IdentifierName
from worker.domain.settlement import (
    LimitExhausted,
    LimitUnexplained,
    NothingAvailable,
    PassedOver,
    PutAside,
    Rejected,
    Settlement,
    Subject,
    UnknownCustomer,
    Unsettled,
    WouldEnrol,
    settle_issue,
    settle_unasked,
)
from worker.intake import Admitted, PassOver, PutAway, Rules, TooOld, admit
from worker.outcomes import Origin, tell, tell_dead_letter
from worker.ports import Clock, PromotionsApi, Publisher, PublishFailed, Tracker
from worker.retrying import Retrying


class Enrolments:
    """Handles one record at a time per key, many keys at once. Its caller commits once `handle` returns."""

    def __init__(  # noqa: PLR0913 - what the use case needs of the world, wired in one place
        self,
        rules: Rules,
        *,
        group_id: str,
        api: PromotionsApi,
        publisher: Publisher,
        tracker: Tracker,
        retrying: Retrying,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._rules = rules
        self._group_id = group_id
        self._api = api
        self._publisher = publisher
        self._tracker = tracker
        self._retrying = retrying
        self._clock = clock

    async def handle(self, record: Record) -> None:
        """Take a record of the activity topic to its end.

        Returns when all that the record led to is acknowledged by Kafka; waits for the API meanwhile.
        Raises PublishFailed where Kafka did not acknowledge: the record must come again.
        """
        origin = Origin.of_record(record)
        try:
            admission = admit(record, self._rules, self._clock())
            origin = admission.origin
            match admission:
                case PassOver():
                    self._tracker.activity(admission.event_name, admission.why)
                case PutAway():
                    await self._put_away(record, admission)
                case TooOld():
                    self._tracker.activity(admission.event_name, "too_old")
                    await self._tell(origin, NothingAvailable(PassedOver.EVENT_TOO_OLD))
                case Admitted():
                    await self._enrol(record, admission)
                    self._tracker.activity(admission.event_name, "handled")
        except PublishFailed:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours in one event must not stop its partition
            self._tracker.fault(record, error)
            await self._put_away(
                record, PutAway(origin, DeadLetterReason.HANDLER_FAULT, f"worker: {type(error).__name__}")
            )

    async def _enrol(self, record: Record, event: Admitted) -> None:
        unsettled: list[PutAside] = []
        async for origin, settlement in self._settlements(event):
            if isinstance(settlement, PutAside):
                unsettled.append(settlement)
                event = replace(event, origin=origin)
            else:
                await self._tell(origin, settlement)
        if unsettled:
            first = unsettled[0]
            await self._put_aside(record, DeadLetterReason(first.reason), first.message, first.attempts)
        for settlement in unsettled:
            await self._tell(event.origin, settlement)

    async def _settlements(self, event: Admitted) -> AsyncIterator[tuple[Origin, Settlement]]:
        """Yield what becomes of the event, or of each of its promotions, as soon as it is settled."""
        answer, attempts = await self._retrying.lookup(
            lambda resend: self._api.lookup(event.identifier, resend_count=resend)
        )
        match answer:
            case Found(customer):
                origin = replace(event.origin, customer_id=customer.customer_id)
                async for settlement in self._promotions(event, customer):
                    yield origin, settlement
            case CustomerNotFound(errors):
                yield event.origin, UnknownCustomer(errors, attempts)
            case Refused(errors):
                yield event.origin, Rejected(errors, attempts)
            case Unsent() | Doubtful() | Throttled() | Misconfigured():
                yield (
                    event.origin,
                    PutAside(Unsettled.RETRIES_EXHAUSTED, "lookup: no usable answer", attempts),
                )

    async def _promotions(self, event: Admitted, customer: CustomerPromotions) -> AsyncIterator[Settlement]:
        """Enrol into one promotion after another, in the lookup's order."""
        steps = plan(
            customer,
            self._rules.policy,
            event_id=event.origin.activity.event_id,
            event_org=event.origin.org_id,
            now=self._clock(),
        )
        if not steps:
            yield NothingAvailable()
        source = event.identifier.source
        known = Identifier(IdentifierName.CUSTOMER_ID, str(customer.customer_id), source)
        for step in steps:
            yield await self._settle(step, known)

    async def _settle(self, step: Step, customer: Identifier) -> Settlement:
        match step:
            case Already() | UsedUp() | Foreign():
                return settle_unasked(step)
            case Enrol() if self._rules.dry_run:
                return WouldEnrol(Subject.of(step.promotion, step.org_id), step.key)
            case Enrol():
                return await self._issue(step, customer)

    async def _issue(self, step: Enrol, customer: Identifier) -> Settlement:
        program_id, promotion_id = step.promotion.program_id, step.promotion.promotion_id
        answer, attempts = await self._retrying.issue(
            lambda resend: self._api.issue(customer, program_id, promotion_id, step.key, resend_count=resend)
        )
        settled = settle_issue(step, answer, attempts)
        if isinstance(settled, LimitUnexplained):
            return await self._explain(settled, step, customer)
        return settled

    async def _explain(self, limit: LimitUnexplained, step: Enrol, customer: Identifier) -> LimitExhausted:
        """Read the customer's promotions once more, those that are no longer open to enrol into included."""
        answer, _ = await self._retrying.lookup(
            lambda resend: self._api.lookup(customer, available_to_enrol=False, resend_count=resend)
        )
        seen = None
        if isinstance(answer, Found):
            seen = answer.customer.find(step.promotion.program_id, step.promotion.promotion_id)
        return limit.explained(*exhausted_limit(seen))

    async def _tell(self, origin: Origin, settlement: Settlement) -> None:
        outcome = tell(origin, settlement, self._clock())
        await self._publisher.publish(origin.key, outcome)
        self._tracker.outcome(outcome)

    async def _put_away(self, record: Record, fault: PutAway) -> None:
        await self._put_aside(record, fault.reason, fault.message, 1)
        outcome = tell_dead_letter(fault.origin, fault.reason, 1, self._clock())
        await self._publisher.publish(fault.origin.key, outcome)
        self._tracker.outcome(outcome)
        self._tracker.activity(fault.origin.activity.event_name or "", "dead_lettered")

    async def _put_aside(self, record: Record, reason: DeadLetterReason, message: str, attempts: int) -> None:
        """Write the dead letter before its outcome: whoever reads the outcome finds the record."""
        if self._rules.dry_run:
            return
        now = self._clock()
        failure = Failure(
            reason=reason,
            message=message,
            position=record.position,
            timestamp_ms=record.timestamp_ms,
            group=self._group_id,
            attempts=attempts,
            first_failed_at=now,
            last_failed_at=now,
        )
        await self._publisher.put_aside(record, failure)
        self._tracker.dead_letter(failure)
