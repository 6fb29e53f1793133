"""The story of an event: admit it, find the customer's promotions, enrol, tell what came of it."""

from collections.abc import Callable
from datetime import datetime
from weakref import WeakValueDictionary

from topics.dead_letter import DeadLetterReason
from topics.names import TopicNames
from topics.origin import Origin
from topics.outcome import Outcome
from topics.record import Record
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
from worker.domain.settlement import (
    Deferred,
    NothingAvailable,
    PassedOver,
    PutAside,
    Rejected,
    Settlement,
    UnknownCustomer,
    Unsettled,
    put_aside,
)
from worker.domain.times import Span, is_within
from worker.enrolment.admission import Admission, Admitted, PassOver, PutAway, TooOld, admit
from worker.enrolment.arrivals import Arrival, Claim, Damaged, NotOurs, arrive
from worker.enrolment.attempts import Settling, World
from worker.enrolment.catalogue import nothing_ruled_out
from worker.enrolment.checkpoints import Checkpoint
from worker.enrolment.deferral import Aside
from worker.enrolment.identities import Identities, LaneOf
from worker.enrolment.lease import Abandoned, Lease, until_certain
from worker.enrolment.lookups import look_up
from worker.enrolment.organisation import Organisation
from worker.enrolment.outcomes import tell, tell_dead_letter
from worker.enrolment.planning import plan_event
from worker.enrolment.ports import Letters, NoLetters, Publisher, PublishFailed, Tracker
from worker.enrolment.rules import Rules
from worker.ledger.entries import NOBODY, EventPlan, Foregone, PlanEntry, Request
from worker.resilience.circuit import Call
from worker.signs import Turn

_UNKNOWN_YET = "customer: not found, and the event is younger than ENROLMENT_NOT_FOUND_GRACE_SECONDS"


