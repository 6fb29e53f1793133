"""A ledger that is only looked at: another group's, by a dry run, or our own, to explain a decision."""

from collections.abc import Callable

from worker import ledger_format
from worker.domain.ledger import UNKNOWN, Standing
from worker.domain.settlement import Subject
from worker.no_ledger import NoLedger


class KnownLedger(NoLedger):
    """Knows customers' standings. Implements `worker.ports.Ledger`.

    It knows of no event's plan: a plan of another group holds requests, which are not ours to send.
    """

    def __init__(self, read: Callable[[bytes], bytes | None], entries: Callable[[], int] = lambda: 0) -> None:
        """Read entries by their key; `entries` tells how many there are."""
        self._read = read
        self._entries = entries

    def standing(self, customer_id: int, subject: Subject) -> Standing:
        """Return what is known of the customer in the promotion."""
        value = self._read(ledger_format.standing_key(customer_id, subject))
        return UNKNOWN if value is None else ledger_format.read_standing(value)

    def entries(self) -> int:
        """Return how many entries there are."""
        return self._entries()
