"""Events that cannot be settled now: which topic they go to, and what is told of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.use_case.building import UseCase, virtual
from tests.support.use_case.fakes import (
    FakeApi,
    FakeLedger,
    FakePublisher,
    FakeSleep,
    FakeTracker,
    retrying_with,
)
from tests.support.use_case.honest_api import Killed
from tests.support.use_case.values import NAMES, NOW, event, found, promotion, record
from topics.dead_letter import REDRIVEN, DeadLetterReason, dead_letter_headers
from topics.record import Headers, Position, Record
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    Fault,
    FaultKind,
    IssueAnswer,
    Issued,
    LookupAnswer,
    Misconfigured,
    Notice,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.identity import outcome_id
from worker.domain.promotions import TimelineEntry
from worker.enrolment.rules import Rules
from worker.resilience.circuit import Call
from worker.resilience.retrying import RetryPolicy

BROKEN = Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")
UNKNOWN = CustomerNotFound((Notice(8015, "customer not found"),))
REFUSED = Refused((Notice(8874, "promotion id passed is invalid"),))
SOURCE = record(event())


class Group:
    """A consumer group whose ledger and topics outlast the handling of one record."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.ledger = FakeLedger()
        self.publisher = FakePublisher([])
        self.api_journal: list[tuple[object, ...]] = []
        self.borne_out: bool | None = True
        self.deferred_for: list[str] = []
        self.others_are_served = True
        """Whether the API serves somebody else while it is asked."""
        self.dies_waiting = False

    async def handle(
        self,
        source: Record,
        lookups: Sequence[LookupAnswer],
        issues: Mapping[int, Sequence[IssueAnswer]] | None = None,
    ) -> list[tuple[str, int | None]]:
        """Handle a record; return outcome and promotion of what is told."""
        sleep, tracker = FakeSleep(), FakeTracker()
        retrying = retrying_with(RetryPolicy(2), tracker, sleep)

        async def wait(seconds: float) -> None:
            if self.dies_waiting:
                raise Killed
            await sleep(seconds)
            if self.others_are_served:
                for call in Call:
                    retrying._circuits[call].heard("another", found())

        retrying._sleep = wait
        before = len(self.publisher.outcomes)
        use_case = UseCase(
            api=FakeApi(self.api_journal, lookups, issues or {}),
            rules=self.rules,
            ledger=self.ledger,
            publisher=self.publisher,
            tracker=tracker,
            letters=self,
            time=virtual(sleep, lambda: NOW + timedelta(seconds=sleep.elapsed())),
            retrying=retrying,
        )
        await use_case.handle(source)
        self.deferred_for += tracker.deferred_for
        return [(each.outcome.value, each.promotion_id) for _, each in self.publisher.outcomes[before:]]

    async def bears_out(self, letter: Position, redriven: Record) -> bool | None:  # noqa: ARG002 - the port's
        """Say of each redrive what the test has it be."""
        return self.borne_out

    def retry(self) -> Record:
        """Return the record deferred last, as it lies on its retry topic."""
        source, failure, hop = self.publisher.deferred[-1]
        at = replace(source.position, topic=NAMES.retries[hop - 1], offset=len(self.publisher.deferred))
        mark = self.publisher.redriven
        headers = dead_letter_headers(source.headers, failure) + (
            ((REDRIVEN, mark.encode()),) if mark else ()
        )
        return replace(source, position=at, headers=headers)

    def redriven(self) -> Record:
        """Return the record dead-lettered last, as redrive puts it back."""
        source, failure = self.publisher.dead_letters[-1]
        headers: Headers = (
            *dead_letter_headers(source.headers, failure),
            (REDRIVEN, f"{NAMES.dead_letters}-0-0".encode()),
        )
        return replace(source, position=replace(source.position, offset=99), headers=headers)


@pytest.mark.asyncio
async def test_an_event_that_keeps_failing_goes_from_hop_to_hop_and_is_then_a_dead_letter() -> None:
    """Each time it is told under an id of its own; attempts add up; the record stays the original."""
    group = Group()
    told = await group.handle(SOURCE, [BROKEN])
    for _ in range(3):
        told += await group.handle(group.retry(), [BROKEN])

    assert told == [*[("DEFERRED", None)] * 3, ("DEAD_LETTERED", None)]
    assert [hop for _, _, hop in group.publisher.deferred] == [1, 2, 3]
    ids = [each.outcome_id for _, each in group.publisher.outcomes]
    assert ids[:3] == [outcome_id("evt-1", None, "DEFERRED", hop) for hop in (1, 2, 3)]
    ((dead, failure),) = group.publisher.dead_letters
    assert (dead, failure.attempts, failure.position) == (SOURCE, 8, SOURCE.position)
    assert failure.first_failed_at == group.publisher.deferred[0][1].first_failed_at


