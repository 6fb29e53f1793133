"""Ports of the use case to the world. Adapters implement these; tests bring their own."""

from collections.abc import Callable, Iterable
from typing import Protocol

from topics.dead_letter import Failure
from topics.outcome import Outcome
from topics.record import Position, Record
from worker.domain.answers import CatalogueAnswer, Fault, IssueAnswer, LookupAnswer
from worker.domain.ledger import Standing
from worker.domain.memory import Memory, Name
from worker.domain.priority import Priority
from worker.domain.promotions import Identifier
from worker.domain.settlement import Subject
from worker.ledger.entries import EventPlan, LedgerEntry, MemoryEntry, NameEntry, Result
from worker.resilience.ports import CallTracker


class PromotionsApi(Protocol):
    """The Capillary API. One call is one attempt: it never raises for what the network or the server does."""

    async def lookup(
        self,
        identifier: Identifier,
        *,
        available_to_enrol: bool = True,
        resend_count: int = 0,
        priority: Priority = Priority.LIVE,
    ) -> LookupAnswer:
        """Read all pages of the customer's enrol-and-issue promotions.

        With `available_to_enrol` only those that the customer can still enrol into; without it all of
        them, also those that a success has made vanish (reconciliation, the reason of an 8890): that goes on
        with what is begun, whatever the priority.
        Waits for a connection and for each page, at most the request time-out for each.
        """
        ...

    async def issue(
        self,
        identifier: Identifier,
        program_id: int,
        promotion_id: int,
        idempotency_key: str,
        *,
        resend_count: int = 0,
        may_send: Callable[[], bool] = lambda: True,
    ) -> IssueAnswer:
        """Enrol the customer into the promotion, once. `idempotency_key` comes unquoted.

        `may_send` is asked at the last moment, with a connection in hand; on False nothing is sent.
        """
        ...

    async def serves(self) -> bool:
        """Tell whether the API is at work: one cheap read that changes nothing and names no customer.

        False if nobody answers in time, and on 408, 425, 429 and 5xx; anything else is an answer, also
        one that refuses us. Waits at most the request time-out (for a new token as well).
        """
        ...


class PromotionList(Protocol):
    """The organisation's own list of promotions, without customers."""

    async def live_promotions(self) -> CatalogueAnswer:
        """Read all pages of the live promotions; one call is one attempt, as with `PromotionsApi`.

        Waits at most the request time-out for each page.
        """
        ...


class Ledger(Protocol):
    """What is known across restarts, partition by partition."""

    def of(self, record: Record) -> "PartitionLedger":
        """Return the ledger of the record's partition; entries that are written bear its key's hashes."""
        ...

    def every(self) -> Iterable["PartitionLedger"]:
        """Yield the ledger of each partition that is ours; what is written there replaces what is there."""
        ...


class PartitionLedger(Protocol):
    """What is known across restarts of the events of one partition."""

    def plan_of(self, event_id: str) -> EventPlan | None:
        """Return the event's plan, None if it never got to its first request."""
        ...

    def result_of(self, event_id: str, subject: Subject) -> Result | None:
        """Return what the event's promotion came to, None while it never had a result."""
        ...

    def standing(self, customer_id: int, subject: Subject) -> Standing:
        """Return what is known of the customer in the promotion, whatever organisation it lies under."""
        ...

    def organisation(self) -> int | None:
        """Return the organisation that was learnt from events, None as long as none has named one."""
        ...

    def organisations(self) -> frozenset[int]:
        """Return the organisations that standings were written under: keys of any of them may be in use."""
        ...

    def memory(self, customer_id: int) -> Memory:
        """Return what is remembered of the customer."""
        ...

    def name(self, name_hash: str) -> Name | None:
        """Return whom a lookup found under the name that the hash stands for."""
        ...

    async def write(self, *entries: LedgerEntry) -> None:
        """Write the entries in this order; returns once Kafka has acknowledged all of them."""
        ...

    async def note(self, *entries: MemoryEntry | NameEntry) -> None:
        """Write entries without waiting for Kafka; they are read at once, and may get lost."""
        ...


