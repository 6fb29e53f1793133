"""The use case against an API that answers by a script; a journal tells what happened, in its order."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.support.use_case.building import UseCase, virtual
from tests.support.use_case.fakes import (
    FakeApi,
    FakeLedger,
    FakePublisher,
    FakeSleep,
    FakeTracker,
    JournalEntry,
    retrying_with,
)
from tests.support.use_case.values import AT, NOW, event, found, promotion, record
from topics.record import Position, Record
from worker.domain.answers import IssueAnswer, Issued, LookupAnswer
from worker.domain.times import Span
from worker.enrolment.catalogue import NoCatalogue
from worker.enrolment.checkpoints import Probe, nothing
from worker.enrolment.delivery import Delivery
from worker.enrolment.lease import Lease
from worker.enrolment.ports import PublishFailed, Tracker
from worker.enrolment.rules import Rules
from worker.ledger.read_only import NoLedger
from worker.resilience.retrying import RetryPolicy


class _RuledOut(NoCatalogue):
    """Rules out what the scene says."""

    def __init__(self, scene: "Scripted") -> None:
        self._scene = scene

    def rules_out(self, now: Span) -> bool:  # noqa: ARG002 - the port's
        return self._scene.ruled_out


@dataclass
class Scripted:
    """The use case amid its fakes; the journal holds calls and records in the order in which they came."""

    lookups: Sequence[LookupAnswer | Exception]
    issues: Mapping[int, Sequence[IssueAnswer | Exception]] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    refuse_at: int | None = None
    refusal: Exception = field(default_factory=lambda: PublishFailed("enrolment-outcomes: NotEnoughReplicas"))
    tracker: FakeTracker = field(default_factory=FakeTracker)
    metrics: Tracker | None = None
    clock: datetime = NOW
    ruled_out: bool = False
    probe: Probe = nothing
    sleep: FakeSleep = field(default_factory=FakeSleep)
    backlog_age: timedelta | None = None

    def __post_init__(self) -> None:
        self.journal: list[JournalEntry] = []
        self.publisher = FakePublisher(self.journal, self.refuse_at, self.refusal)
        self.ledger = FakeLedger()
        told = self.metrics or self.tracker
        self.api = FakeApi(self.journal, self.lookups, self.issues)
        self._use_case = UseCase(
            api=self.api,
            rules=self.rules,
            ledger=NoLedger() if self.rules.dry_run else self.ledger,
            publisher=self.publisher,
            tracker=told,
            time=virtual(self.sleep, lambda: self.clock),
            retrying=retrying_with(RetryPolicy(), told, self.sleep),
            probe=self.probe,
            backlog_age=self.backlog_age,
            lists=_RuledOut(self),
        )

    async def handle(self, source: Record | None = None, lease: Lease | None = None) -> None:
        """Handle a record, or an event that is nothing special."""
        await self._use_case.handle(source or record(event()), lease)

    async def deliver(self, delivery: Delivery) -> None:
        """Handle a delivery that is something special."""
        await self._use_case.enrolments.handle(delivery)

    @property
    def told(self) -> list[tuple[str, object, str | None]]:
        """Outcome, promotion and reason of each outcome that was told."""
        return [(o.outcome.value, o.promotion_id, o.reason) for _, o in self.publisher.outcomes]

    @property
    def values(self) -> list[dict[str, object]]:
        """The outcomes that were told, as their readers see them."""
        return [json.loads(outcome.to_json()) for _, outcome in self.publisher.outcomes]

    def calls(self, endpoint: str) -> list[JournalEntry]:
        """Return the journal's entries of one kind."""
        return [entry for entry in self.journal if entry[0] == endpoint]


@dataclass
class Process:
    """One worker process, which tries each call once, on a ledger that outlives it."""

    ledger: FakeLedger
    rules: Rules = field(default_factory=Rules)
    lookups: Sequence[LookupAnswer] = (found(promotion(1, timeline=None)),)
    issues: Mapping[int, Sequence[IssueAnswer]] = field(default_factory=lambda: {1: [Issued(7, ())]})

    def __post_init__(self) -> None:
        self.journal: list[JournalEntry] = []
        self.publisher = FakePublisher(self.journal)
        sleep, tracker = FakeSleep(), FakeTracker()
        self.use_case = UseCase(
            api=FakeApi(self.journal, self.lookups, self.issues),
            rules=self.rules,
            ledger=self.ledger,
            publisher=self.publisher,
            tracker=tracker,
            time=virtual(sleep),
            retrying=retrying_with(RetryPolicy(1), tracker, sleep),
        )

    async def handle(self, event_id: str, org: int | None, partition: int = AT.partition) -> list[str]:
        """Handle an event of the customer; return the outcomes that it led to."""
        before = len(self.publisher.outcomes)
        at = Position(AT.topic, partition, before)
        await self.use_case.handle(record(event(eventId=event_id, orgId=org), at=at))
        return [outcome.outcome.value for _, outcome in self.publisher.outcomes[before:]]

    @property
    def keys(self) -> list[object]:
        """The keys of the requests that were sent."""
        return [call[6] for call in self.journal if call[0] == "issue"]
