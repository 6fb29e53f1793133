"""The ledger's entries of an event: its plan, frozen before the first request, and its results."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from topics.origin import Origin
from topics.outcome import Outcome, OutcomeName
from worker.domain.evidence import Evidence
from worker.domain.identity import Reenrol
from worker.domain.ledger import Attempt, Standing
from worker.domain.memory import Memory, Name
from worker.domain.plan import Policy
from worker.domain.settlement import Subject

KeyHashes = tuple[int, int]
"""Two unsigned 32-bit hashes of an activity record's key: murmur2 and CRC-32."""

Marks = tuple[tuple[str, str], ...]
"""The names that an event gives its customer: which name, and a hash of its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An enrolment to ask for: under which key, and what was seen before."""

    subject: Subject
    key: str
    noted: Evidence
    after: str | None = None
    """Key of our latest enrolment when this was planned; None also in plans of earlier releases."""
    revocations: int = 0
    """How many enrolments had been taken back by then."""


@dataclass(frozen=True, slots=True)
class Foregone:
    """A promotion that no request is spent on, and its outcome."""

    outcome: Outcome

    def holds(self, policy: Policy) -> bool:
        """Whether a later reading is sure to lead to this outcome as well.

        Limits end, enrolments expire or are revoked.
        """
        match self.outcome.outcome:
            case OutcomeName.LIMIT_EXHAUSTED:
                return False
            case OutcomeName.ALREADY_ENROLLED:
                return policy.reenrol is Reenrol.ONCE and not policy.reenrol_after_revoke
            case _:
                return True


Planned = Request | Foregone


NOBODY: Final = 0
"""Stands for the customer in the plan of an event whose customer is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlan:
    """What an event led to when its customer was looked up. A replay goes on from here."""

    origin: Origin
    customer_id: int
    steps: tuple[Planned, ...]
    source: str | None = None
    """Source of the identifier that the customer was found under."""
    read_at: datetime | None = None
    """When the reading began that it was made from, by our clock; None in plans of earlier releases."""
    marks: Marks = ()
    """Empty in plans of earlier releases."""
    key_hashes: KeyHashes | None = None
    """Of the record's key; None of a null key, and in entries of releases that did not note it."""
    request_id: str | None = None
    """What Capillary traces the reading by that left nothing to do; None if there are steps."""

    @property
    def event_id(self) -> str:
        """The event's identity."""
        return self.origin.event_id

    @property
    def is_of_nobody(self) -> bool:
        """Whether the customer was unknown when the event was settled: its outcome is all that it holds."""
        return self.customer_id == NOBODY

    @property
    def is_early(self) -> bool:
        """Whether an earlier release made it, which knew CloudEvents by their id alone."""
        return self.origin.identity is None


@dataclass(frozen=True, slots=True)
class Result:
    """What one promotion of an event came to, and whether that still counts."""

    outcome: Outcome
    opening: int = 0
    """How often the promotion had been reopened before it."""
    reopened: bool = False
    """It counts no more: the promotion is asked for anew, and has no result until that has one."""

    def is_of(self, attempt: Attempt) -> bool:
        """Whether this certainly is what the open attempt came to, and only its standing was not written.

        Attempts of earlier releases do not say which opening they belong to: those reopened rejections only.
        """
        if self.reopened:
            return False
        if attempt.opening is None:
            return self.outcome.outcome is not OutcomeName.REJECTED
        return attempt.opening == self.opening


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
    result: Result


@dataclass(frozen=True, slots=True)
class StandingEntry:
    """What is known of a customer in a promotion."""

    customer_id: int
    subject: Subject
    standing: Standing


@dataclass(frozen=True, slots=True)
class OrganisationEntry:
    """The organisation that was learnt from an event; one entry in each partition of the ledger."""

    partition: int
    org_id: int


@dataclass(frozen=True, slots=True)
class MemoryEntry:
    """What is remembered of a customer."""

    customer_id: int
    memory: Memory


@dataclass(frozen=True, slots=True)
class NameEntry:
    """Whom a lookup found under a name, which its keyed hash stands for."""

    name_hash: str
    name: Name


LedgerEntry = PlanEntry | ResultEntry | StandingEntry | OrganisationEntry | MemoryEntry | NameEntry
