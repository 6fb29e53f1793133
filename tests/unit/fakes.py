"""Hand-written stand-ins for what worker.ports describes, and makers of the values that tests speak of."""

import asyncio
import json
import selectors
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from topics.dead_letter import Failure
from topics.outcome import Outcome
from topics.record import Headers, Position, Record
from worker.domain.answers import Fault, Found, IssueAnswer, LookupAnswer
from worker.domain.promotions import (
    ENROL_AND_ISSUE,
    CustomerPromotions,
    Identifier,
    Promotion,
    Restriction,
    TimelineEntry,
)

T = TypeVar("T")

NOW = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
CUSTOMER = 482579328
PROGRAM = 469
Entry = tuple[object, ...]


def record(
    value: object,
    *,
    key: bytes | None = b"customer",
    headers: Headers = (),
    at: Position = Position("customer-activity", 3, 42),
    timestamp_ms: int = 1_769_853_600_000,
) -> Record:
    """Return an activity record; a value that is not bytes (or null) is written as JSON."""
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Record(at, timestamp_ms, key, raw, headers)


def event(**changes: object) -> dict[str, object]:
    """Return an event in the plain form."""
    return {
        "eventId": "evt-1",
        "eventName": "transactionAdded",
        "orgId": 1800,
        "occurredAt": "2026-01-31T09:59:00Z",
        "customer": {"mobile": "919845012345", "source": "INSTORE"},
    } | changes


def promotion(
    promotion_id: int = 57099,
    *,
    restrictions: Iterable[Restriction] = (),
    timeline: Sequence[TimelineEntry] | None = (),
    **changes: Any,  # noqa: ANN401 - any field of the promotion
) -> Promotion:
    """Return a promotion that is open to enrol into."""
    fields: dict[str, Any] = {
        "program_id": PROGRAM,
        "name": f"Promotion {promotion_id}",
        "offer_type": ENROL_AND_ISSUE,
        "active": True,
        "starts_at": None,
        "ends_at": None,
    }
    return Promotion(
        promotion_id=promotion_id,
        issual_restrictions=tuple(restrictions),
        timeline=None if timeline is None else tuple(timeline),
        **(fields | changes),
    )


def found(*promotions: Promotion, customer_id: int = CUSTOMER) -> Found:
    """Return a lookup's answer."""
    return Found(CustomerPromotions(customer_id, promotions))


class FakeApi:
    """Answers as scripted, the last answer again and again, and notes each call in the journal."""

    def __init__(
        self,
        journal: list[Entry],
        lookups: Sequence[LookupAnswer | Exception],
        issues: Mapping[int, Sequence[IssueAnswer | Exception]],
    ) -> None:
        self._journal = journal
        self._lookups = deque(lookups)
        self._issues = {number: deque(answers) for number, answers in issues.items()}

    async def lookup(
        self, identifier: Identifier, *, available_to_enrol: bool = True, resend_count: int = 0
    ) -> LookupAnswer:
        """Give the next scripted answer."""
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
    ) -> IssueAnswer:
        """Give the promotion's next scripted answer."""
        asked = (identifier.name.value, identifier.value, identifier.source)
        self._journal.append(
            ("issue", *asked, program_id, promotion_id, idempotency_key, resend_count),
        )
        answer = _next(self._issues[promotion_id])
        if isinstance(answer, Exception):
            raise answer
        return answer


def _next(answers: deque[T]) -> T:
    return answers.popleft() if len(answers) > 1 else answers[0]


class FakePublisher:
    """Keeps what was published, and refuses the `refuse_at`-th record (counted from 0) and all after it."""

    def __init__(self, journal: list[Entry], refuse_at: int | None = None, refusal: Exception | None = None):
        self._journal = journal
        self._refuse_at = refuse_at
        self._refusal = refusal
        self.outcomes: list[tuple[bytes, Outcome]] = []
        self.dead_letters: list[tuple[Record, Failure]] = []

    async def publish(self, key: bytes, outcome: Outcome) -> None:
        """Keep an outcome."""
        self._admit()
        self.outcomes.append((key, outcome))
        self._journal.append(("publish", outcome.outcome.value, outcome.promotion_id))

    async def put_aside(self, record: Record, failure: Failure) -> None:
        """Keep a dead letter."""
        self._admit()
        self.dead_letters.append((record, failure))
        self._journal.append(("put_aside", failure.reason.value))

    def _admit(self) -> None:
        written = len(self.outcomes) + len(self.dead_letters)
        if self._refusal is not None and self._refuse_at is not None and written >= self._refuse_at:
            raise self._refusal


class FakeTracker:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.activities: list[tuple[str, str]] = []
        self.outcomes: list[Outcome] = []
        self.waits: list[tuple[str, Fault, int, float]] = []
        self.dead_letters: list[Failure] = []
        self.faults: list[tuple[Record, Exception]] = []

    def activity(self, event_name: str, result: str) -> None:
        """Keep the count of an event."""
        self.activities.append((event_name, result))

    def outcome(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        self.outcomes.append(outcome)

    def waiting(self, endpoint: str, fault: Fault, attempt: int, seconds: float) -> None:
        """Keep a repetition."""
        self.waits.append((endpoint, fault, attempt, seconds))

    def dead_letter(self, failure: Failure) -> None:
        """Keep a dead letter."""
        self.dead_letters.append(failure)

    def fault(self, record: Record, error: Exception) -> None:
        """Keep a fault."""
        self.faults.append((record, error))


class FakeSleep:
    """Returns at once and keeps how long it was asked to wait."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Keep the delay."""
        self.delays.append(seconds)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes at once when there is nothing to do but to wait for it."""

    def __init__(self) -> None:
        self._skipped = 0.0
        super().__init__(_SkippingSelector(self))

    def time(self) -> float:
        """Return the seconds that were skipped."""
        return self._skipped

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self._skipped += seconds


class _SkippingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("deadlock: nothing is left that could happen")
        self._loop.skip(timeout)
        return super().select(0)


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, in no time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


