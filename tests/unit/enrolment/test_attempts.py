"""An attempt at an enrolment: when it is repeated, and how its doubt ends, for its own event and the next."""

from collections.abc import Callable, Sequence

import pytest

from tests.support.use_case.answers import BLIND, BROKEN, BUSY, DOUBTFUL, STANDING
from tests.support.use_case.building import UseCase, virtual
from tests.support.use_case.consumer_group import ConsumerGroup
from tests.support.use_case.fakes import (
    FakeApi,
    FakeLease,
    FakeLedger,
    FakePublisher,
    FakeSleep,
    FakeTracker,
    JournalEntry,
    retrying_with,
)
from tests.support.use_case.honest_api import Killed
from tests.support.use_case.scripted import Scripted
from tests.support.use_case.values import CUSTOMER, NOW, event, found, promotion, record
from worker.domain.answers import (
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
from worker.domain.promotions import Identifier, Promotion, TimelineEntry
from worker.domain.settlement import Subject
from worker.enrolment.ports import PublishFailed
from worker.resilience.retrying import RetryPolicy

SOURCE = record(event())
LOST = Doubtful(FaultKind.TIMEOUT, "slow")
OPEN = promotion(1)
SHOWN = promotion(1, timeline=[TimelineEntry(12, NOW, None)])
SUBJECT = Subject.of(OPEN, 1800)


@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.asyncio
async def test_an_enrolment_in_doubt_is_never_repeated_and_does_not_stop_the_next(kind: FaultKind) -> None:
    """Without evidence: one POST, the promotions after it are enrolled, the event ends as a dead letter."""
    scene = Scripted(
        [found(BLIND, promotion(2), promotion(3, timeline=None))],
        {
            1: [Doubtful(kind, "?"), Issued(1, ())],
            2: [Issued(2, ())],
            3: [Doubtful(kind, "?"), Issued(3, ())],
        },
    )
    source = record(event())

    await scene.handle(source)

    assert [entry[5] for entry in scene.calls("issue")] == [1, 2, 3]
    assert [entry for entry in scene.journal if entry[0] not in ("issue", "lookup")] == [
        ("publish", "ENROLLED", 2),
        ("dead_letter", "in_doubt"),
        ("publish", "DEAD_LETTERED", 1),
        ("publish", "DEAD_LETTERED", 3),
    ]
    ((letter, failure),) = scene.publisher.dead_letters
    assert letter is source
    assert (failure.reason.value, failure.attempts) == ("in_doubt", 1)
    assert failure.message == "issue: no evidence of its effect either way"
    assert {key for key, _ in scene.publisher.outcomes} == {str(CUSTOMER).encode()}


@pytest.mark.asyncio
async def test_a_doubtful_enrolment_is_repeated_only_once_it_is_shown_not_to_have_happened() -> None:
    """The second POST has the same key and leaves after a late enough reading that shows nothing."""
    scene = Scripted([found(promotion(1))], {1: [DOUBTFUL, Issued(3, ())]})

    await scene.handle()

    first, second = scene.calls("issue")
    assert first[:7] == second[:7]
    assert scene.sleep.elapsed() >= 5.0
    assert scene.journal[-3][0] == "lookup"
    assert scene.told == [("ENROLLED", 1, None)]
    assert (scene.values[0]["attempts"], scene.values[0].get("reconciled")) == (2, None)


@pytest.mark.asyncio
async def test_a_doubtful_enrolment_that_shows_is_told_as_reconciled() -> None:
    """A timeline entry that the plan did not note settles the doubt at once: one POST, ENROLLED."""
    scene = Scripted([found(promotion(1)), found(promotion(1, timeline=[STANDING]))], {1: [DOUBTFUL]})

    await scene.handle()

    assert len(scene.calls("issue")) == 1
    assert scene.told == [("ENROLLED", 1, None)]
    assert (scene.values[0]["reconciled"], scene.values[0]["enrollmentId"]) == (True, 12)
    assert scene.sleep.delays == []


@pytest.mark.parametrize(
    "fault",
    [Unsent(FaultKind.NOT_CONNECTED, "x"), Throttled(2.0), Misconfigured("HTTP 403")],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.asyncio
async def test_what_reached_nobody_is_repeated_under_the_same_key(fault: Fault) -> None:
    """An outage is waited out; the repeated POST carries the same idempotency key and counts its resends."""
    scene = Scripted([fault, fault, found(promotion(1))], {1: [*[fault] * 30, Issued(3, ())]})

    await scene.handle()

    issues = scene.calls("issue")
    assert len({entry[6] for entry in issues}) == 1
    assert [entry[7] for entry in issues] == list(range(31))
    assert [entry[5] for entry in scene.calls("lookup")] == [0, 1, 2]
    assert scene.told == [("ENROLLED", 1, None)]
    assert scene.values[0]["attempts"] == 31
    assert len(scene.sleep.delays) == 32


@pytest.mark.asyncio
async def test_nothing_is_asked_blindly_while_the_credentials_are_refused() -> None:
    """Whether such a request was applied could never be told: it waits until a reading is answered."""
    blind, refused = found(promotion(1, timeline=None)), Doubtful(FaultKind.MISCONFIGURED, "HTTP 401")
    group = ConsumerGroup()
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
    group = ConsumerGroup()
    group.dies_waiting = True
    with pytest.raises(Killed):
        await group.handle(SOURCE, [blind], {1: [outage]})
    group.dies_waiting = False
    assert await group.handle(SOURCE, [blind], {1: [Issued(1, ())]}) == [("ENROLLED", 1)]
    assert group.publisher.dead_letters == []


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
    group = ConsumerGroup()
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
    group = ConsumerGroup()
    assert await group.handle(SOURCE, [found(promotion(1))], {1: [rests]}) == [("REJECTED", 1)]
    ((_, outcome),) = group.publisher.outcomes
    assert (outcome.cached, outcome.attempts) == (True, None)

    group = ConsumerGroup()
    assert await group.handle(SOURCE, [found(promotion(1))], {1: [BROKEN, rests]}) == [("REJECTED", 1)]
    assert group.publisher.outcomes[-1][1].attempts == 1


async def _handle(
    ledger: FakeLedger,
    event_id: str,
    lookups: Sequence[LookupAnswer],
    issues: Sequence[IssueAnswer] = (),
    *,
    refuse_at: int | None = None,
) -> list[tuple[str, str, bool | None]]:
    """Handle an event; return event, outcome and whether it was reconciled, of each outcome told."""
    journal: list[JournalEntry] = []
    sleep, tracker = FakeSleep(), FakeTracker()
    publisher = FakePublisher(journal, refuse_at, PublishFailed("enrolment-outcomes: NotEnoughReplicas"))
    use_case = UseCase(
        api=FakeApi(journal, lookups, {1: issues}),
        ledger=ledger,
        publisher=publisher,
        tracker=tracker,
        time=virtual(sleep),
        retrying=retrying_with(RetryPolicy(1), tracker, sleep),
    )
    await use_case.handle(record(event(eventId=event_id)))
    return [(o.activity.event_id, o.outcome.value, o.reconciled) for _, o in publisher.outcomes]


async def _left_open(ledger: FakeLedger) -> None:
    """Let the event "first" lose its answer, with nothing to be read of the customer afterwards."""
    told = await _handle(ledger, "first", [found(OPEN), LOST], [LOST])
    assert told == [("first", "DEFERRED", None)]
    assert ledger.standing(CUSTOMER, SUBJECT).attempt is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("listed", [OPEN, SHOWN], ids=["shows later", "shows in the lookup"])
async def test_an_open_attempt_that_succeeded_is_told_before_the_next_event_is_settled(
    listed: Promotion,
) -> None:
    """The first event must get its ENROLLED, also where the lookup already shows what became of it."""
    ledger = FakeLedger()
    await _left_open(ledger)
    told = await _handle(ledger, "second", [found(listed), found(SHOWN)])
    assert told == [("first", "ENROLLED", True), ("second", "ALREADY_ENROLLED", None)]
    assert ledger.standing(CUSTOMER, SUBJECT).attempt is None


@pytest.mark.asyncio
async def test_an_open_attempt_that_came_to_nothing_makes_room_for_the_next_event() -> None:
    """The first event comes again later; the second enrols."""
    ledger = FakeLedger()
    await _left_open(ledger)
    told = await _handle(ledger, "second", [found(OPEN)], [Issued(3, ())])
    assert told == [("second", "ENROLLED", None)]


@pytest.mark.asyncio
async def test_an_open_attempt_is_closed_only_once_its_outcome_is_told() -> None:
    """Where the outcome was not acknowledged, the replay must tell it: nobody else knows of it."""
    ledger = FakeLedger()
    await _left_open(ledger)
    with pytest.raises(PublishFailed):
        await _handle(ledger, "second", [found(OPEN), found(SHOWN)], refuse_at=0)
    (result,) = ledger.results.values()
    assert await _handle(ledger, "second", [found(SHOWN)]) == [
        ("first", "ENROLLED", True),
        ("second", "ALREADY_ENROLLED", None),
    ]
    assert ledger.results["first", SUBJECT] is result


@pytest.mark.asyncio
async def test_a_rejection_after_a_doubt_counts_every_request() -> None:
    """The first was answered by who may not know; the second, after a reading, says that it is no good."""
    doubts = [Doubtful(FaultKind.MISCONFIGURED, "HTTP 403"), Doubtful(FaultKind.UNPROCESSABLE, "HTTP 422")]
    scene = Scripted([found(promotion(1))], {1: doubts})
    await scene.handle()
    assert (scene.told, len(scene.calls("issue"))) == ([("REJECTED", 1, None)], 2)
    assert scene.values[0]["attempts"] == 2


class LateConnection(FakeApi):
    """Has its connection only after the group was not heard of for too long."""

    lease: FakeLease
    could_send: bool | None = None

    async def issue(
        self,
        identifier: Identifier,
        program_id: int,
        promotion_id: int,
        idempotency_key: str,
        *,
        resend_count: int = 0,  # noqa: ARG002 - the port's
        may_send: Callable[[], bool] = lambda: True,
    ) -> IssueAnswer:
        """Ask at the last moment, as the client does."""
        assert may_send()
        self.lease.is_heard = False
        self.could_send = may_send()
        self.lease.is_heard = True
        return await super().issue(identifier, program_id, promotion_id, idempotency_key)


@pytest.mark.asyncio
async def test_the_client_is_told_at_the_last_moment_that_a_request_may_not_leave() -> None:
    """Who waits for a connection may be frozen meanwhile, and another member at work on the customer."""
    sleep, tracker = FakeSleep(), FakeTracker()
    api, lease = LateConnection([], [found(OPEN)], {1: [Issued(3, ())]}), FakeLease()
    api.lease = lease
    use_case = UseCase(
        api=api, time=virtual(sleep), retrying=retrying_with(RetryPolicy(1), tracker, sleep), tracker=tracker
    )
    await use_case.handle(SOURCE, lease)
    assert api.could_send is False