class Enrolments:
    """Handles one record at a time per key, many keys at once. Its caller commits once `handle` returns."""

    def __init__(  # noqa: PLR0913 - what the use case is made of
        self,
        rules: Rules,
        world: World,
        *,
        names: TopicNames,
        publisher: Publisher,
        tracker: Tracker,
        lane_of: LaneOf,
        letters: Letters = NoLetters(),  # noqa: B008 - it has no state
        ruled_out: Callable[[Span], bool] = nothing_ruled_out,
    ) -> None:
        """`ruled_out` tells whether a lookup would certainly find nothing to enrol into now."""
        self._rules = rules
        self._world = world
        self._names = names
        self._publisher = publisher
        self._tracker = tracker
        self._letters = letters
        self._identities = Identities(world.ledger, tracker, lane_of)
        self._ruled_out = ruled_out
        self._aside = Aside(
            group_id=names.group_id,
            publisher=publisher,
            tracker=tracker,
            clock=world.clock,
            sleep=world.sleep,
            dry_run=rules.dry_run,
        )
        self._organisation = Organisation(
            rules.policy.org_id, world.ledger, world.sleep, keeps=not rules.dry_run
        )
        self._customers: WeakValueDictionary[int, Turn] = WeakValueDictionary()

    async def handle(self, record: Record, lease: Lease) -> None:
        """Take a record of the activity topic, or of a retry topic, to its end.

        Returns when all that the record led to is acknowledged by Kafka; waits for the API meanwhile. Raises
        PublishFailed where Kafka did not acknowledge and Abandoned where the partition is no longer ours: the
        record must come again.
        """
        arrival = await self._arrived(record)
        if isinstance(arrival, NotOurs):
            self._tracker.activity("", arrival.why)
            return
        origin = Origin.of_record(arrival.record)
        if isinstance(arrival, Damaged):
            fault = PutAway(origin, DeadLetterReason.MALFORMED_EVENT, arrival.message)
            await self._put_away(Arrival(arrival.record), fault, lease)
            return
        try:
            admission = await self._admit(arrival.record, lease)
            origin = admission.origin
            match admission:
                case PassOver():
                    self._tracker.activity(admission.event_name, admission.why)
                case PutAway():
                    await self._put_away(arrival, admission, lease)
                case TooOld(event) | (Admitted() as event):
                    async with self._identities.turn(event):
                        own, plan = self._identities.of(event, arrival.record)
                        origin = own.origin
                        await self._enrol(arrival, own, plan, lease, is_old=isinstance(admission, TooOld))
        except (PublishFailed, Abandoned):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours in one event must not stop its partition
            self._tracker.fault(record, error)
            fault = PutAway(origin, DeadLetterReason.HANDLER_FAULT, f"worker: {type(error).__name__}")
            await self._put_away(arrival, fault, lease)

    async def _arrived(self, record: Record) -> Arrival | NotOurs | Damaged:
        """Say what the record is; a redrive is one by its dead letter, else by the ledger."""
        arrival = arrive(record, self._names)
        if not isinstance(arrival, Claim):
            return arrival
        is_true = await self._letters.bears_out(arrival.letter, record)
        if is_true is None:
            is_true = self._identities.began(arrival.original)
        return arrival.true if is_true else arrival.false

    async def _admit(self, record: Record, lease: Lease) -> Admission:
        """Decide what the record is good for; what it teaches of its organisation is kept first."""
        admission = admit(record, self._rules, self._world.now().earliest, self._organisation.known())
        if not isinstance(admission, PassOver):
            await self._organisation.keep(record.position.partition, admission.origin.org_id, lease)
        return admission

    async def _enrol(
        self, arrival: Arrival, event: Admitted, known: EventPlan | None, lease: Lease, *, is_old: bool
    ) -> None:
        """Take the event to its end, and count what was done with it; an old one only if it was begun."""
        is_begun = known is not None or arrival.hop > 0 or arrival.redriven is not None
        if is_old and not is_begun:
            await self._settle(event.origin, NothingAvailable(PassedOver.EVENT_TOO_OLD), lease)
            self._tracker.activity(event.event_name, "too_old")
            return
        await self._go_on(arrival, event, known, lease)
        self._tracker.activity(event.event_name, "handled")

    async def _go_on(self, arrival: Arrival, event: Admitted, known: EventPlan | None, lease: Lease) -> None:
        """Go on from the event's plan where there is one, else make one out of a lookup."""
        if known is not None and known.is_of_nobody and not self._reopens(arrival):
            await self._tell_again(known, lease)
            return
        if known is not None and not known.is_of_nobody:
            async with self._customer(known.customer_id):
                await self._carry_out(arrival, event, known, lease, is_written=True)
            return
        if self._ruled_out(self._world.now()):
            await self._settle(event.origin, NothingAvailable(PassedOver.CATALOGUE), lease)
            return
        read_at, began = self._world.machine_time(), self._world.timer()
        answer, attempts = await look_up(self._world, event)
        if isinstance(answer, Found):
            await self._enrol_found(arrival, event, answer.customer, read_at, lease)
            return
        await self._not_read(arrival, event, answer, attempts=attempts, began=began, lease=lease)

    async def _not_read(
        self,
        arrival: Arrival,
        event: Admitted,
        answer: CustomerNotFound | Refused | Fault,
        *,
        attempts: int,
        began: float,
        lease: Lease,
    ) -> None:
        """Settle an event whose lookup, begun at `began` on the timer, found no customer, or set it aside."""
        match answer:
            case CustomerNotFound(errors):
                await self._not_found(arrival, event, UnknownCustomer(errors, attempts), lease)
            case Refused(errors):
                await self._settle(event.origin, Rejected(errors, attempts), lease)
            case Unsent() | Doubtful() | Throttled() | Misconfigured():
                alone = self._world.retrying.served_since(Call.LOOKUP, began)
                lost = put_aside(f"lookup: {describe(answer)}", answer, attempts, alone=alone)
                await self._set_aside(arrival, event.origin, [lost], lease)

    async def _not_found(
        self, arrival: Arrival, event: Admitted, unknown: UnknownCustomer, lease: Lease
    ) -> None:
        """Settle it; but of a young event the customer's registration may be on its way still."""
        if self._is_young(arrival, event):
            hop = 1
            aside = PutAside(Unsettled.RETRIES_EXHAUSTED, _UNKNOWN_YET, unknown.attempts)
            if await self._aside.defer(arrival, aside, hop, lease):
                await self._settle(event.origin, Deferred(hop, aside, unknown.errors), lease)
                return
        await self._keep_unknown(event, unknown, lease)

    async def _keep_unknown(self, event: Admitted, unknown: UnknownCustomer, lease: Lease) -> None:
        """Tell that the customer is unknown; a replay tells the same, and asks nobody."""
        outcome = tell(event.origin, unknown, self._world.clock())
        plan = EventPlan(event.origin, NOBODY, (Foregone(outcome),), marks=event.marks, lane=event.lane)
        if not self._rules.dry_run:
            await until_certain(lease, self._world.sleep)
            await self._world.ledger.write(PlanEntry(plan.event_id, plan))
        await self._tell_again(plan, lease)

    async def _tell_again(self, plan: EventPlan, lease: Lease) -> None:
        for step in plan.steps:
            if isinstance(step, Foregone):
                await self._tell(plan.origin, step.outcome, lease)

    def _reopens(self, arrival: Arrival) -> bool:
        """Whether an operator wants what was refused to be asked for anew."""
        return arrival.redriven is not None or self._rules.retry_rejected

    def _is_young(self, arrival: Arrival, event: Admitted) -> bool:
        """Whether the event is within the grace by its own time, and since it was first seen by our clock.

        Its own time may lie ahead for ever; what first failed ahead of our clock is not waited for again.
        """
        grace, now = self._rules.not_found_grace, self._world.clock()
        if grace is None or now - event.happened >= grace:
            return False
        return arrival.earlier is None or is_within(arrival.earlier.first_failed_at, grace, now)

    async def _enrol_found(
        self,
        arrival: Arrival,
        event: Admitted,
        customer: CustomerPromotions,
        read_at: datetime,
        lease: Lease,
    ) -> None:
        turn = self._customer(customer.customer_id)
        was_busy = turn.locked()
        async with turn:
            if was_busy:
                # Another event of this customer, under another key, was at work since the lookup: what that
                # showed counts no more, whatever comes of this one.
                read_at, began = self._world.machine_time(), self._world.timer()
                answer, attempts = await look_up(self._world, event)
                if not isinstance(answer, Found):
                    await self._not_read(arrival, event, answer, attempts=attempts, began=began, lease=lease)
                    return
                customer = answer.customer
            plan = plan_event(
                event,
                customer,
                self._world.ledger,
                self._rules,
                self._world.clock(),
                read_at=read_at,
                span=self._world.now(),
            )
            await self._carry_out(arrival, event, plan, lease, is_written=False)

    async def _carry_out(
        self, arrival: Arrival, event: Admitted, plan: EventPlan, lease: Lease, *, is_written: bool
    ) -> None:
        """Settle one promotion after another, in the lookup's order; tell each as soon as it is settled."""

        async def tell_for(origin: Origin, outcome: Outcome) -> None:
            await self._tell(origin, outcome, lease)

        settling = Settling(
            self._world,
            self._rules,
            plan,
            is_written=is_written,
            reopens=self._reopens(arrival),
            lease=lease,
            tell_outcome=tell_for,
            account=event.identifier.account if event.identifier.source == plan.source else None,
        )
        if self._must_be_kept(plan) or (not is_written and self._world.ledger.plan_of(plan.event_id)):
            await settling.keep_plan()
        if not plan.steps:
            await self._settle(plan.origin, NothingAvailable(), lease)
        unsettled: list[PutAside] = []
        for step in plan.steps:
            match step:
                case Foregone(outcome):
                    await self._tell(plan.origin, outcome, lease)
                case Request():
                    done = await self._settled(settling, step, arrival)
                    if isinstance(done, PutAside):
                        unsettled.append(done)
                    else:
                        await self._tell(plan.origin, done, lease)
        if unsettled:
            await self._set_aside(arrival, plan.origin, unsettled, lease)

    def _must_be_kept(self, plan: EventPlan) -> bool:
        """Whether a replay without the plan could find otherwise for what is told before a request."""
        if self._rules.dry_run:
            return False
        reenrol = self._rules.policy.reenrol
        return any(isinstance(step, Request) for step in plan.steps[1:]) or any(
            isinstance(step, Foregone) and not step.holds(reenrol) for step in plan.steps
        )

    async def _settled(self, settling: Settling, step: Request, arrival: Arrival) -> Outcome | PutAside:
        """Settle a request; a fault of ours leaves this promotion unsettled and the others unharmed."""
        try:
            return await settling.settle(step)
        except (PublishFailed, Abandoned):
            raise
        except Exception as error:  # noqa: BLE001 - see above
            self._tracker.fault(arrival.record, error)
            message = f"worker: {type(error).__name__}"
            return PutAside(Unsettled.HANDLER_FAULT, message, 1, step.subject, step.key)

    def _customer(self, customer_id: int) -> Turn:
        """Return the lock of a customer, whom records of different keys may name."""
        return self._customers.setdefault(customer_id, Turn())

    async def _settle(self, origin: Origin, settlement: Settlement, lease: Lease) -> None:
        await self._tell(origin, tell(origin, settlement, self._world.clock()), lease)

    async def _tell(self, origin: Origin, outcome: Outcome, lease: Lease) -> None:
        await until_certain(lease, self._world.sleep)
        await self._publisher.publish(origin.key, outcome)
        self._tracker.outcome(outcome)
        self._world.probe(Checkpoint.TOLD)

    async def _set_aside(
        self, arrival: Arrival, origin: Origin, unsettled: list[PutAside], lease: Lease
    ) -> None:
        """Write one record for the event, then an outcome for each promotion that is not settled."""
        hop = await self._aside.put(arrival, unsettled, lease)
        for aside in unsettled:
            await self._settle(origin, aside if hop is None else Deferred(hop, aside), lease)

    async def _put_away(self, arrival: Arrival, fault: PutAway, lease: Lease) -> None:
        await self._aside.bury(arrival, fault.reason, fault.message, 1, lease)
        outcome = tell_dead_letter(fault.origin, fault.reason, 1, self._world.clock())
        await self._tell(fault.origin, outcome, lease)
        self._tracker.activity(fault.origin.activity.event_name or "", "dead_lettered")