class Publisher(Protocol):
    """Where results go. A call returns once Kafka has acknowledged the record (acks=all).

    Each raises PublishFailed if it did not: nothing of the event may be committed then.
    """

    async def publish(self, key: bytes, outcome: Outcome) -> None:
        """Write an outcome record."""
        ...

    async def dead_letter(self, record: Record, failure: Failure) -> None:
        """Write the record to the dead-letter topic as it came, with the failure in its headers."""
        ...

    async def defer(self, record: Record, failure: Failure, hop: int, redriven: str | None) -> bool:
        """Write the record to the retry topic of that number, 1 for the first, on its own partition.

        `redriven` is the mark of a redrive, which the record keeps from hop to hop.
        Returns False if that topic cannot take it: it is too large.
        """
        ...


class Letters(Protocol):
    """The dead letters as they lie."""

    async def bears_out(self, letter: Position, redriven: Record) -> bool | None:
        """Tell whether the record is what a redrive makes of the dead letter at that position.

        None when nobody can tell any more: the letter is gone, or may not be read. Waits for Kafka.
        """
        ...


class NoLetters:
    """Knows of no dead letters: none can be told of."""

    async def bears_out(self, letter: Position, redriven: Record) -> bool | None:  # noqa: ARG002 - the port's
        """Tell nothing."""
        return None


class Tracker(CallTracker, Protocol):
    """Told of what happens, for metrics and logs; never told a name of a person."""

    def activity(self, event_name: str, result: str) -> None:
        """Count an event by what was done with it: handled, passed over, dead-lettered."""
        ...

    def identity_reused(self, event_name: str, record: Record) -> None:
        """Count and report an event whose identity another one had before, of another key or customer."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """Count an outcome that Kafka has acknowledged."""
        ...

    def told_all(self, seconds: float) -> None:
        """Note the age of an event by its own time when its last outcome was acknowledged."""
        ...

    def deferred(self, failure: Failure, hop: int, reason: str) -> None:
        """Count a record that was moved to a retry topic; the reason may say more than its header."""
        ...

    def dead_letter(self, failure: Failure) -> None:
        """Count a record that was dead-lettered."""
        ...

    def unusable(self, event_name: str, message: str, record: Record) -> None:
        """Report a notification that lacks what it is about."""
        ...

    def lookup_saved(self, reason: str) -> None:
        """Count an event that asked nobody: by what is known, the catalogue, feedback, or in a burst."""
        ...

    def fault(self, record: Record, error: Exception) -> None:
        """Report a fault of the worker's own code while it handled the record."""
        ...


class CatalogueTracker(Protocol):
    """Told of the readings of the promotion list."""

    def catalogue_read(self, promotions: int, open_to_us: int) -> None:
        """Note a complete reading: how many are live, and how many of them may be enrolled into by us."""
        ...

    def catalogue_failed(self, fault: Fault, attempt: int, seconds: float) -> None:
        """Note that a reading failed, for the n-th time in a row, and when the next one may begin."""
        ...


class Stamps(Protocol):
    """What records are stamped with, and how Kafka takes it."""

    def stamp_ms(self) -> int:
        """Return what to stamp a record with that is written now, in milliseconds since the epoch."""
        ...

    def appended(self, at_ms: int) -> None:
        """Hear Kafka's own time of a record that it has just acknowledged."""
        ...


class PublishFailed(Exception):  # noqa: N818 - reads as what happened
    """Kafka did not acknowledge a record: nothing of its event may be committed."""


class StampRefused(PublishFailed):
    """Kafka takes no record that is stamped as ours are."""


class LedgerFailed(PublishFailed):
    """The ledger's local copy cannot be read or written: nothing of the event may be decided or committed."""
