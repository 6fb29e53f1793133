"""Known customers: remembers what lookups show, and says when an event need not ask.

What is remembered lies in the ledger, beside the customer's standings: it goes where the partition goes.
"""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from worker.domain.answers import CustomerNotFound, Found, LookupAnswer
from worker.domain.catalogue import Listing, NotAsked, Unread
from worker.domain.known import Known, recall
from worker.domain.memory import Memory, Name, Nobody, shown
from worker.domain.promotions import CustomerPromotions, Identifier, IdentifierName
from worker.domain.settlement import UnknownCustomer
from worker.domain.times import Span, moved
from worker.enrolment.admission import Admitted
from worker.enrolment.catalogue import Lists
from worker.enrolment.known_names import KnownNames
from worker.enrolment.ports import Ledger, Tracker
from worker.enrolment.resources import Resources
from worker.enrolment.rules import Rules
from worker.enrolment.taking import Taken
from worker.latest import MOST_MOMENTS, Latest, Moments
from worker.ledger.entries import MemoryEntry
from worker.signs import Turn


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What there was when a lookup began."""

    listing: Listing | Unread | NotAsked
    at: Span
    began: float
    """On the timer."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What an event leads to without a lookup, and of whom; no id stands for an unknown customer."""

    customer_id: int | None
    known: Known


