"""Times of any value, in records, events and answers: each leads to an outcome, and never to a loop."""

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.use_case.building import UseCase, virtual
from tests.support.use_case.fakes import (
    FakeApi,
    FakeLedger,
    FakePublisher,
    FakeSleep,
    FakeTracker,
    retrying_with,
)
from tests.support.use_case.values import NAMES, NOW, event, found, record
from topics.dead_letter import dead_letter_headers
from topics.outcome import Outcome
from topics.record import Record
from worker.capillary.catalogue_wire import read_list_page
from worker.capillary.wire import read_page
from worker.domain.answers import CustomerNotFound, Doubtful, FaultKind, Found, Issued, LookupAnswer, Notice
from worker.domain.catalogue import may_be_open
from worker.domain.identity import Reenrol
from worker.domain.plan import Policy
from worker.domain.times import Span
from worker.enrolment.rules import Rules
from worker.resilience.retrying import RetryPolicy

UNKNOWN: Final = CustomerNotFound((Notice(8015, "customer not found"),))
GRACE: Final = timedelta(minutes=2)
DELAY: Final = timedelta(seconds=30)

STAMPS: Final = st.sampled_from(
    [-1, -2, 0, 1, -(2**63), 2**63 - 1, 10**18, 1_769_853_600, 1_769_853_600_000, 1_769_853_600_000_000]
) | st.integers(-(2**63), 2**63 - 1)
TEXTS: Final = st.sampled_from(
    [
        *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999999-23:59"),
        *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+23:59"),
        *("0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-01-31T23:59:60Z", "2026-01-31T09:59:00"),
        *(
            "9999-12-31",
            "9999-12-31T23:59Z",
            "+292278994-08-17T07:12:55.807Z",
            "-0001-01-01T00:00Z",
            "",
            "never",
        ),
        *("1769853600000", "9" * 400, "NaN", "Infinity", "2026-W05-6", "2026-01-31T10:00:00+24:00"),
    ]
) | st.datetimes(timezones=st.timezones() | st.none()).map(datetime.isoformat)
VALUES: Final = (
    TEXTS
    | STAMPS
    | st.none()
    | st.booleans()
    | st.floats()
    | st.sampled_from([10**400, 1e308, -1e308, [], {}, [1], {"a": 1}])
)


@dataclass
class Group:
    """A consumer group whose clock goes on by the delay of a retry topic while a record lies there."""

    rules: Rules
    answers: list[LookupAnswer]

    def __post_init__(self) -> None:
        self.now = NOW
        self.publisher = FakePublisher([])
        self.tracker = FakeTracker()
        self.ledger = FakeLedger()

    def settle(self, source: Record) -> list[Outcome]:
        """Handle a record, and what is deferred of it, to the end; return all that is told."""
        return asyncio.run(self._settle(source))

    async def _settle(self, source: Record) -> list[Outcome]:
        deferred = 0
        await self._handle(source)
        while len(self.publisher.deferred) > deferred:
            deferred += 1
            assert deferred <= GRACE / DELAY, "deferred again and again"
            original, failure, hop = self.publisher.deferred[-1]
            headers = dead_letter_headers(original.headers, failure)
            at = replace(original.position, topic=NAMES.retries[hop - 1], offset=deferred)
            self.now += DELAY
            await self._handle(replace(original, position=at, headers=headers))
        assert not self.tracker.faults
        return [outcome for _, outcome in self.publisher.outcomes]

    async def _handle(self, source: Record) -> None:
        sleep = FakeSleep()
        use_case = UseCase(
            api=FakeApi([], self.answers, {57099: [Issued(1, ())]}),
            rules=self.rules,
            ledger=self.ledger,
            publisher=self.publisher,
            tracker=self.tracker,
            time=virtual(sleep, lambda: self.now),
            retrying=retrying_with(RetryPolicy(2), self.tracker, sleep),
        )
        await use_case.handle(source)


def _event(field: str, value: object) -> Record:
    """Return an event with that value, any JSON or none at all, where a time of its own may stand."""
    body = event(occurredAt=None) | {field: value}
    return record(json.dumps(body).encode())


@given(stamp=STAMPS, field=st.sampled_from(["occurredAt", "createdAt", "timeStamp"]), value=VALUES)
@example(stamp=2**63 - 1, field="occurredAt", value=None)
@example(stamp=2**63 - 1, field="occurredAt", value="9999-12-31T23:59:59-14:00")
@settings(deadline=None)
def test_an_unknown_customer_of_an_event_of_any_time_is_told_of_in_the_end(
    stamp: int, field: str, value: object
) -> None:
    """The grace ends by the clock since the event was first seen, however young its own time makes it."""
    source = replace(_event(field, value), timestamp_ms=stamp)
    told = Group(Rules(not_found_grace=GRACE, max_event_age=timedelta(days=1)), [UNKNOWN]).settle(source)
    *deferred, last = [outcome.outcome.value for outcome in told]
    assert set(deferred) <= {"DEFERRED"}
    # Not JSON (NaN, Infinity), no customer, too old.
    assert last in {"CUSTOMER_NOT_FOUND", "NO_PROMOTION_AVAILABLE", "DEAD_LETTERED"}
    for outcome in told:
        at = json.loads(outcome.to_json())["activity"].get("occurredAt")
        assert at is None or datetime.fromisoformat(at).tzinfo is not None


@given(stamp=STAMPS)
@example(stamp=2**63 - 1)
@example(stamp=-(2**63))
def test_a_record_of_any_time_comes_back_from_its_retry_topic(stamp: int) -> None:
    """Also the time of one that no clock can show: it is the original's, and no damage to the headers."""
    group = Group(Rules(not_found_grace=GRACE), [Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")])
    group.settle(record(event(), timestamp_ms=stamp))
    assert [outcome.reason for _, outcome in group.publisher.outcomes[-1:]] == ["retries_exhausted"]
    assert group.publisher.dead_letters[-1][1].timestamp_ms == stamp


@given(starts=VALUES, ends=VALUES, expires=VALUES, reenrol=st.sampled_from(Reenrol))
@settings(deadline=None)
def test_any_date_of_an_answer_leads_to_an_outcome(
    starts: object, ends: object, expires: object, reenrol: Reenrol
) -> None:
    """However they read."""
    entry = {"enrollmentId": 1, "enrollmentDate": expires, "enrollmentExpiryDate": expires}
    listed = {
        "promotionId": 57099,
        "programId": 469,
        "pointsOfferType": "LOYALTY_EARNING",
        "startDate": starts,
        "endDate": ends,
        "customerPromotionTimelines": [entry],
    }
    page = read_page({"customerId": 1, "promotions": [listed]})
    assert page is not None
    rules = Rules(policy=Policy(reenrol=reenrol))
    answer: Found = found(*page.promotions, customer_id=page.customer_id)
    (outcome,) = Group(rules, [answer]).settle(record(event()))
    assert outcome.outcome.value in {"ENROLLED", "ALREADY_ENROLLED", "NO_PROMOTION_AVAILABLE"}


@given(starts=VALUES, ends=VALUES)
@example(starts=None, ends="9999-12-31T23:59:59Z")
@example(starts="0001-01-01T00:00:00Z", ends=None)
def test_any_date_of_the_promotion_list_is_looked_at(starts: object, ends: object) -> None:
    """A promotion without an end in sight is open, and so is one that began before all time."""
    body = {"data": [{"id": 1, "startDate": starts, "endDate": ends}], "pageDetails": {"totalEntries": 1}}
    page = read_list_page(body)
    assert page is not None
    for now in (NOW, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        assert may_be_open(page.promotions[0], Span.at(now)) in {True, False}
