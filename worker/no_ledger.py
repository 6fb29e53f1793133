"""The ledger of a dry run: knows nothing and writes nothing."""

from worker.domain.ledger import UNKNOWN, Standing
from worker.domain.settlement import Subject
from worker.plans import EventPlan, LedgerEntry, Result


class NoLedger:
    """Implements `worker.ports.Ledger`."""

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

    def entries(self) -> int:
        """Hold none."""
        return 0

    async def write(self, *entries: LedgerEntry) -> None:
        """Refuse: a dry run sends nothing that would have to be remembered."""
        raise RuntimeError(f"a dry run was about to write {len(entries)} ledger entries")
