"""Which event a record is: its identity, and the plan that was made for it before, if there is one.

An identity may come again with another key or customer: upstream numbers its events anew, or the topic was
made anew and positions stand for ids. That is another event, and the first one's plan is none of its own.
"""

from collections.abc import Callable
from dataclasses import replace
from weakref import WeakValueDictionary

from topics.activity import Activity, read_activity
from topics.record import Record
from worker.domain.promotions import IdentifierName
from worker.enrolment.admission import Admitted
from worker.enrolment.ports import PartitionLedger, Tracker
from worker.ledger.entries import EventPlan, KeyHashes
from worker.signs import Turn

KeyHashesOf = Callable[[bytes | None], KeyHashes | None]
"""Hashes a record's key."""


class Identities:
    """Tells events apart by the plans in the ledger."""

    def __init__(self, tracker: Tracker, key_hashes_of: KeyHashesOf) -> None:
        self._tracker = tracker
        self._key_hashes_of = key_hashes_of
        self._turns: WeakValueDictionary[str, Turn] = WeakValueDictionary()

    def turn(self, event: Admitted) -> Turn:
        """Return the lock of all events of this identity: two at once would both find no plan."""
        return self._turns.setdefault(event.origin.event_id, Turn())

    def began(self, record: Record, ledger: PartitionLedger) -> bool:
        """Whether the ledger has a plan for this record's event, under its key."""
        reading = read_activity(record)
        if not isinstance(reading, Activity):
            return False
        hashes = self._key_hashes_of(record.key)
        for identity in (reading.identity, reading.event_id):
            while (plan := ledger.plan_of(identity)) is not None:
                if has_key(plan, hashes):
                    return True
                identity = f"{identity}#{record.position}"  # noqa: PLW2901 - the one that it would have then
        return False

    def of(
        self, event: Admitted, record: Record, ledger: PartitionLedger
    ) -> tuple[Admitted, EventPlan | None]:
        """Return the event under its own identity, and its plan, None if it has none yet.

        A plan of an earlier release counts for a CloudEvent by its id alone, if key and customer agree: that
        release did not note the source, and a second enrolment is worse than one too few.
        """
        event = replace(event, key_hashes=self._key_hashes_of(record.key))
        identity = event.origin.event_id
        early = event.origin.activity.event_id
        if early != identity:
            plan = ledger.plan_of(early)
            if plan is not None and plan.is_early and is_for(plan, event):
                return event, plan
        is_reused = False
        while (plan := ledger.plan_of(identity)) is not None and not is_for(plan, event):
            identity, is_reused = f"{identity}#{record.position}", True
        if is_reused:
            self._tracker.identity_reused(event.event_name, record)
            event = replace(event, origin=replace(event.origin, identity=identity))
        return event, plan


def is_for(plan: EventPlan, event: Admitted) -> bool:
    """Whether a plan under the event's identity was made for this very event: same key, same customer.

    One name that agrees is enough, an event may be sent again with more of them; so is having none in common.
    """
    if not has_key(plan, event.key_hashes):
        return False
    named = event.identifier.name is IdentifierName.CUSTOMER_ID
    if named and int(event.identifier.value) == plan.customer_id:
        return True
    if set(plan.marks) & set(event.marks):
        return True
    if plan.is_early and plan.key_hashes is not None:
        # Without marks the place tells: customers are merged, and then have another id than the event names.
        here = event.origin.activity
        there = plan.origin.activity
        if (here.topic, here.partition, here.offset) == (there.topic, there.partition, there.offset):
            return True
    in_common = {name for name, _ in plan.marks} & {name for name, _ in event.marks}
    return not (named or in_common)


def has_key(plan: EventPlan, hashes: KeyHashes | None) -> bool:
    """Whether a plan is of the same key, as far as the release that made it noted that."""
    return plan.key_hashes == hashes or (plan.is_early and plan.key_hashes is None)
