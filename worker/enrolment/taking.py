"""A delivery taken in hand: what arrived, what its partition's ledger knows, and how it is told."""

from collections.abc import Callable
from dataclasses import dataclass

from topics.dead_letter import DeadLetterReason
from topics.names import TopicNames
from topics.origin import Origin
from topics.record import Record
from worker.enrolment.admission import Unusable
from worker.enrolment.arrivals import Arrival, Claim, Damaged, NotOurs, arrive
from worker.enrolment.delivery import Delivery
from worker.enrolment.identities import Identities
from worker.enrolment.lease import Lease
from worker.enrolment.ports import Ledger, Letters, PartitionLedger
from worker.enrolment.telling import Means, Telling


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A delivery that is being handled."""

    arrival: Arrival
    lease: Lease
    ledger: PartitionLedger
    telling: Telling
    taken_at: float | None = None
    """When the delivery was taken, on the timer."""
    is_waited_for: Callable[[], bool] = lambda: False
    """Whether a live event waits for this one."""
    damage: Unusable | None = None
    """Why the record cannot be what it says."""


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
        ledger, lease = self._ledger.of(delivery.record), delivery.lease
        arrived, damage = await self._arrived(delivery.record, ledger), None
        if isinstance(arrived, NotOurs):
            return arrived
        if isinstance(arrived, Damaged):
            origin = Origin.of_record(arrived.record)
            damage = Unusable(origin, DeadLetterReason.MALFORMED_EVENT, arrived.message)
        arrival = Arrival(arrived.record) if isinstance(arrived, Damaged) else arrived
        telling = Telling(self._means, arrival, lease)
        return Taken(
            arrival=arrival,
            lease=lease,
            ledger=ledger,
            telling=telling,
            taken_at=delivery.taken_at,
            is_waited_for=delivery.is_waited_for,
            damage=damage,
        )

    async def _arrived(self, record: Record, ledger: PartitionLedger) -> Arrival | NotOurs | Damaged:
        """Say what the record is; a redrive is one by its dead letter, else by the ledger."""
        arrival = arrive(record, self._names)
        if not isinstance(arrival, Claim):
            return arrival
        is_true = await self._letters.bears_out(arrival.letter, record)
        if is_true is None:
            is_true = self._identities.began(arrival.original, ledger)
        return arrival.true if is_true else arrival.false
