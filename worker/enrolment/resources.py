"""What the use case works with, the same for every delivery: the API, clocks, sleep."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.priority import Priority, priority_of
from worker.domain.times import Span
from worker.enrolment.checkpoints import Probe
from worker.enrolment.ports import PromotionsApi
from worker.enrolment.reconciliation import Readings
from worker.resilience.retrying import Retrying
from worker.timing import Clock, Sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What an event's way takes of its surroundings. `timer` counts seconds and only grows."""

    api: PromotionsApi
    readings: Readings
    retrying: Retrying
    clock: Clock
    timer: Callable[[], float]
    sleep: Sleep
    probe: Probe
    span: Callable[[], Span] | None = None
    """Between which times it is for certain; None if the clock is not doubted."""
    machine: Clock | None = None
    """This machine's own clock, which no answer of the API sets; None if `clock` is that."""
    backlog_age: timedelta | None = None
    """The age beyond which events give way to younger ones; None if none do."""

    def machine_time(self) -> datetime:
        """Return the time to hold moments of our own group against each other by."""
        return self.clock() if self.machine is None else self.machine()

    def now(self) -> Span:
        """Return between which times it is."""
        return Span.at(self.clock()) if self.span is None else self.span()

    def priority(self, happened: datetime) -> Priority:
        """Return how urgent an event is by its own time; it is old only if that is certain."""
        return priority_of(happened, self.backlog_age, self.now().earliest)
