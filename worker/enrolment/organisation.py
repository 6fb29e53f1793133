"""The organisation that the credentials belong to: the configured one, else the first that an event names.

What was learnt holds for every partition of the process at once, and is in a partition's part of the ledger
before anything there is decided by it: a replay, and the partition's next owner, decide alike.
"""

import structlog

from worker.domain.identity import UNNAMED_ORG
from worker.enrolment.ports import PartitionLedger
from worker.enrolment.taking import Taken
from worker.ledger.entries import OrganisationEntry
from worker.timing import Sleep

log = structlog.get_logger(__name__)


class Organisation:
    """Knows it, or learns it."""

    def __init__(self, configured: int | None, sleep: Sleep, *, keeps: bool) -> None:
        """Write what is learnt into the ledger, unless `keeps` is False: in a dry run."""
        self._configured = configured
        self._sleep = sleep
        self._keeps = keeps
        self._learnt: int | None = None
        self._kept: set[int] = set()
        self._differs = False

    def known(self, ledger: PartitionLedger) -> int | None:
        """Return it, None as long as neither the settings nor an event have named one.

        Of the ledger's partition: if partitions have learnt different ones, each keeps its own.
        """
        if self._configured is not None:
            return self._configured
        kept = ledger.organisation()
        if kept is None:
            return self._learnt
        if self._learnt is None:
            self._learnt = kept
        elif self._learnt != kept and not self._differs:
            self._differs = True
            log.warning(
                "events name more than one organisation; set ENROLMENT_ORG_ID to that of the credentials",
                learnt=[self._learnt, kept],
            )
        return kept

    async def keep(self, taken: Taken, named: int | None) -> None:
        """Learn what an event names, if nothing is known yet; return once the partition's ledger has what is.

        Written once by each process, so that no retention takes it away. Raises Abandoned and PublishFailed.
        """
        known, partition = self.known(taken.ledger), taken.arrival.record.position.partition
        if known is None and named is not None and named != UNNAMED_ORG:
            known = self._learnt = named
            log.info("organisation learnt from an event; ENROLMENT_ORG_ID would say it", org_id=named)
        if known is None or self._configured is not None or not self._keeps or partition in self._kept:
            return
        await taken.write(self._sleep, OrganisationEntry(partition, known))
        self._kept.add(partition)