BUSY = Unsent(FaultKind.BUSY, "busy: 521, try after some time")


@pytest.mark.asyncio
async def test_a_customer_that_capillary_works_on_comes_again_by_way_of_the_retry_topics() -> None:
    """521 and 461 did nothing: tried again in place, then deferred as busy, and enrolled in the end."""
    group = Group()
    assert await group.handle(SOURCE, [BUSY, found(promotion(1))], {1: [BUSY, Issued(1, ())]}) == [
        ("ENROLLED", 1)
    ]

    group = Group()
    told = await group.handle(SOURCE, [BUSY])
    told += await group.handle(group.retry(), [found(promotion(1))], {1: [BUSY]})
    told += await group.handle(group.retry(), [BUSY], {1: [Issued(1, ())]})
    assert told == [("DEFERRED", None), ("DEFERRED", 1), ("ENROLLED", 1)]
    assert group.deferred_for == ["busy", "busy"]
    outcomes = [outcome for _, outcome in group.publisher.outcomes]
    assert [(each.reason, each.attempts) for each in outcomes] == [("busy", 2), ("busy", 2), (None, 1)]
    headers = [(failure.reason, failure.message) for _, failure, _ in group.publisher.deferred]
    assert headers == [
        (DeadLetterReason.RETRIES_EXHAUSTED, "lookup: busy: 521, try after some time"),
        (DeadLetterReason.RETRIES_EXHAUSTED, "issue: busy: 521, try after some time"),
    ]


@pytest.mark.parametrize("others", [True, False])
@pytest.mark.asyncio
async def test_only_a_customer_that_alone_stays_busy_is_a_dead_letter(others: bool) -> None:  # noqa: FBT001 - a case
    """While the API is busy for everybody nothing is: it comes again from the last retry topic."""
    group = Group()
    group.others_are_served = others
    told = await group.handle(SOURCE, [BUSY])
    for _ in range(4 if not others else 3):
        told += await group.handle(group.retry(), [BUSY])
    if others:
        assert told[-1] == ("DEAD_LETTERED", None)
        assert group.publisher.outcomes[-1][1].reason == "retries_exhausted"
        assert group.publisher.dead_letters[-1][1].reason is DeadLetterReason.RETRIES_EXHAUSTED
    else:
        assert told == [("DEFERRED", None)] * 5
        assert group.publisher.dead_letters == []


@pytest.mark.parametrize("others", [True, False])
@pytest.mark.asyncio
async def test_a_reading_of_what_became_of_a_request_may_meet_a_busy_api_too(others: bool) -> None:  # noqa: FBT001 - a case
    """It is told so, and is a dead letter only if the API had time for others."""
    group = Group()
    group.others_are_served = others
    told = await group.handle(SOURCE, [found(promotion(1)), BUSY], {1: [BROKEN]})
    for _ in range(3 if others else 4):
        told += await group.handle(group.retry(), [BUSY])
    reasons = [outcome.reason for _, outcome in group.publisher.outcomes]
    if others:
        assert told == [*[("DEFERRED", 1)] * 3, ("DEAD_LETTERED", 1)]
        assert reasons == [*["busy"] * 3, "retries_exhausted"]
    else:
        assert (told, reasons) == ([("DEFERRED", 1)] * 5, ["busy"] * 5)
    assert len([call for call in group.api_journal if call[0] == "issue"]) == 1


@pytest.mark.asyncio
async def test_nothing_is_asked_blindly_while_the_credentials_are_refused() -> None:
    """Whether such a request was applied could never be told: it waits until a reading is answered."""
    blind, refused = found(promotion(1, timeline=None)), Doubtful(FaultKind.MISCONFIGURED, "HTTP 401")
    group = Group()
    assert await group.handle(SOURCE, [blind], {1: [BUSY]}) == [("DEFERRED", 1)]
    group.api_journal.clear()
    for _ in range(4):
        told = await group.handle(group.retry(), [Misconfigured("HTTP 401")], {1: [refused]})
        assert told == [("DEFERRED", 1)]
    assert [call[0] for call in group.api_journal if call[0] == "issue"] == []
    assert await group.handle(group.retry(), [blind], {1: [Issued(1, ())]}) == [("ENROLLED", 1)]


