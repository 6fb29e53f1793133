"""A delivery taken in hand: what arrived, what its partition's ledger knows, and how it is told."""

from dataclasses import dataclass

from topics.dead_letter import DeadLetterReason
from topics.names import TopicNames
from topics.origin import Origin
from topics.record import Record
from worker.enrolment.admission import Unusable
from worker.enrolment.arrivals import Arrival, Claim, Damaged, NotOurs, arrive
from worker.enrolment.delivery import Delivery
from worker.enrolment.identities import Identities
from worker.enrolment.lease import Lease, until_certain
from worker.enrolment.ports import Ledger, Letters, PartitionLedger
from worker.enrolment.telling import Means, Telling
from worker.ledger.entries import LedgerEntry
from worker.timing import Sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A delivery that is being handled."""

    delivery: Delivery
    arrival: Arrival
    ledger: PartitionLedger
    telling: Telling
    damage: Unusable | None = None
    """Why the record cannot be what it says."""

    @property
    def lease(self) -> Lease:
        """The delivery's."""
        return self.delivery.lease

    async def write(self, sleep: Sleep, *entries: LedgerEntry, to: PartitionLedger | None = None) -> None:
        """Write to the delivery's ledger, or to another one of this process, once the lease is certain.

        Returns once Kafka has acknowledged; raises Abandoned and PublishFailed.
        """
        await until_certain(self.lease, sleep)
        await (to or self.ledger).write(*entries)


class Taking:
    """Takes deliveries in hand."""

    def __init__(
        self, ledger: Ledger, letters: Letters, identities: Identities, means: Means, names: TopicNames
    ) -> None:
        self._ledger = ledger
        self._letters = letters
        self._identities = identities
        self._means = means
        self._names = names

    async def take(self, delivery: Delivery) -> Taken | NotOurs:
        """Say what the delivery is; may read the dead letter that it claims to come from."""
        ledger = self._ledger.of(delivery.record)
        arrived, damage = await self._arrived(delivery.record, ledger), None
        if isinstance(arrived, NotOurs):
            return arrived
        if isinstance(arrived, Damaged):
            origin = Origin.of_record(arrived.record)
            damage = Unusable(origin, DeadLetterReason.MALFORMED_EVENT, arrived.message)
        arrival = Arrival(arrived.record) if isinstance(arrived, Damaged) else arrived
        telling = Telling(self._means, arrival, delivery.lease)
        return Taken(delivery=delivery, arrival=arrival, ledger=ledger, telling=telling, damage=damage)

    async def _arrived(self, record: Record, ledger: PartitionLedger) -> Arrival | NotOurs | Damaged:
        """Say what the record is; a redrive is one by its dead letter, else by the ledger."""
        arrival = arrive(record, self._names)
        if not isinstance(arrival, Claim):
            return arrival
        is_true = await self._letters.bears_out(arrival.letter, record)
        if is_true is None:
            is_true = self._identities.began(arrival.original, ledger)
        return arrival.true if is_true else arrival.false
