"""The story of an event: admit it, find the customer's promotions, enrol, tell what came of it."""

from collections.abc import Callable
from datetime import datetime
from weakref import WeakValueDictionary

from topics.dead_letter import DeadLetterReason
from topics.names import TopicNames
from topics.origin import Origin
from topics.record import Record
from worker.domain.answers import Found
from worker.domain.promotions import CustomerPromotions
from worker.domain.settlement import NothingAvailable, PassedOver
from worker.domain.times import Span
from worker.enrolment.admission import Admission, Admitted, PassOver, PutAway, TooOld, admit
from worker.enrolment.arrivals import Arrival, Claim, Damaged, NotOurs, arrive
from worker.enrolment.carrying_out import CarryingOut
from worker.enrolment.catalogue import nothing_ruled_out
from worker.enrolment.deferral import Aside
from worker.enrolment.delivery import Delivery
from worker.enrolment.identities import Identities, LaneOf
from worker.enrolment.lease import Abandoned
from worker.enrolment.lookups import look_up
from worker.enrolment.organisation import Organisation
from worker.enrolment.planning import plan_event
from worker.enrolment.ports import Ledger, Letters, NoLetters, Publisher, PublishFailed, Tracker
from worker.enrolment.resources import Resources
from worker.enrolment.rules import Rules
from worker.enrolment.telling import Means, Taken, Telling
from worker.enrolment.unfound import Unfound
from worker.ledger.entries import EventPlan
from worker.signs import Turn


