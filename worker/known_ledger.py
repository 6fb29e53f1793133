"""A ledger that is only looked at: another group's, by a dry run, or our own, to explain a decision."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.domain.ledger import Standing
from worker.domain.settlement import Subject
from worker.no_ledger import NoLedger
from worker.standings import Read, standing_of


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


class KnownLedger(NoLedger):
    """Knows customers' standings, and the organisation. Implements `worker.ports.Ledger`.

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
