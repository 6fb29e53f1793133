"""Ledgers that write nothing: the empty one of a dry run, and one that is only looked at.

That one is another group's, in a dry run, or our own, to explain a decision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from topics.record import Record
from worker.domain.ledger import UNKNOWN, Standing
from worker.domain.memory import Memory, Name
from worker.domain.settlement import Subject
from worker.ledger.entries import EventPlan, LedgerEntry, MemoryEntry, NameEntry, Result
from worker.ledger.standings import Read, standing_of


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Where what is known is read from."""

    read: Read
    """Reads an entry by its key."""
    organisation: Callable[[], int | None] = lambda: None
    """Tells which organisation was learnt."""
    organisations: Callable[[], frozenset[int]] = frozenset
    """Tells which organisations standings were written under."""
    entries: Callable[[], int] = lambda: 0
    """Tells how many entries there are."""


class NoLedger:
    """Knows nothing and writes nothing. Implements `worker.enrolment.ports.PartitionLedger`, and `Ledger`."""

    def of(self, record: Record) -> Self:  # noqa: ARG002 - the port's
        """Know nothing of any partition."""
        return self

    def plan_of(self, event_id: str) -> EventPlan | None:  # noqa: ARG002 - the port's
        """Know of no plan."""
        return None

    def result_of(self, event_id: str, subject: Subject) -> Result | None:  # noqa: ARG002 - the port's
        """Know of no result."""
        return None

    def standing(self, customer_id: int, subject: Subject) -> Standing:  # noqa: ARG002 - the port's
        """Know nothing of the customer."""
        return UNKNOWN

    def organisation(self) -> int | None:
        """Have learnt none."""
        return None

    def organisations(self) -> frozenset[int]:
        """Know of none."""
        return frozenset()

    def every(self) -> tuple[Self, ...]:
        """Have no partitions."""
        return ()

    def memory(self, customer_id: int) -> Memory:  # noqa: ARG002 - the port's
        """Remember nothing."""
        return Memory()

    def name(self, name_hash: str) -> Name | None:  # noqa: ARG002 - the port's
        """Know nobody by name."""
        return None

    def entries(self) -> int:
        """Hold none."""
        return 0

    async def note(self, *entries: MemoryEntry | NameEntry) -> None:
        """Refuse, as `write` does."""
        await self.write(*entries)

    async def write(self, *entries: LedgerEntry) -> None:
        """Refuse: a dry run sends nothing that would have to be remembered."""
        raise RuntimeError(f"a dry run was about to write {len(entries)} ledger entries")


class KnownLedger(NoLedger):
    """Knows customers' standings, and the organisation. Implements `worker.enrolment.ports.Ledger`.

    It knows of no event's plan: a plan of another group holds requests, which are not ours to send.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._known = knowledge

    def standing(self, customer_id: int, subject: Subject) -> Standing:
        """Return what is known of the customer in the promotion."""
        return standing_of(self._known.read, self.organisations(), customer_id, subject)

    def organisation(self) -> int | None:
        """Return the organisation that was learnt."""
        return self._known.organisation()

    def organisations(self) -> frozenset[int]:
        """Return the organisations that standings were written under."""
        return self._known.organisations()

    def entries(self) -> int:
        """Return how many entries there are."""
        return self._known.entries()
