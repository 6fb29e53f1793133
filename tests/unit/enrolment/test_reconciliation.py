"""Readings of a customer's promotions: what they say of a request, and when a reading is late enough."""

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import cast

import pytest

from tests.support.use_case.fakes import (
    FakeApi,
    FakeLease,
    FakeSleep,
    JournalEntry,
)
from tests.support.use_case.values import CUSTOMER, found, promotion
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    FaultKind,
    LookupAnswer,
    Misconfigured,
    Refused,
    Unsent,
)
from worker.domain.evidence import Applied, Evidence, NoEvidence, NotShown
from worker.domain.limits import LimitReason
from worker.domain.promotions import Identifier, IdentifierName, Restriction, TimelineEntry
from worker.domain.settlement import Subject
from worker.enrolment.lease import Abandoned
from worker.enrolment.reconciliation import Readings, Unread
from worker.resilience.circuit import Call
from worker.resilience.retrying import Retrying

pytestmark = pytest.mark.asyncio

SETTLE = 5.0
BEFORE, AFTER = TimelineEntry(11, None, None), TimelineEntry(12, None, None)
OLD = found(promotion(1, timeline=[BEFORE]))
NEW = found(promotion(1, timeline=[BEFORE, AFTER]))
ELSEWHERE = found(promotion(2, timeline=[BEFORE, AFTER]))
NOTED = Evidence(enrolment_ids=(11,))
SUBJECT = Subject.of(promotion(1), 1800)
CUSTOMER_ID = Identifier(IdentifierName.CUSTOMER_ID, str(CUSTOMER), "INSTORE")
BROKEN = Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")
BUSY = Unsent(FaultKind.BUSY, "busy: 521, try after some time")
FULL = Restriction(kpi="NUMBER_OF_ISSUALS", limit_on="CUSTOMER", max_limit=Decimal(10), usage=Decimal(10))


class Once:
    """In place of the repetitions: each call is made once, and others are served meanwhile or not."""

    def __init__(self, *, others: bool) -> None:
        self._others = others

    async def lookup(
        self, _customer: object, call: Callable[[int], Awaitable[LookupAnswer]]
    ) -> tuple[LookupAnswer, int]:
        return await call(0), 1

    def served_since(self, kind: Call, _moment: float) -> bool:
        assert kind is Call.LOOKUP
        return self._others


class Scene:
    """Readings amid fakes, on a timer that only sleeping moves."""

    def __init__(self, *answers: LookupAnswer, others: bool = False, wakes_early: bool = False) -> None:
        self.journal: list[JournalEntry] = []
        self.sleep, self.lease = FakeSleep(), FakeLease()

        async def woken_early(seconds: float) -> None:
            await self.sleep(seconds if seconds < 1 else seconds / 2)

        self.readings = Readings(
            FakeApi(self.journal, answers, {}),
            cast("Retrying", Once(others=others)),
            settle_seconds=SETTLE,
            timer=self.sleep.elapsed,
            sleep=woken_early if wakes_early else self.sleep,
        )

    async def find_out(self, since: float = 0.0) -> object:
        return await self.readings.find_out(CUSTOMER_ID, SUBJECT, NOTED, since, self.lease)

    async def note(self, seconds: float = 0.0) -> Evidence | Unread:
        return await self.readings.note(CUSTOMER_ID, SUBJECT, seconds, self.lease)


async def test_evidence_counts_at_once() -> None:
    """However early it is read. What a reading shows includes what is not open to enrol into any more."""
    scene = Scene(NEW)
    assert await scene.find_out() == Applied(12)
    assert (scene.journal, scene.sleep.delays) == ([("lookup", "id", str(CUSTOMER), "INSTORE", False, 0)], [])


@pytest.mark.parametrize(
    ("early", "late", "finding"),
    [
        (OLD, OLD, NotShown()),
        (OLD, NEW, Applied(12)),
        (OLD, ELSEWHERE, NoEvidence()),
        (ELSEWHERE, OLD, NotShown()),
        (BROKEN, OLD, NotShown()),
        (OLD, BROKEN, Unread()),
    ],
)
async def test_absence_counts_in_a_reading_that_began_late_enough(
    early: LookupAnswer, late: LookupAnswer, finding: object
) -> None:
    """One that came before the settle time is over is read again, once, whatever it said otherwise."""
    scene = Scene(early, late)
    assert await scene.find_out() == finding
    assert (len(scene.journal), scene.sleep.elapsed()) == (2, SETTLE)


