"""Hand-written stand-ins for the ports of the use case."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeVar

from topics.dead_letter import Failure
from topics.outcome import Outcome
from topics.record import Record
from worker.domain.answers import Fault, IssueAnswer, LookupAnswer, Refused
from worker.domain.ledger import Standing
from worker.domain.memory import Memory, Name
from worker.domain.priority import Priority
from worker.domain.promotions import (
    Identifier,
)
from worker.domain.settlement import Subject
from worker.enrolment.ports import Tracker
from worker.ledger import format as ledger_format
from worker.ledger.entries import (
    EventPlan,
    LedgerEntry,
    MemoryEntry,
    NameEntry,
    OrganisationEntry,
    PlanEntry,
    Result,
    ResultEntry,
    StandingEntry,
)
from worker.ledger.standings import entries_of, standing_of
from worker.resilience.circuit import Circuits, OutagePolicy
from worker.resilience.retrying import Retrying, RetryPolicy

T = TypeVar("T")

JournalEntry = tuple[object, ...]


class FakeApi:
    """Answers as scripted, the last answer again and again, and notes each call in the journal."""

    def __init__(
        self,
        journal: list[JournalEntry],
        lookups: Sequence[LookupAnswer | Exception],
        issues: Mapping[int, Sequence[IssueAnswer | Exception]],
    ) -> None:
        self._journal = journal
        self._lookups = deque(lookups)
        self._issues = {number: deque(answers) for number, answers in issues.items()}
        self.is_up = True
        self.priorities: list[Priority] = []
        """Of the lookups."""

    async def lookup(
        self,
        identifier: Identifier,
        *,
        available_to_enrol: bool = True,
        resend_count: int = 0,
        priority: Priority = Priority.LIVE,
    ) -> LookupAnswer:
        """Give the next scripted answer; keep how urgent the call was."""
        self.priorities.append(priority)
        asked = (identifier.name.value, identifier.value, identifier.source)
        self._journal.append(("lookup", *asked, available_to_enrol, resend_count))
        answer = _next(self._lookups)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def issue(
        self,
        identifier: Identifier,
        program_id: int,
        promotion_id: int,
        idempotency_key: str,
        *,
        resend_count: int = 0,
        may_send: Callable[[], bool] = lambda: True,
    ) -> IssueAnswer:
        """Give the promotion's next scripted answer."""
        assert may_send(), "about to send what may not be sent"
        asked = (identifier.name.value, identifier.value, identifier.source)
        self._journal.append(
            ("issue", *asked, program_id, promotion_id, idempotency_key, resend_count),
        )
        answer = _next(self._issues[promotion_id])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def serves(self) -> bool:
        """Be at work as long as the test leaves `is_up`."""
        self._journal.append(("serves",))
        return self.is_up


def _next(answers: deque[T]) -> T:
    return answers.popleft() if len(answers) > 1 else answers[0]


class FakePublisher:
    """Keeps what was published, and refuses the `refuse_at`-th record (counted from 0) and all after it."""

    def __init__(
        self, journal: list[JournalEntry], refuse_at: int | None = None, refusal: Exception | None = None
    ) -> None:
        self._journal = journal
        self._refuse_at = refuse_at
        self._refusal = refusal
        self.outcomes: list[tuple[bytes, Outcome]] = []
        self.dead_letters: list[tuple[Record, Failure]] = []
        self.deferred: list[tuple[Record, Failure, int]] = []
        self.redriven: str | None = None
        """The mark of the record deferred last."""
        self.has_room = True
        """Whether retry topics take records."""

    async def publish(self, key: bytes, outcome: Outcome) -> None:
        """Keep an outcome."""
        self._admit()
        self.outcomes.append((key, outcome))
        self._journal.append(("publish", outcome.outcome.value, outcome.promotion_id))

    async def dead_letter(self, record: Record, failure: Failure) -> None:
        """Keep a dead letter."""
        self._admit()
        self.dead_letters.append((record, failure))
        self._journal.append(("dead_letter", failure.reason.value))

    async def defer(self, record: Record, failure: Failure, hop: int, redriven: str | None) -> bool:
        """Keep a deferred record."""
        self._admit()
        if self.has_room:
            self.deferred.append((record, failure, hop))
            self.redriven = redriven
            self._journal.append(("defer", hop))
        return self.has_room

    def _admit(self) -> None:
        written = len(self.outcomes) + len(self.dead_letters) + len(self.deferred)
        if self._refusal is not None and self._refuse_at is not None and written >= self._refuse_at:
            raise self._refusal


