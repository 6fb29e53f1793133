"""What the ledger holds of an event: its plan, frozen before the first request, and its results."""

from dataclasses import dataclass

from topics.outcome import Outcome
from worker.domain.evidence import Evidence
from worker.domain.ledger import Standing
from worker.domain.settlement import Subject
from worker.outcomes import Origin


@dataclass(frozen=True, slots=True)
class Request:
    """An enrolment to ask for: under which key, and what was seen before."""

    subject: Subject
    key: str
    noted: Evidence


@dataclass(frozen=True, slots=True)
class Foregone:
    """A promotion that no request is spent on, and its outcome."""

    outcome: Outcome


Planned = Request | Foregone


@dataclass(frozen=True, slots=True)
class EventPlan:
    """What an event led to when its customer was looked up. A replay goes on from here."""

    origin: Origin
    customer_id: int
    steps: tuple[Planned, ...]
    source: str | None = None
    """Source of the identifier that the customer was found under."""

    @property
    def event_id(self) -> str:
        """The event's identity."""
        return self.origin.activity.event_id


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """The plan of an event."""

    event_id: str
    plan: EventPlan


@dataclass(frozen=True, slots=True)
class ResultEntry:
    """The outcome of one promotion of an event, every field of it."""

    event_id: str
    subject: Subject
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class StandingEntry:
    """What is known of a customer in a promotion."""

    customer_id: int
    subject: Subject
    standing: Standing


LedgerEntry = PlanEntry | ResultEntry | StandingEntry
