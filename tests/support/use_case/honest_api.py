"""An API that remembers what it applied, whatever it answers; and workers that die around it.

Everything runs on one clock, which only sleeping moves.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.support.use_case.building import UseCase, virtual
from tests.support.use_case.fakes import FakeLedger, FakePublisher, FakeSleep, FakeTracker, retrying_with
from tests.support.use_case.values import CUSTOMER, NAMES, NOW, event, promotion, record
from topics.dead_letter import REDRIVEN, DeadLetterReason, Failure, dead_letter_headers
from topics.outcome import Outcome
from topics.record import Position, Record
from worker.domain.answers import Found, IssueAnswer, Issued, LookupAnswer
from worker.domain.plan import Policy
from worker.domain.priority import Priority
from worker.domain.promotions import (
    CustomerPromotions,
    Identifier,
    IdentifierName,
    Promotion,
    Restriction,
    TimelineEntry,
)
from worker.domain.settlement import Subject
from worker.enrolment.catalogue import Lists, NoCatalogue
from worker.enrolment.checkpoints import Checkpoint, nothing
from worker.enrolment.ports import PublishFailed
from worker.enrolment.rules import Rules
from worker.ledger.entries import LedgerEntry
from worker.resilience.retrying import RetryPolicy

SETTLE = 5.0
_FOR_EVER = 1e9


class Killed(BaseException):
    """The process died here."""


@dataclass(frozen=True)
class Applied:
    """An enrolment that happened."""

    enrolment_id: int
    key: str
    at: float
    customer_id: int


@dataclass
class HonestApi:
    """Applies each request unless a script says otherwise, and shows it `shows_after` seconds later.

    `script` holds for each of the next requests whether it is applied, and its answer, None for the usual.
    """

    sleep: FakeSleep
    with_timeline: bool = True
    shows_after: float = 0.0
    lives: float = _FOR_EVER
    """Seconds until an enrolment expires."""
    script: deque[tuple[bool, IssueAnswer | None]] = field(default_factory=deque)
    readings: deque[LookupAnswer] = field(default_factory=deque)
    """Answers to the next lookups, in place of the truth."""
    customers: dict[str, int] = field(default_factory=dict)
    """Ids of customers by the names that events give them; else it is CUSTOMER."""
    applied: list[Applied] = field(default_factory=list)
    lookups: int = 0
    requests: int = 0

    async def lookup(
        self,
        identifier: Identifier,
        *,
        available_to_enrol: bool = True,  # noqa: ARG002 - the port's
        resend_count: int = 0,  # noqa: ARG002 - the port's
        priority: Priority = Priority.LIVE,  # noqa: ARG002 - the port's
    ) -> LookupAnswer:
        """Show the one promotion, with what is visible by now."""
        self.lookups += 1
        if self.readings:
            return self.readings.popleft()
        customer_id = self._id_of(identifier)
        return Found(CustomerPromotions(customer_id, (self.promotion(customer_id),)))

    def _id_of(self, identifier: Identifier) -> int:
        if identifier.name is IdentifierName.CUSTOMER_ID:
            return int(identifier.value)
        return self.customers.get(identifier.value, CUSTOMER)

    def promotion(self, customer_id: int = CUSTOMER) -> Promotion:
        """Return the promotion as a reading of a customer shows it now."""
        now = self.sleep.elapsed()
        ours = [one for one in self.applied if one.customer_id == customer_id]
        seen = [one for one in ours if one.at + self.shows_after <= now]
        if self.with_timeline:
            entries = [TimelineEntry(one.enrolment_id, NOW, self._expiry(one)) for one in seen]
            return promotion(1, timeline=entries)
        usage = Restriction(
            kpi="NUMBER_OF_ISSUALS", limit_on="CUSTOMER", max_limit=Decimal(1000), usage=Decimal(len(seen))
        )
        return promotion(1, timeline=None, restrictions=[usage])

    def _expiry(self, one: Applied) -> datetime | None:
        return None if self.lives == _FOR_EVER else NOW + timedelta(seconds=one.at + self.lives)

    async def issue(
        self,
        identifier: Identifier,
        program_id: int,  # noqa: ARG002 - the port's
        promotion_id: int,  # noqa: ARG002 - the port's
        idempotency_key: str,
        *,
        resend_count: int = 0,  # noqa: ARG002 - the port's
        may_send: Callable[[], bool] = lambda: True,
    ) -> IssueAnswer:
        """Apply it or not, and answer."""
        assert may_send(), "about to send what may not be sent"
        self.requests += 1
        applies, answer = self.script.popleft() if self.script else (True, None)
        if applies:
            number = len(self.applied) + 1
            at, customer_id = self.sleep.elapsed(), self._id_of(identifier)
            self.applied.append(Applied(1000 + number, idempotency_key, at, customer_id))
        return answer or Issued(len(self.applied), ())

    async def serves(self) -> bool:
        """Be at work."""
        return True


class MortalLedger(FakeLedger):
    """A ledger whose process dies after so many more entries, in the middle of a batch too."""

    left: int | None = None

    async def write(self, *entries: LedgerEntry) -> None:
        """Keep the entries, up to the last one."""
        for entry in entries:
            if self.left == 0:
                raise Killed
            self.left = None if self.left is None else self.left - 1
            await super().write(entry)


@dataclass
class Shop:
    """One customer, one promotion, a ledger that outlives processes, and the outcomes told so far."""

    rules: Rules = field(default_factory=Rules)
    with_timeline: bool = True
    shows_after: float = 0.0
    lives: float = _FOR_EVER

    def __post_init__(self) -> None:
        self.sleep = FakeSleep()
        self.api = HonestApi(self.sleep, self.with_timeline, self.shows_after, self.lives)
        self.ledger = MortalLedger()
        self.told: list[Outcome] = []
        self.deferred: list[Record] = []
        self.tracker = FakeTracker()
        self.lists: Lists = NoCatalogue()
        self.set_ahead = 0.0
        """By how many seconds the API's time has set our clock ahead."""

    async def handle(
        self,
        *sources: str | Record,
        reopens: bool = False,
        die_at: Checkpoint | None = None,
        entries_left: int | None = None,
        refuse_at: int | None = None,
        attempts: int = 3,
    ) -> list[str]:
        """Handle events at once in a process of its own; return the outcomes that it told, whosever they are.

        An event is given by its id or its record; without any it is evt-1.
        """
        publisher = FakePublisher([], refuse_at, PublishFailed("enrolment-outcomes: NotEnoughReplicas"))
        self.ledger.left = entries_left
        use_case = self.process(publisher, reopens=reopens, die_at=die_at, attempts=attempts)
        arriving = [
            record(event(eventId=each)) if isinstance(each, str) else each for each in sources or ["evt-1"]
        ]
        try:
            await asyncio.gather(*(use_case.handle(each) for each in arriving))
        except (Killed, PublishFailed):
            pass
        finally:
            self.ledger.left = None
            self.told += [outcome for _, outcome in publisher.outcomes]
            self.deferred = [each for each, _, _ in publisher.deferred]
        return [outcome.outcome.value for _, outcome in publisher.outcomes]

    def process(
        self,
        publisher: FakePublisher | None = None,
        *,
        reopens: bool = False,
        die_at: Checkpoint | None = None,
        attempts: int = 3,
    ) -> UseCase:
        """Start a process; it remembers what processes remember."""
        elapsed = self.sleep.elapsed

        def die(at: Checkpoint) -> None:
            if at is die_at:
                raise Killed

        return UseCase(
            api=self.api,
            rules=replace(self.rules, retry_rejected=reopens, settle_seconds=SETTLE),
            ledger=self.ledger,
            publisher=publisher or FakePublisher([]),
            tracker=self.tracker,
            time=virtual(
                self.sleep,
                clock=lambda: NOW + timedelta(seconds=elapsed() + self.set_ahead),
                machine=lambda: NOW + timedelta(seconds=elapsed()),
            ),
            retrying=retrying_with(RetryPolicy(attempts), self.tracker, self.sleep),
            probe=die if die_at else nothing,
            lists=self.lists,
        )

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.sleep.delays.append(seconds)

    def finals(self, event_id: str) -> set[str]:
        """Return the final outcomes that were told of an event."""
        told = {one.outcome.value for one in self.told if one.activity.event_id == event_id}
        return told - {"DEFERRED", "DEAD_LETTERED"}

    @property
    def subject(self) -> Subject:
        """The one promotion."""
        return Subject.of(self.api.promotion(), 1800)


def redriven(source: Record) -> Record:
    """Return a record as a redrive puts it back."""
    failure = Failure(
        reason=DeadLetterReason.RETRIES_EXHAUSTED,
        message="issue: no usable answer",
        position=source.position,
        timestamp_ms=source.timestamp_ms,
        group=NAMES.group_id,
        attempts=1,
        first_failed_at=datetime(2026, 1, 31, 10, tzinfo=UTC),
        last_failed_at=datetime(2026, 1, 31, 10, tzinfo=UTC),
    )
    headers = (*dead_letter_headers(source.headers, failure), (REDRIVEN, b"customer-activity-dlt-3-0"))
    return replace(source, position=Position(source.position.topic, 3, 4711), headers=headers)


def policy(**fields: object) -> Rules:
    """Return rules with this policy."""
    return Rules(policy=Policy(**fields))  # type: ignore[arg-type]  # its own fields
