"""The story of an event: admit it, find the customer's promotions, enrol, tell what came of it."""

from weakref import WeakValueDictionary

from topics.dead_letter import DeadLetterReason
from topics.names import TopicNames
from topics.origin import Origin
from worker.domain.settlement import NothingAvailable, PassedOver, UnknownCustomer
from worker.enrolment.admission import Admission, Admitted, PassOver, Told, TooOld, Unusable, admit
from worker.enrolment.arrivals import NotOurs
from worker.enrolment.carrying_out import CarryingOut
from worker.enrolment.catalogue import Lists, NoCatalogue
from worker.enrolment.delivery import Delivery
from worker.enrolment.feedback import Feedback
from worker.enrolment.identities import Identities, KeyHashesOf
from worker.enrolment.known_customers import KnownCustomers, Recalled, as_known
from worker.enrolment.lease import Abandoned
from worker.enrolment.looking_up import LookingUp
from worker.enrolment.organisation import Organisation
from worker.enrolment.planning import plan_event, plan_of_known
from worker.enrolment.ports import Ledger, Letters, NoLetters, Publisher, PublishFailed, Tracker
from worker.enrolment.resources import Resources
from worker.enrolment.rules import Rules
from worker.enrolment.taking import Taken, Taking
from worker.enrolment.telling import means_of_telling
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
        key_hashes_of: KeyHashesOf,
        letters: Letters = NoLetters(),  # noqa: B008 - it has no state
        lists: Lists = NoCatalogue(),  # noqa: B008 - it has no state
    ) -> None:
        self._rules, self._resources, self._tracker, self._lists = rules, resources, tracker, lists
        self._identities = Identities(tracker, key_hashes_of)
        means = means_of_telling(resources, publisher, tracker, names.group_id, dry_run=rules.dry_run)
        self._taking = Taking(ledger, letters, self._identities, means, names)
        self._organisation = Organisation(rules.policy.org_id, resources.sleep, keeps=not rules.dry_run)
        self._known = KnownCustomers(rules, resources, ledger, lists, tracker)
        self._feedback = Feedback(
            rules, resources, self._known, lists, tracker=tracker, turn_of=self._customer
        )
        self._looking_up = LookingUp(resources, rules, self._known)
        self._carrying_out = CarryingOut(resources, rules, tracker)
        self._customers: WeakValueDictionary[int, Turn] = WeakValueDictionary()

    async def handle(self, delivery: Delivery) -> None:
        """Take a record of the activity topic, or of a retry topic, to its end.

        Returns when all that the record led to is acknowledged by Kafka; waits for the API meanwhile. Raises
        PublishFailed when Kafka did not acknowledge and Abandoned when the partition is no longer ours: the
        record must come again.
        """
        taken = await self._taking.take(delivery)
        if isinstance(taken, NotOurs):
            self._tracker.activity("", taken.why)
            return
        origin = Origin.of_record(taken.arrival.record)
        try:
            admission = await self._admit(taken)
            origin = admission.origin
            match admission:
                case PassOver():
                    self._tracker.activity(admission.event_name, admission.why)
                case Told():
                    result = await self._feedback.heed(taken, admission)
                    self._tracker.activity(admission.event_name, result)
                case Unusable():
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
        taken.telling.measure(origin)

    async def _admit(self, taken: Taken) -> Admission:
        """Decide what the record is good for; what it teaches of its organisation is kept first."""
        if taken.damage is not None:
            return taken.damage
        now, learnt = self._resources.now().earliest, self._organisation.known(taken.ledger)
        admission = admit(taken.arrival.record, self._rules, now, learnt)
        if not isinstance(admission, PassOver | Told):
            await self._organisation.keep(taken, admission.origin.org_id)
        return admission

    async def _take_to_its_end(
        self, taken: Taken, event: Admitted, known: EventPlan | None, *, is_old: bool
    ) -> None:
        """Take the event to its end, and count what was done with it; an old one only if it was begun."""
        if event.told is not None:
            await self._feedback.heed(taken, event.told)
        is_begun = known is not None or taken.arrival.hop > 0 or taken.arrival.redriven is not None
        if is_old and not is_begun:
            await taken.telling.settlement(event.origin, NothingAvailable(PassedOver.EVENT_TOO_OLD))
            self._tracker.activity(event.event_name, "too_old")
            return
        if known is None or (known.is_of_nobody and self._carrying_out.reopens(taken)):
            await self._look_up(taken, event)
        elif known.is_of_nobody:
            await self._looking_up.tell_again(taken, known)
        else:
            async with self._customer(known.customer_id):
                await self._carrying_out.enrol_each(taken, event, known, is_written=True)
        self._tracker.activity(event.event_name, "handled")

    async def _look_up(self, taken: Taken, event: Admitted) -> None:
        """Look the customer up, unless it is known what that shows; and go on with what is found."""
        if self._lists.rules_out(self._resources.now()):
            await taken.telling.settlement(event.origin, NothingAvailable(PassedOver.CATALOGUE))
            self._tracker.lookup_saved("catalogue")
            return
        async with self._known.turn(taken, event):
            recalled = await self._known.recall(taken, event)
            if recalled is None:
                await self._ask(taken, event)
            else:
                await self._tell_known(taken, event, recalled)

    async def _ask(self, taken: Taken, event: Admitted) -> None:
        """Look the customer up, and go on with what is found."""
        found = await self._looking_up.find(taken, event)
        if found is None:
            return
        turn = self._customer(found[0].customer_id)
        was_busy = turn.locked()
        async with turn:
            if was_busy:
                # Another event of this customer, under another key, was at work since the lookup: what that
                # showed counts no more, whatever comes of this one.
                recalled = await self._known.recall(taken, event, found[0].customer_id)
                if recalled is not None:
                    await self._tell_known(taken, event, recalled)
                    return
                found = await self._looking_up.find(taken, event)
                if found is None:
                    return
            customer, read_at = found
            now, span = self._resources.clock(), self._resources.now()
            plan = plan_event(event, customer, taken.ledger, self._rules, now, read_at=read_at, span=span)
            await self._carrying_out.enrol_each(taken, event, plan, is_written=False)

    async def _tell_known(self, taken: Taken, event: Admitted, recalled: Recalled) -> None:
        """Tell what a lookup would have led to."""
        event = as_known(event, recalled)
        match recalled.known.settlements:
            case (UnknownCustomer() as unknown,):
                await self._looking_up.tell_unknown(taken, event, unknown)
            case (NothingAvailable() as nothing,):
                await taken.telling.settlement(event.origin, nothing)
            case settlements:
                plan = plan_of_known(event, settlements, self._resources.clock())
                await self._carrying_out.enrol_each(taken, event, plan, is_written=False)

    def _customer(self, customer_id: int) -> Turn:
        """Return the lock of a customer, whom records of different keys may name."""
        return self._customers.setdefault(customer_id, Turn())