@pytest.mark.parametrize(("since", "readings"), [(10.0, 2), (5.001, 2), (5.0, 1), (-60.0, 1)])
async def test_the_time_counts_since_the_attempt(since: float, readings: int) -> None:
    """It is ten seconds by the timer; who has waited already does not wait again."""
    scene = Scene(OLD)
    scene.sleep.delays.append(10.0)
    assert await scene.find_out(since) == NotShown()
    assert (len(scene.journal), scene.sleep.elapsed()) == (readings, max(10.0, since + SETTLE))


async def test_who_is_woken_early_sleeps_on() -> None:
    """A reading before the time would be wasted, and taken for a late one."""
    scene = Scene(OLD, wakes_early=True)
    assert await scene.find_out() == NotShown()
    assert scene.sleep.delays == [2.5, 1.25, 0.625, 0.625]
    assert len(scene.journal) == 2


async def test_nothing_is_read_once_the_partition_is_lost() -> None:
    """The wait is over, and the attempt is its new owner's to look into."""
    scene = Scene(OLD)
    scene.lease.is_held = False
    with pytest.raises(Abandoned):
        await scene.find_out()
    assert len(scene.journal) == 1
    with pytest.raises(Abandoned):
        await scene.note(2.0)
    assert len(scene.journal) == 1


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize(
    ("answer", "alone", "beside_others"),
    [
        (BROKEN, Unread(), Unread()),
        (Refused(()), Unread(), Unread()),
        (CustomerNotFound(()), Unread(), Unread()),
        (BUSY, Unread(waits=True, is_busy=True), Unread(is_busy=True)),
        (Doubtful(FaultKind.INTERNAL, "KeyError"), Unread(waits=True), Unread(waits=True)),
        (Misconfigured("HTTP 401"), Unread(waits=True), Unread(waits=True)),
    ],
    ids=str,
)
async def test_who_cannot_be_read_waits_if_it_is_no_fault_of_the_event(
    answer: LookupAnswer, alone: Unread, beside_others: Unread, *, others: bool
) -> None:
    """Ours, or that of an API that has no time for anybody; it is the same before a request and after one."""
    scene = Scene(answer, others=others)
    expected = beside_others if others else alone
    assert (await scene.find_out(), await scene.note()) == (expected, expected)


@pytest.mark.parametrize(
    ("answer", "noted"),
    [
        (OLD, Evidence(enrolment_ids=(11,))),
        (found(promotion(1, timeline=None, restrictions=[FULL])), Evidence(issuals=10)),
        (ELSEWHERE, Evidence()),
    ],
)
async def test_what_there_is_before_a_request_is_noted_after_a_wait(
    answer: LookupAnswer, noted: Evidence
) -> None:
    """A promotion that is not shown tells nothing."""
    scene = Scene(answer)
    assert await scene.note(3.0) == noted
    assert scene.sleep.delays == [3.0]
    assert scene.journal == [("lookup", "id", str(CUSTOMER), "INSTORE", False, 0)]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([found(promotion(2), promotion(1, restrictions=[FULL]))], (LimitReason.CUSTOMER_LIMIT, FULL)),
        ([found(promotion(2, restrictions=[FULL]))], (LimitReason.CONFIGURATION_OR_LIMIT, None)),
        ([BROKEN], (LimitReason.CONFIGURATION_OR_LIMIT, None)),
    ],
)
async def test_the_reading_names_the_limit_behind_an_8890(
    answers: Sequence[LookupAnswer], reason: tuple[LimitReason, Restriction | None]
) -> None:
    """Of this promotion; if it does not say which, the API's own words hold. Nobody waits for it."""
    scene = Scene(*answers)
    assert await scene.readings.explain(CUSTOMER_ID, SUBJECT) == reason
    assert scene.sleep.delays == []