@pytest.mark.parametrize(
    "outage",
    [Unsent(FaultKind.NOT_CONNECTED, "refused"), Throttled(60.0), Misconfigured("310144")],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.asyncio
async def test_a_process_that_ends_in_an_outage_leaves_nothing_in_doubt_that_was_never_sent(
    outage: Fault,
) -> None:
    """Nothing could tell what became of such a request; but it is known that it did not leave."""
    blind = found(promotion(1, timeline=None))
    group = Group()
    group.dies_waiting = True
    with pytest.raises(Killed):
        await group.handle(SOURCE, [blind], {1: [outage]})
    group.dies_waiting = False
    assert await group.handle(SOURCE, [blind], {1: [Issued(1, ())]}) == [("ENROLLED", 1)]
    assert group.publisher.dead_letters == []


@pytest.mark.parametrize("code", [8069, 91009])
@pytest.mark.parametrize("survivor", [None, 77])
@pytest.mark.asyncio
async def test_a_merged_customer_is_read_again_by_what_the_answer_or_the_event_names(
    code: int, survivor: int | None
) -> None:
    """First the survivor, then the other names of the event; it is enrolled under the survivor's id."""
    source = record(event(customer={"customerId": 5, "mobile": "919845012345", "email": "a@b.example"}))
    merged = Refused((Notice(code, "merged"),), survivor_id=survivor)
    group = Group()
    told = await group.handle(source, [merged, found(promotion(1), customer_id=77)], {1: [Issued(1, ())]})
    assert told == [("ENROLLED", 1)]
    assert group.publisher.outcomes[-1][1].customer_id == 77
    asked = [(call[1], call[2]) for call in group.api_journal if call[0] == "lookup"]
    assert asked == [("id", "5"), ("id", "77") if survivor else ("mobile", "919845012345")]


@pytest.mark.asyncio
async def test_a_merged_customer_is_looked_for_by_every_name() -> None:
    """One that finds nobody is not the end; if none does, the customer is known, and was merged."""
    source = record(event(customer={"customerId": 5, "mobile": "919845012345", "email": "a@b.example"}))
    merged = Refused((Notice(8069, "merged"),))
    for nobody in (UNKNOWN, Refused((Notice(422, "too long"),), unsent=True)):
        group = Group()
        told = await group.handle(
            source, [merged, nobody, found(promotion(1), customer_id=77)], {1: [Issued(1, ())]}
        )
        assert told == [("ENROLLED", 1)]

    group = Group()
    assert await group.handle(source, [merged, UNKNOWN]) == [("REJECTED", None)]
    assert [call[1] for call in group.api_journal] == ["id", "mobile", "email"]
    errors = group.publisher.outcomes[-1][1].errors
    assert errors is not None
    assert [error.code for error in errors] == [8069]


@pytest.mark.asyncio
async def test_a_merged_customer_that_no_name_finds_is_rejected() -> None:
    """After each name once."""
    source = record(event(customer={"customerId": 5, "mobile": "919845012345"}))
    merged = Refused((Notice(8069, "merged"),), survivor_id=5)
    group = Group()
    assert await group.handle(source, [merged]) == [("REJECTED", None)]
    assert len(group.api_journal) == 2


@pytest.mark.parametrize(
    "fault",
    [
        Misconfigured("HTTP 401"),
        Doubtful(FaultKind.INTERNAL, "KeyError"),
        Unsent(FaultKind.INTERNAL, "KeyError"),
    ],
    ids=str,
)
@pytest.mark.asyncio
async def test_what_is_our_fault_is_never_a_dead_letter(fault: Fault) -> None:
    """However often it is tried, of a lookup, a request, and a reading of what became of one."""
    group = Group()
    group.others_are_served = True
    told = await group.handle(SOURCE, [found(promotion(1)), fault], {1: [BROKEN]})
    for _ in range(5):
        told += await group.handle(group.retry(), [fault])
    assert told == [("DEFERRED", 1)] * 6

    group = Group()
    group.others_are_served = True
    told = await group.handle(SOURCE, [fault])
    for _ in range(5):
        told += await group.handle(group.retry(), [fault])
    assert (told, group.publisher.dead_letters) == ([("DEFERRED", None)] * 6, [])


@pytest.mark.parametrize(
    ("kind", "again"),
    [(FaultKind.MISCONFIGURED, True), (FaultKind.INTERNAL, True), (FaultKind.UNPROCESSABLE, False)],
)
@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.asyncio
async def test_an_enrolment_refused_by_who_may_not_know_is_found_out(
    kind: FaultKind,
    again: bool,  # noqa: FBT001 - a case
    applied: bool,  # noqa: FBT001 - a case
) -> None:
    """A 403, a redirect, a 422: what shows is told, and only what does not show is repeated."""
    group = Group()
    shown = found(promotion(1, timeline=[TimelineEntry(31, None, None)] if applied else []))
    doubt = Doubtful(kind, "HTTP 4xx")
    told = await group.handle(SOURCE, [found(promotion(1)), shown], {1: [doubt, Issued(8, ())]})
    posts = [call for call in group.api_journal if call[0] == "issue"]
    if applied or again:
        assert (told, len(posts)) == ([("ENROLLED", 1)], 1 if applied else 2)
    else:
        assert (told, len(posts)) == ([("REJECTED", 1)], 1)
        errors = group.publisher.outcomes[-1][1].errors
        assert errors is not None
        assert errors[0].code == 422


@pytest.mark.asyncio
async def test_attempts_are_requests_that_left() -> None:
    """An answer that was given without asking is none."""
    rests = Refused((Notice(8892, "promotion inactive"),), unsent=True, cached=True)
    group = Group()
    assert await group.handle(SOURCE, [found(promotion(1))], {1: [rests]}) == [("REJECTED", 1)]
    ((_, outcome),) = group.publisher.outcomes
    assert (outcome.cached, outcome.attempts) == (True, None)

    group = Group()
    assert await group.handle(SOURCE, [found(promotion(1))], {1: [BROKEN, rests]}) == [("REJECTED", 1)]
    assert group.publisher.outcomes[-1][1].attempts == 1


@pytest.mark.asyncio
async def test_only_what_is_unsettled_is_named_and_asked_for_again() -> None:
    """The promotion that was enrolled is not asked for on the retry."""
    group = Group()
    both = [found(promotion(1), promotion(2))]
    told = await group.handle(SOURCE, both, {1: [Issued(1, ())], 2: [BROKEN]})
    assert told == [("ENROLLED", 1), ("DEFERRED", 2)]
    group.api_journal.clear()

    told = await group.handle(group.retry(), both, {1: [], 2: [Issued(2, ())]})
    assert told == [("ENROLLED", 1), ("ENROLLED", 2)]
    assert [each[5] for each in group.api_journal if each[0] == "issue"] == [2]


@pytest.mark.asyncio
async def test_what_a_retry_topic_cannot_take_is_a_dead_letter_at_once() -> None:
    """Too large for it: the dead letter, with or without its value, is the way out."""
    group = Group()
    group.publisher.has_room = False

    assert await group.handle(SOURCE, [BROKEN]) == [("DEAD_LETTERED", None)]


@pytest.mark.asyncio
async def test_an_unknown_customer_of_a_young_event_is_looked_for_through_the_first_retry_topic() -> None:
    """As long as the event is young, and never beyond."""
    group = Group(Rules(not_found_grace=timedelta(minutes=2)))
    assert await group.handle(SOURCE, [UNKNOWN]) == [("DEFERRED", None)]
    assert await group.handle(group.retry(), [UNKNOWN]) == [("DEFERRED", None)]
    assert [hop for _, _, hop in group.publisher.deferred] == [1, 1]

    old = record(event(occurredAt="2026-01-31T09:00:00Z"))
    assert await group.handle(old, [UNKNOWN]) == [("CUSTOMER_NOT_FOUND", None)]


@pytest.mark.asyncio
async def test_a_retry_that_has_grown_old_is_brought_to_its_end() -> None:
    """MAX_EVENT_AGE_HOURS is for events that nothing was done about."""
    old = record(event(occurredAt="2026-01-31T08:00:00Z"))
    group = Group(Rules(max_event_age=timedelta(hours=1)))
    assert await group.handle(old, []) == [("NO_PROMOTION_AVAILABLE", None)]

    group.rules = Rules()
    await group.handle(old, [BROKEN])
    group.rules = Rules(max_event_age=timedelta(hours=1))
    assert await group.handle(group.retry(), [found(promotion(1))], {1: [Issued(1, ())]}) == [("ENROLLED", 1)]


@pytest.mark.asyncio
async def test_a_redrive_reopens_what_was_rejected_and_nothing_else() -> None:
    """Under the same identity and key: ENROLLED stays as it is, REJECTED is asked for once more."""
    group = Group()
    three = [found(promotion(1), promotion(2), promotion(3, timeline=None))]
    told = await group.handle(SOURCE, three, {1: [Issued(1, ())], 2: [REFUSED], 3: [BROKEN]})
    assert told == [("ENROLLED", 1), ("REJECTED", 2), ("DEAD_LETTERED", 3)]
    group.api_journal.clear()

    replayed = await group.handle(SOURCE, three, {3: [BROKEN]})
    assert replayed[:2] == [("ENROLLED", 1), ("REJECTED", 2)]
    assert [each for each in group.api_journal if each[0] == "issue"] == []
    redriven = await group.handle(group.redriven(), three, {2: [Issued(2, ())], 3: [BROKEN]})
    assert redriven[:2] == [("ENROLLED", 1), ("ENROLLED", 2)]
    assert [each[5] for each in group.api_journal if each[0] == "issue"] == [2]
    assert {each.activity.offset for _, each in group.publisher.outcomes} == {SOURCE.position.offset}


@pytest.mark.asyncio
@pytest.mark.parametrize(("borne_out", "identity"), [(True, "old"), (False, "new"), (None, "old")])
async def test_a_record_that_says_it_was_redriven_is_believed_as_far_as_its_letter_or_the_ledger_says_so(
    borne_out: bool | None,  # noqa: FBT001 - what the letter says
    identity: str,
) -> None:
    """Else it is an event of its own, at its own place, and its headers are upstream's."""
    group = Group()
    nameless = record(event(eventId=None))
    both = [found(promotion(1), promotion(2, timeline=None))]
    await group.handle(nameless, both, {1: [REFUSED], 2: [BROKEN]})
    group.borne_out = borne_out
    redriven = group.redriven()

    await group.handle(redriven, both, {1: [REFUSED], 2: [BROKEN]})

    at = nameless.position if identity == "old" else redriven.position
    _, outcome = group.publisher.outcomes[-1]
    assert (outcome.activity.event_id, outcome.activity.offset) == (str(at), at.offset)


@pytest.mark.asyncio
@pytest.mark.parametrize("borne_out", [False, None])
async def test_nothing_is_believed_that_nothing_bears_out(
    borne_out: bool | None,  # noqa: FBT001 - what the letter says
) -> None:
    """A redrive that another group is said to have made is handled too."""
    group = Group()
    await group.handle(record(event(eventId=None)), [BROKEN])
    for _ in range(3):
        await group.handle(group.retry(), [BROKEN])
    forged = group.redriven()
    others = replace(forged, headers=(*forged.headers, ("enrolment.error.group", b"another")))
    group.borne_out = borne_out

    for each in (forged, others):
        assert await group.handle(each, [found(promotion(1))], {1: [REFUSED]}) == [("REJECTED", 1)]
        assert group.publisher.outcomes[-1][1].activity.offset == each.position.offset


@pytest.mark.asyncio
async def test_a_dry_run_moves_nothing() -> None:
    """It writes no retry record: the outcome says how the event would end here."""
    group = Group(Rules(dry_run=True))

    assert await group.handle(SOURCE, [BROKEN]) == [("DEAD_LETTERED", None)]
    assert (group.publisher.deferred, group.publisher.dead_letters) == ([], [])


@pytest.mark.asyncio
async def test_a_redrive_that_is_deferred_goes_on_with_what_it_reopened() -> None:
    """The rejection of old is not told in place of the attempt that is open."""
    group = Group()
    two = [found(promotion(1), promotion(2, timeline=None))]
    await group.handle(SOURCE, two, {1: [REFUSED], 2: [BROKEN]})
    deferred = await group.handle(group.redriven(), two, {1: [BROKEN], 2: [BROKEN]})
    assert ("DEFERRED", 1) in deferred

    assert ("ENROLLED", 1) in await group.handle(group.retry(), two, {1: [Issued(1, ())], 2: [BROKEN]})


@pytest.mark.asyncio
async def test_an_event_from_the_future_does_not_stay_young() -> None:
    """NOT_FOUND_GRACE_SECONDS counts from when it was written at the latest."""
    group = Group(Rules(not_found_grace=timedelta(minutes=2)))
    future = record(event(occurredAt="2099-01-01T00:00:00Z"), timestamp_ms=1_769_850_000_000)

    assert await group.handle(future, [UNKNOWN]) == [("CUSTOMER_NOT_FOUND", None)]


@pytest.mark.asyncio
async def test_a_damaged_retry_is_a_dead_letter() -> None:
    """It is ours, and must not vanish."""
    group = Group()
    await group.handle(SOURCE, [BROKEN])
    retry = group.retry()
    damaged = replace(retry, headers=(*retry.headers, ("enrolment.error.offset", b"?")))

    assert await group.handle(damaged, []) == [("DEAD_LETTERED", None)]
