"""Telling of one delivery: outcomes, retry topics, dead letters, each while the partition is ours."""

from collections.abc import Sequence
from dataclasses import dataclass

from topics.dead_letter import DeadLetterReason
from topics.origin import Origin
from topics.outcome import Outcome, OutcomeName
from worker.domain.settlement import Deferred, Settlement, Unresolved
from worker.enrolment.admission import time_of
from worker.enrolment.arrivals import Arrival
from worker.enrolment.checkpoints import Checkpoint, Probe
from worker.enrolment.deferral import Deferral
from worker.enrolment.lease import Lease, until_certain
from worker.enrolment.outcomes import tell, tell_dead_letter
from worker.enrolment.ports import Publisher, Tracker
from worker.enrolment.resources import Resources
from worker.timing import Clock, Sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What telling takes, the same for every delivery."""

    publisher: Publisher
    tracker: Tracker
    deferral: Deferral
    clock: Clock
    sleep: Sleep
    probe: Probe


def means_of_telling(
    resources: Resources, publisher: Publisher, tracker: Tracker, group_id: str, *, dry_run: bool
) -> Means:
    """Return what telling takes; a dry run defers and dead-letters nothing."""
    clock, sleep = resources.clock, resources.sleep
    return Means(
        publisher=publisher,
        tracker=tracker,
        deferral=Deferral(group_id, publisher, tracker, clock=clock, sleep=sleep, dry_run=dry_run),
        clock=clock,
        sleep=sleep,
        probe=resources.probe,
    )


class Telling:
    """Tells of one delivery, and holds its lease.

    Each call returns once Kafka has acknowledged the record; raises Abandoned when the partition is no longer
    ours, PublishFailed when Kafka did not acknowledge.
    """

    def __init__(self, means: Means, arrival: Arrival, lease: Lease) -> None:
        self._means = means
        self._arrival = arrival
        self._lease = lease
        self._told: set[OutcomeName] = set()

    def measure(self, origin: Origin) -> None:
        """Measure the event's age, if its last outcome was told: something was, and nothing is put off."""
        if not self._told or OutcomeName.DEFERRED in self._told:
            return
        own, record, now = origin.activity.occurred_at, self._arrival.record, self._means.clock()
        if own is not None or record.timestamp_ms > 0:
            self._means.tracker.told_all((now - time_of(own, record, now)).total_seconds())

    async def outcome(self, origin: Origin, outcome: Outcome) -> None:
        """Write an outcome as it is."""
        await until_certain(self._lease, self._means.sleep)
        await self._means.publisher.publish(origin.key, outcome)
        self._means.tracker.outcome(outcome)
        self._told.add(outcome.outcome)
        self._means.probe(Checkpoint.TOLD)

    async def settlement(self, origin: Origin, settlement: Settlement) -> None:
        """Write the outcome of what was decided just now."""
        await self.outcome(origin, tell(origin, settlement, self._means.clock()))

    async def defer(self, origin: Origin, why: Unresolved, hop: int, deferred: Deferred) -> bool:
        """Move the event to the retry topic and tell it; False, with nothing done, if that cannot take it."""
        if not await self._means.deferral.defer(self._arrival, why, hop, self._lease):
            return False
        await self.settlement(origin, deferred)
        return True

    async def defer_or_dead_letter(self, origin: Origin, unresolved: Sequence[Unresolved]) -> None:
        """Write one record for the event, then an outcome for each promotion that is not settled."""
        hop = await self._means.deferral.defer_or_dead_letter(self._arrival, unresolved, self._lease)
        for each in unresolved:
            await self.settlement(origin, each if hop is None else Deferred(hop, each))

    async def dead_letter(self, origin: Origin, reason: DeadLetterReason, message: str) -> None:
        """Write the record to the dead letters, and tell it."""
        await self._means.deferral.dead_letter(self._arrival, reason, message, 1, self._lease)
        await self.outcome(origin, tell_dead_letter(origin, reason, 1, self._means.clock()))
        self._means.tracker.activity(origin.activity.event_name or "", "dead_lettered")