class FakeTracker:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.activities: list[tuple[str, str]] = []
        self.outcomes: list[Outcome] = []
        self.ages: list[float] = []
        self.waits: list[tuple[str, Fault | Refused, int, float]] = []
        self.outages: list[tuple[str, bool]] = []
        self.deferred_for: list[str] = []
        self.deferrals: list[tuple[Failure, int]] = []
        self.dead_letters: list[Failure] = []
        self.faults: list[tuple[Record, Exception]] = []
        self.saved: list[str] = []
        self.unusables: list[tuple[str, str]] = []

    def activity(self, event_name: str, result: str) -> None:
        """Keep the count of an event."""
        self.activities.append((event_name, result))

    def identity_reused(self, event_name: str, record: Record) -> None:  # noqa: ARG002 - the port's
        """Keep the count of it."""
        self.activities.append((event_name, "identity_reused"))

    def outcome(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        self.outcomes.append(outcome)

    def told_all(self, seconds: float) -> None:
        """Keep an age."""
        self.ages.append(seconds)

    def waiting(self, endpoint: str, fault: Fault | Refused, attempt: int, seconds: float) -> None:
        """Keep a repetition."""
        self.waits.append((endpoint, fault, attempt, seconds))

    def outage(self, call: str, *, is_open: bool, fault: Fault | Refused | None) -> None:  # noqa: ARG002 - the port's
        """Keep a beginning, a sign of life and an end of an outage."""
        self.outages.append((call, is_open))

    def deferred(self, failure: Failure, hop: int, reason: str) -> None:
        """Keep a deferral."""
        self.deferrals.append((failure, hop))
        self.deferred_for.append(reason)

    def dead_letter(self, failure: Failure) -> None:
        """Keep a dead letter."""
        self.dead_letters.append(failure)

    def unusable(self, event_name: str, message: str, record: Record) -> None:  # noqa: ARG002 - the port's
        """Keep the report."""
        self.unusables.append((event_name, message))

    def lookup_saved(self, reason: str) -> None:
        """Keep the count of it."""
        self.saved.append(reason)

    def fault(self, record: Record, error: Exception) -> None:
        """Keep a fault."""
        self.faults.append((record, error))


class FakeSleep:
    """Returns at once and keeps how long it was asked to wait."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Keep the delay, and let others have their turn."""
        self.delays.append(seconds)
        await asyncio.sleep(0)

    def elapsed(self) -> float:
        """Return the time that would have passed, in seconds."""
        return sum(self.delays)


class FakeLedger:
    """Keeps in memory what is written."""

    def __init__(self) -> None:
        self.plans: dict[str, EventPlan] = {}
        self.results: dict[tuple[str, Subject], Result] = {}
        self.standings: dict[bytes, bytes] = {}
        self.memories: dict[int, Memory] = {}
        self.names: dict[str, Name] = {}
        self.learnt: dict[int, int] = {}
        """What was written of the organisation, by partition."""

    def of(self, record: Record) -> Self:  # noqa: ARG002 - the port's
        """Keep what is written of all partitions together."""
        return self

    def plan_of(self, event_id: str) -> EventPlan | None:
        """Return the plan that was written."""
        return self.plans.get(event_id)

    def result_of(self, event_id: str, subject: Subject) -> Result | None:
        """Return the result that was written."""
        which = (event_id, subject.program_id, subject.promotion_id)
        return next(
            (o for (e, s), o in self.results.items() if (e, s.program_id, s.promotion_id) == which), None
        )

    def standing(self, customer_id: int, subject: Subject) -> Standing:
        """Return the standing that was written last."""
        return standing_of(self.standings.get, self.organisations(), customer_id, subject)

    def organisation(self) -> int | None:
        """Return the organisation that was written."""
        return next(iter(self.learnt.values()), None)

    def organisations(self) -> frozenset[int]:
        """Return the organisations of the standings."""
        whose = map(ledger_format.read_standing_key, self.standings)
        return frozenset(key.org_id for key in whose if key is not None)

    def every(self) -> tuple[Self, ...]:
        """Be the only one."""
        return (self,)

    def memory(self, customer_id: int) -> Memory:
        """Return what was noted of the customer last."""
        return self.memories.get(customer_id, Memory())

    def name(self, name_hash: str) -> Name | None:
        """Return what was noted of the name last."""
        return self.names.get(name_hash)

    async def note(self, *entries: MemoryEntry | NameEntry) -> None:
        """Keep the entries."""
        await self.write(*entries)

    def entries(self) -> int:
        """Return how many there are."""
        return len(self.plans) + len(self.results) + len(self.standings)

    async def write(self, *entries: LedgerEntry) -> None:  # noqa: C901 - a case for each kind of entry
        """Keep the entries."""
        for entry in entries:
            match entry:
                case PlanEntry():
                    self.plans[entry.event_id] = entry.plan
                case ResultEntry():
                    subject = entry.subject
                    which = (entry.event_id, subject.program_id, subject.promotion_id)
                    # Under one key, whatever organisation the subject names.
                    for event_id, other in list(self.results):
                        if (event_id, other.program_id, other.promotion_id) == which:
                            del self.results[event_id, other]
                    self.results[entry.event_id, subject] = entry.result
                case StandingEntry():
                    for each in entries_of(self.standings.get, self.organisations(), entry):
                        key, value = ledger_format.write(each, None)
                        self.standings[key] = value
                case MemoryEntry():
                    # As they are read back.
                    _, value = ledger_format.write(entry, None)
                    self.memories[entry.customer_id] = ledger_format.read_memory(value)
                case NameEntry():
                    self.names[entry.name_hash] = entry.name
                case OrganisationEntry():
                    self.learnt[entry.partition] = entry.org_id


class FakeLease:
    """A partition that is ours until the test says otherwise."""

    def __init__(self) -> None:
        self.is_held = True
        self.is_heard = True

    def held(self) -> bool:
        """Return what the test says."""
        return self.is_held

    def is_certain(self) -> bool:
        """Return what the test says."""
        return self.is_held and self.is_heard


def retrying_with(
    policy: RetryPolicy,
    tracker: Tracker,
    sleep: FakeSleep,
    *,
    jitter: float = 1.0,
    serves: bool = True,
    threshold: int = 10,
) -> Retrying:
    """Return a Retrying without randomness; `serves` says what a harmless question finds."""

    async def asked() -> bool:
        return serves

    circuits = Circuits(
        OutagePolicy(threshold), tracker=tracker, sleep=sleep, timer=sleep.elapsed, serves=asked
    )
    return Retrying(policy, circuits, tracker, sleep, sleep.elapsed, lambda: jitter)