class KnownCustomers:
    """Remembers, recalls and forgets.

    If the operator trusts nothing it only forgets, as it is told: what was remembered before would count
    again.
    """

    def __init__(
        self, rules: Rules, resources: Resources, ledger: Ledger, lists: Lists, tracker: Tracker
    ) -> None:
        self._trust = rules.trust
        self._is_on = rules.trust.is_on and not rules.dry_run
        self._rules = rules
        self._resources = resources
        self._ledger = ledger
        self._lists = lists
        self._tracker = tracker
        self._names = KnownNames(rules, resources, ledger)
        self._turns: WeakValueDictionary[tuple[int, Identifier], Turn] = WeakValueDictionary()
        self._answered: Latest[tuple[int, int], float] = Latest(MOST_MOMENTS)
        """When the last lookup of a customer was answered, on the timer."""
        self._forgotten: Moments[int] = Moments()
        """Lookups that were under way then are not remembered."""

    def turn(self, taken: Taken, event: Admitted) -> AbstractAsyncContextManager[object]:
        """Return the lock of all events that name their customer so: they come in a burst, and one asks."""
        if not self._is_on:
            return nullcontext()
        return self._turns.setdefault((_partition(taken), event.identifier), Turn())

    async def glimpse(self) -> Glimpse:
        """Return what to hold the lookup against that begins now; may wait for a reading of the list."""
        if self._is_on:
            await self._lists.hold()
        listing = self._lists.listing() if self._is_on else NotAsked()
        return Glimpse(listing, self._resources.now(), self._resources.timer())

    async def recall(self, taken: Taken, event: Admitted, customer_id: int | None = None) -> Recalled | None:
        """Return what the event leads to by what is known, None if it must ask.

        `customer_id` is whom a lookup of this event found already. May wait for a reading of the list.
        """
        if not self._is_on or self._asks_anew(taken, event):
            return None
        # First: what is remembered must be what it is when the answer is given.
        glimpse = await self.glimpse()
        if customer_id is None:
            who, memory = self._find(taken, event.identifier)
        else:
            who, memory = customer_id, taken.ledger.memory(customer_id)
        if memory.seen is None:
            return None
        said = recall(
            memory,
            self._trust,
            event_name=event.event_name,
            listing=glimpse.listing,
            standing=lambda subject: taken.ledger.standing(who or 0, subject),
            learnt_org=event.origin.org_id,
            now=glimpse.at,
        )
        if not isinstance(said, Known):
            return None
        is_unknown = isinstance(said.settlements[0], UnknownCustomer)
        if is_unknown and (taken.arrival.hop or self._rules.not_found_grace is not None):
            # Such events come again to ask again.
            return None
        self._tracker.lookup_saved(self._reason(taken, who, said))
        return Recalled(None if is_unknown else who, said)

    async def remember(self, taken: Taken, event: Admitted, answer: LookupAnswer, began: Glimpse) -> None:
        """Note what a lookup showed, unless the lease is in doubt; never waits for Kafka's word."""
        if not self._is_on or not taken.lease.is_certain():
            return
        if isinstance(answer, Found):
            await self._remember_customer(taken, event.identifier, answer.customer, began)
        elif isinstance(answer, CustomerNotFound):
            name = Name(read_at=began.at.earliest, errors=answer.errors)
            await self._names.learn(taken, event.identifier, name, began.began)

    async def _remember_customer(
        self, taken: Taken, who: Identifier, customer: CustomerPromotions, began: Glimpse
    ) -> None:
        customer_id = customer.customer_id
        if self._forgotten.is_since(customer_id, began.began):
            return
        forgotten_at = taken.ledger.memory(customer_id).forgotten_at
        seen = shown(
            customer,
            began.listing,
            began.at,
            programs=self._trust.policy.program_ids,
            forgotten_at=forgotten_at,
        )
        await taken.ledger.note(MemoryEntry(customer_id, Memory(seen, forgotten_at)))
        self._answered.put((_partition(taken), customer_id), self._resources.timer())
        named = int(who.value) if who.name is IdentifierName.CUSTOMER_ID else None
        if named == customer_id:
            return
        if named is not None and taken.ledger.memory(named).seen is not None:
            # It was merged into the one that was found.
            await taken.ledger.note(MemoryEntry(named, Memory(None, began.at.earliest)))
        await self._names.learn(taken, who, Name(read_at=seen.read_at, customer_id=customer_id), began.began)

    async def forget(
        self, taken: Taken, customer_ids: Iterable[int], names: Iterable[Identifier], at: datetime
    ) -> None:
        """Let nothing count any more that was read of these customers before what changed at that time shows.

        The time is none that is still to come. In all partitions that are ours: their events may come under
        several keys. Returns once Kafka has acknowledged it; raises Abandoned and PublishFailed.
        """
        if self._rules.dry_run:
            return
        # What changes may take as long to show as what is enrolled.
        shows = timedelta(seconds=self._rules.settle_seconds)
        until = moved(at, shows)
        meant = set(customer_ids)
        for who in names:
            meant |= await self._names.forget(taken, who, until)
        for customer_id in meant:
            self._forgotten.put(customer_id, self._resources.timer())
            # All at first: a store that holds every partition in one would show only the first of them.
            remembering = [
                each
                for each in self._ledger.every()
                if _is_out_of_date(each.memory(customer_id), at=at, until=until)
            ]
            for ledger in remembering:
                forgotten_at = _later(ledger.memory(customer_id).forgotten_at, at)
                entry = MemoryEntry(customer_id, Memory(None, forgotten_at))
                await taken.write(self._resources.sleep, entry, to=ledger)

    def who(self, taken: Taken, names: Iterable[Identifier]) -> int | None:
        """Return whom the names mean, as far as they or lookups of late tell."""
        for each in names:
            if each.name is IdentifierName.CUSTOMER_ID:
                return int(each.value)
            found, _ = self._find(taken, each)
            if found is not None:
                return found
        return None

    def _asks_anew(self, taken: Taken, event: Admitted) -> bool:
        """Whether an event is there to ask: by its name, or because an operator wants it asked again."""
        is_again = taken.arrival.redriven is not None or self._rules.retry_rejected
        return is_again or event.event_name in self._trust.always

    def _find(self, taken: Taken, who: Identifier) -> tuple[int | None, Memory]:
        """Return the customer's id and what is remembered of them; no id if nobody is known by the name."""
        if who.name is IdentifierName.CUSTOMER_ID:
            memory = taken.ledger.memory(int(who.value))
            if memory.seen is not None:
                return int(who.value), memory
        name = self._names.find(taken.ledger, who)
        if name is None:
            return None, Memory()
        if name.customer_id is None:
            return None, Memory(Nobody(read_at=name.read_at, errors=name.errors))
        memory = taken.ledger.memory(name.customer_id)
        is_held = name.holds(self._trust.length, self._resources.now(), memory.forgotten_at)
        return (name.customer_id, memory) if is_held else (None, Memory())

    def _reason(self, taken: Taken, who: int | None, said: Known) -> str:
        if said.by_feedback:
            return "feedback"
        came, answered = taken.delivery.taken_at, self._answered.get((_partition(taken), who or 0))
        is_burst = came is not None and answered is not None and came <= answered
        return "burst" if is_burst else "known"


def as_known(event: Admitted, recalled: Recalled) -> Admitted:
    """Return the event as one of the customer that was recalled."""
    return replace(event, origin=replace(event.origin, customer_id=recalled.customer_id))


def _partition(taken: Taken) -> int:
    return taken.arrival.record.position.partition


def _is_out_of_date(memory: Memory, *, at: datetime, until: datetime) -> bool:
    """Whether what is remembered was read before a change showed, of which nobody has told yet."""
    is_news = memory.forgotten_at is None or memory.forgotten_at < at
    return memory.seen is not None and memory.seen.read_at <= until and is_news


def _later(first: datetime | None, second: datetime) -> datetime:
    return second if first is None else max(first, second)