class Enrolments:
    """Handles one record at a time per key, many keys at once. Its caller commits once `handle` returns."""

    def __init__(  # noqa: PLR0913 - what the use case is made of
        self,
        rules: Rules,
        resources: Resources,
        *,
        ledger: Ledger,
        names: TopicNames,
        publisher: Publisher,
        tracker: Tracker,
        lane_of: LaneOf,
        letters: Letters = NoLetters(),  # noqa: B008 - it has no state
        ruled_out: Callable[[Span], bool] = nothing_ruled_out,
    ) -> None:
        """`ruled_out` tells whether a lookup would certainly find nothing to enrol into now."""
        self._rules, self._resources, self._ledger, self._names = rules, resources, ledger, names
        self._tracker, self._letters, self._ruled_out = tracker, letters, ruled_out
        aside = Aside(
            names.group_id,
            publisher,
            tracker,
            clock=resources.clock,
            sleep=resources.sleep,
            dry_run=rules.dry_run,
        )
        self._means = Means(
            publisher=publisher,
            tracker=tracker,
            aside=aside,
            clock=resources.clock,
            sleep=resources.sleep,
            probe=resources.probe,
        )
        self._identities = Identities(tracker, lane_of)
        self._organisation = Organisation(rules.policy.org_id, resources.sleep, keeps=not rules.dry_run)
        self._unfound = Unfound(resources, rules)
        self._carrying_out = CarryingOut(resources, rules, tracker)
        self._customers: WeakValueDictionary[int, Turn] = WeakValueDictionary()

    async def handle(self, delivery: Delivery) -> None:
        """Take a record of the activity topic, or of a retry topic, to its end.

        Returns when all that the record led to is acknowledged by Kafka; waits for the API meanwhile. Raises
        PublishFailed when Kafka did not acknowledge and Abandoned when the partition is no longer ours: the
        record must come again.
        """
        arrival = await self._arrived(delivery.record)
        if isinstance(arrival, NotOurs):
            self._tracker.activity("", arrival.why)
            return
        taken, origin = self._taken(arrival, delivery), Origin.of_record(arrival.record)
        if isinstance(arrival, Damaged):
            await taken.telling.dead_letter(origin, DeadLetterReason.MALFORMED_EVENT, arrival.message)
            return
        try:
            admission = await self._admit(taken)
            origin = admission.origin
            match admission:
                case PassOver():
                    self._tracker.activity(admission.event_name, admission.why)
                case PutAway():
                    await taken.telling.dead_letter(origin, admission.reason, admission.message)
                case TooOld(event) | (Admitted() as event):
                    async with self._identities.turn(event):
                        own, plan = self._identities.of(event, taken.arrival.record, taken.ledger)
                        origin = own.origin
                        await self._take_to_its_end(taken, own, plan, is_old=isinstance(admission, TooOld))
        except (PublishFailed, Abandoned):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours in one event must not stop its partition
            self._tracker.fault(delivery.record, error)
            message = f"worker: {type(error).__name__}"
            await taken.telling.dead_letter(origin, DeadLetterReason.HANDLER_FAULT, message)

    async def _arrived(self, record: Record) -> Arrival | NotOurs | Damaged:
        """Say what the record is; a redrive is one by its dead letter, else by the ledger."""
        arrival = arrive(record, self._names)
        if not isinstance(arrival, Claim):
            return arrival
        is_true = await self._letters.bears_out(arrival.letter, record)
        if is_true is None:
            is_true = self._identities.began(arrival.original, self._ledger.of(record))
        return arrival.true if is_true else arrival.false

    def _taken(self, arrival: Arrival | Damaged, delivery: Delivery) -> Taken:
        whole = Arrival(arrival.record) if isinstance(arrival, Damaged) else arrival
        telling = Telling(self._means, whole, delivery.lease)
        ledger = self._ledger.of(delivery.record)
        return Taken(arrival=whole, lease=delivery.lease, ledger=ledger, telling=telling)

    async def _admit(self, taken: Taken) -> Admission:
        """Decide what the record is good for; what it teaches of its organisation is kept first."""
        now, learnt = self._resources.now().earliest, self._organisation.known(taken.ledger)
        admission = admit(taken.arrival.record, self._rules, now, learnt)
        if not isinstance(admission, PassOver):
            await self._organisation.keep(taken, admission.origin.org_id)
        return admission

    async def _take_to_its_end(
        self, taken: Taken, event: Admitted, known: EventPlan | None, *, is_old: bool
    ) -> None:
        """Take the event to its end, and count what was done with it; an old one only if it was begun."""
        is_begun = known is not None or taken.arrival.hop > 0 or taken.arrival.redriven is not None
        if is_old and not is_begun:
            await taken.telling.settlement(event.origin, NothingAvailable(PassedOver.EVENT_TOO_OLD))
            self._tracker.activity(event.event_name, "too_old")
            return
        if known is None or (known.is_of_nobody and self._carrying_out.reopens(taken)):
            await self._look_up(taken, event)
        elif known.is_of_nobody:
            await self._unfound.tell_again(taken, known)
        else:
            async with self._customer(known.customer_id):
                await self._carrying_out.enrol_each(taken, event, known, is_written=True)
        self._tracker.activity(event.event_name, "handled")

    async def _look_up(self, taken: Taken, event: Admitted) -> None:
        """Look the customer up, and go on with what is found."""
        if self._ruled_out(self._resources.now()):
            await taken.telling.settlement(event.origin, NothingAvailable(PassedOver.CATALOGUE))
            return
        read_at, began = self._resources.machine_time(), self._resources.timer()
        answer, attempts = await look_up(self._resources, event)
        if not isinstance(answer, Found):
            await self._unfound.tell(taken, event, answer, attempts=attempts, began=began)
            return
        turn = self._customer(answer.customer.customer_id)
        was_busy = turn.locked()
        async with turn:
            if was_busy:
                # Another event of this customer, under another key, was at work since the lookup: what that
                # showed counts no more, whatever comes of this one.
                read_at, began = self._resources.machine_time(), self._resources.timer()
                answer, attempts = await look_up(self._resources, event)
                if not isinstance(answer, Found):
                    await self._unfound.tell(taken, event, answer, attempts=attempts, began=began)
                    return
            plan = self._plan(taken, event, answer.customer, read_at)
            await self._carrying_out.enrol_each(taken, event, plan, is_written=False)

    def _plan(
        self, taken: Taken, event: Admitted, customer: CustomerPromotions, read_at: datetime
    ) -> EventPlan:
        now, span = self._resources.clock(), self._resources.now()
        return plan_event(event, customer, taken.ledger, self._rules, now, read_at=read_at, span=span)

    def _customer(self, customer_id: int) -> Turn:
        """Return the lock of a customer, whom records of different keys may name."""
        return self._customers.setdefault(customer_id, Turn())
