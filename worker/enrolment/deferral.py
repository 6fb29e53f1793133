"""Deferral: an event that cannot be decided now goes to a retry topic, in the end to the dead letters."""

from collections.abc import Sequence
from datetime import datetime

from topics.dead_letter import DeadLetterReason, Failure
from topics.names import RETRY_TOPICS
from worker.domain.settlement import Unresolved
from worker.domain.settling import next_hop
from worker.enrolment.arrivals import Arrival
from worker.enrolment.lease import Lease, until_certain
from worker.enrolment.ports import Publisher, Tracker
from worker.timing import Clock, Sleep


class Deferral:
    """Writes the record where it goes, before any outcome of it: whoever reads the outcome finds the record.

    Each call returns once Kafka has acknowledged the record; raises Abandoned if the partition is no
    longer ours, and PublishFailed if Kafka did not acknowledge. A dry run writes nothing.
    """

    def __init__(
        self,
        group_id: str,
        publisher: Publisher,
        tracker: Tracker,
        *,
        clock: Clock,
        sleep: Sleep,
        dry_run: bool,
    ) -> None:
        self._group_id = group_id
        self._publisher = publisher
        self._tracker = tracker
        self._clock = clock
        self._sleep = sleep
        self._dry_run = dry_run

    async def defer_or_dead_letter(
        self, arrival: Arrival, unresolved: Sequence[Unresolved], lease: Lease
    ) -> int | None:
        """Return the number of the retry topic that the event went to, None if it is a dead letter."""
        first = unresolved[0]
        hop = next_hop(arrival.hop, RETRY_TOPICS, unresolved)
        if hop is not None and await self.defer(arrival, first, hop, lease):
            return hop
        reason = DeadLetterReason(first.dead_letter_reason)
        await self.dead_letter(arrival, reason, first.message, first.attempts, lease)
        return None

    async def defer(self, arrival: Arrival, why: Unresolved, hop: int, lease: Lease) -> bool:
        """Move the event to a retry topic; False if it is too large for it, or nothing may be written."""
        if self._dry_run:
            return False
        await until_certain(lease, self._sleep)
        reason = DeadLetterReason.RETRIES_EXHAUSTED
        failure = self._failure(arrival, reason, why.message, why.attempts)
        if not await self._publisher.defer(arrival.record, failure, hop, arrival.redriven):
            return False
        self._tracker.deferred(failure, hop, why.reason)
        return True

    async def dead_letter(
        self, arrival: Arrival, reason: DeadLetterReason, message: str, attempts: int, lease: Lease
    ) -> None:
        """Write the dead letter."""
        if self._dry_run:
            return
        await until_certain(lease, self._sleep)
        failure = self._failure(arrival, reason, message, attempts)
        await self._publisher.dead_letter(arrival.record, failure)
        self._tracker.dead_letter(failure)

    def _failure(self, arrival: Arrival, reason: DeadLetterReason, message: str, attempts: int) -> Failure:
        now = self._clock()
        earlier = arrival.earlier
        return Failure(
            reason=reason,
            message=message,
            position=arrival.record.position,
            timestamp_ms=arrival.record.timestamp_ms,
            group=self._group_id,
            attempts=attempts + (earlier.attempts if earlier else 0),
            first_failed_at=_first(earlier, now),
            last_failed_at=now,
        )


def _first(earlier: Failure | None, now: datetime) -> datetime:
    return now if earlier is None else earlier.first_failed_at
