"""The use case amid fakes of its ports: what is asked, written and told, and in which order."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from tests.support.use_case.fakes import FakeLease, FakeSleep
from tests.support.use_case.scripted import Scripted
from tests.support.use_case.values import CUSTOMER, NOW, PROGRAM, event, found, promotion, record
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
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.plan import Policy
from worker.domain.promotions import Restriction, TimelineEntry
from worker.enrolment.checkpoints import Checkpoint
from worker.enrolment.lease import Abandoned
from worker.enrolment.ports import PublishFailed
from worker.enrolment.rules import Rules
from worker.telemetry.metrics import Metrics

LIMIT = NotIssued((Notice(8890, "promotion not issued"),))
UNKNOWN = CustomerNotFound((Notice(8015, "customer not found"),))
REFUSED = Refused((Notice(8874, "promotion id passed is invalid"),))
DOUBTFUL = Doubtful(FaultKind.TIMEOUT, "slow")
FULL = Restriction("NUMBER_OF_ISSUALS", "CUSTOMER", Decimal(10), Decimal(10))
PROMOTION_FULL = Restriction("NUMBER_OF_ISSUALS", "PROMOTION", Decimal(5), Decimal(5))
STANDING = TimelineEntry(12, NOW, None)
BLIND = promotion(1, timeline=None)
"""A promotion that shows neither timeline nor usage: nothing tells whether an enrolment happened."""
ISSUED_ANY: Mapping[int, Sequence[IssueAnswer]] = {number: [Issued(None, ())] for number in (1, 2, 9)}


@pytest.mark.parametrize(
    ("lookups", "issues", "rules", "told"),
    [
        ([found(promotion(1))], {1: [Issued(3, ())]}, Rules(), [("ENROLLED", 1, None)]),
        ([found(promotion(1, timeline=[STANDING]))], {}, Rules(), [("ALREADY_ENROLLED", 1, None)]),
        (
            [found(promotion(1)), found(promotion(1, restrictions=[FULL]))],
            {1: [LIMIT]},
            Rules(),
            [("LIMIT_EXHAUSTED", 1, "CUSTOMER_LIMIT")],
        ),
        (
            [found(promotion(1)), found(promotion(1, restrictions=[PROMOTION_FULL, FULL]))],
            {1: [LIMIT]},
            Rules(),
            [("LIMIT_EXHAUSTED", 1, "PROMOTION_LIMIT")],
        ),
        (
            [found(promotion(1)), found(promotion(1))],
            {1: [LIMIT]},
            Rules(),
            [("LIMIT_EXHAUSTED", 1, "CONFIGURATION_OR_LIMIT")],
        ),
        (
            [found(promotion(1)), found()],
            {1: [LIMIT]},
            Rules(),
            [("LIMIT_EXHAUSTED", 1, "CONFIGURATION_OR_LIMIT")],
        ),
        (
            [found(promotion(1)), UNKNOWN],
            {1: [LIMIT]},
            Rules(),
            [("LIMIT_EXHAUSTED", 1, "CONFIGURATION_OR_LIMIT")],
        ),
        (
            [found(promotion(1)), DOUBTFUL],
            {1: [LIMIT]},
            Rules(),
            [("LIMIT_EXHAUSTED", 1, "CONFIGURATION_OR_LIMIT")],
        ),
        (
            [found(promotion(1, restrictions=[FULL]))],
            {},
            Rules(),
            [("LIMIT_EXHAUSTED", 1, "CUSTOMER_LIMIT")],
        ),
        ([found()], {}, Rules(), [("NO_PROMOTION_AVAILABLE", None, None)]),
        ([found(promotion(1, active=False))], {}, Rules(), [("NO_PROMOTION_AVAILABLE", None, None)]),
        (
            [found(promotion(1))],
            {},
            Rules(Policy(excluded_promotion_ids=frozenset({1}))),
            [("NO_PROMOTION_AVAILABLE", None, None)],
        ),
        (
            [],
            {},
            Rules(max_event_age=timedelta(seconds=59)),
            [("NO_PROMOTION_AVAILABLE", None, "EVENT_TOO_OLD")],
        ),
        ([UNKNOWN], {}, Rules(), [("CUSTOMER_NOT_FOUND", None, None)]),
        ([found(promotion(1))], {1: [UNKNOWN]}, Rules(), [("CUSTOMER_NOT_FOUND", 1, None)]),
        ([REFUSED], {}, Rules(), [("REJECTED", None, None)]),
        ([found(promotion(1))], {1: [REFUSED]}, Rules(), [("REJECTED", 1, None)]),
        (
            [found(promotion(1))],
            {1: [NotIssued((Notice(4711, "new"),))]},
            Rules(),
            [("REJECTED", 1, "NOT_ISSUED")],
        ),
        (
            [found(promotion(1, org_id=8))],
            {},
            Rules(Policy(org_id=1800)),
            [("REJECTED", 1, "OTHER_ORGANISATION")],
        ),
        ([found(promotion(1))], {}, Rules(dry_run=True), [("WOULD_ENROL", 1, None)]),
        ([found(BLIND)], {1: [DOUBTFUL]}, Rules(), [("DEAD_LETTERED", 1, "in_doubt")]),
        ([DOUBTFUL], {}, Rules(), [("DEFERRED", None, "retries_exhausted")]),
        ([], {}, Rules(Policy(org_id=7)), [("DEAD_LETTERED", None, "other_organisation")]),
        ([RuntimeError("a bug")], {}, Rules(), [("DEAD_LETTERED", None, "handler_fault")]),
    ],
    ids=[
        "enrolled",
        "already-enrolled",
        "8890-customer-limit",
        "8890-promotion-limit",
        "8890-limits-open",
        "8890-promotion-gone",
        "8890-customer-gone",
        "8890-unreadable",
        "used-up-unasked",
        "no-promotions",
        "none-open",
        "none-allowed",
        "too-old",
        "unknown-at-lookup",
        "unknown-at-issue",
        "refused-at-lookup",
        "refused-at-issue",
        "warning-only",
        "foreign-promotion",
        "dry-run",
        "in-doubt",
        "retries-exhausted",
        "other-organisation",
        "fault",
    ],
)
@pytest.mark.asyncio
async def test_each_row_of_the_outcome_table(
    lookups: Sequence[LookupAnswer | Exception],
    issues: Mapping[int, Sequence[IssueAnswer]],
    rules: Rules,
    told: list[tuple[str, object, str | None]],
) -> None:
    """What the API answers leads to the contract's outcome, acknowledged before it is counted."""
    scene = Scripted(lookups, issues, rules)

    await scene.handle()

    assert scene.told == told
    assert scene.tracker.outcomes == [outcome for _, outcome in scene.publisher.outcomes]


@pytest.mark.asyncio
async def test_an_enrolment_is_told_in_full() -> None:
    """The whole record of a success, under the customer's id."""
    scene = Scripted([found(promotion(57099))], {57099: [Issued(3, ())]})

    await scene.handle()

    assert [key for key, _ in scene.publisher.outcomes] == [b"482579328"]
    assert scene.values == [
        {
            "outcomeId": "465a12f0-405a-53ff-afec-c6cdb8765dea",
            "outcome": "ENROLLED",
            "severity": "info",
            "orgId": 1800,
            "customerId": CUSTOMER,
            "programId": PROGRAM,
            "promotionId": 57099,
            "promotionName": "Promotion 57099",
            "issualId": 3,
            "idempotencyKey": "390b4227-10e0-5e47-b192-813057d0df4d",
            "attempts": 1,
            "activity": {
                "eventId": "evt-1",
                "eventName": "transactionAdded",
                "occurredAt": "2026-01-31T09:59:00Z",
                "topic": "customer-activity",
                "partition": 3,
                "offset": 42,
            },
            "occurredAt": "2026-01-31T10:00:00Z",
        }
    ]


@pytest.mark.asyncio
async def test_the_story_of_an_event_call_by_call() -> None:
    """One lookup by the event's name, then enrolments by customer id, one after another, in lookup order.

    Each outcome is published before the next promotion is asked for.
    """
    scene = Scripted([found(promotion(9), promotion(1, timeline=[STANDING]), promotion(2))], ISSUED_ANY)

    await scene.handle()

    calls = [entry[:6] if entry[0] == "issue" else entry for entry in scene.journal]
    assert calls == [
        ("lookup", "mobile", "919845012345", "INSTORE", True, 0),
        ("issue", "id", str(CUSTOMER), "INSTORE", PROGRAM, 9),
        ("publish", "ENROLLED", 9),
        ("publish", "ALREADY_ENROLLED", 1),
        ("issue", "id", str(CUSTOMER), "INSTORE", PROGRAM, 2),
        ("publish", "ENROLLED", 2),
    ]
    assert scene.tracker.activities == [("transactionAdded", "handled")]


@pytest.mark.asyncio
async def test_a_limit_is_explained_by_a_reading_that_shows_all_promotions() -> None:
    """After an 8890 the promotion may be open no more: the second lookup does not filter by that."""
    scene = Scripted([found(promotion(1)), found(promotion(1, restrictions=[FULL]))], {1: [LIMIT]})

    await scene.handle()

    assert scene.calls("lookup")[1] == ("lookup", "id", str(CUSTOMER), "INSTORE", False, 0)
    (value,) = scene.values
    assert value["restriction"] == {
        "kpi": "NUMBER_OF_ISSUALS",
        "limitOn": "CUSTOMER",
        "maxLimit": 10,
        "currentCustomerUsage": 10,
    }
    assert value["warnings"] == [{"code": 8890, "message": "promotion not issued"}]
    assert len(scene.calls("issue")) == 1


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
        ("put_aside", "in_doubt"),
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


@pytest.mark.asyncio
async def test_nothing_is_sent_or_written_once_the_partition_is_lost() -> None:
    """The event is its new owner's: no POST, no outcome, no dead letter leave from here."""
    for value in (event(), b"\xff"):
        scene = Scripted([found(promotion(1))], ISSUED_ANY)
        lost = FakeLease()
        lost.is_held = False

        with pytest.raises(Abandoned):
            await scene.handle(record(value), lost)

        assert [entry for entry in scene.journal if entry[0] != "lookup"] == []


class Waking(FakeSleep):
    """A sleep during which the group is heard again: with the partition, or without."""

    def __init__(self, lease: FakeLease, *, is_held: bool) -> None:
        super().__init__()
        self._lease = lease
        self._is_held = is_held

    async def __call__(self, seconds: float) -> None:
        """Hear of the partition."""
        await super().__call__(seconds)
        self._lease.is_held, self._lease.is_heard = self._is_held, True


@pytest.mark.parametrize(
    ("frozen_at", "left", "results"),
    [
        (Checkpoint.PLANNED, ["lookup"], 0),
        (Checkpoint.ANSWERED, ["lookup", "issue"], 0),
        (Checkpoint.RECORDED, ["lookup", "issue"], 1),
    ],
)
@pytest.mark.asyncio
async def test_who_was_frozen_hears_whose_the_partition_is_before_anything_leaves(
    frozen_at: Checkpoint, left: list[str], results: int
) -> None:
    """By generation alone it is still ours: another member may have settled the event meanwhile."""
    for is_held in (True, False):
        lease = FakeLease()

        def freeze(at: Checkpoint, lease: FakeLease = lease) -> None:
            lease.is_heard = lease.is_heard and at is not frozen_at

        sleep = Waking(lease, is_held=is_held)
        scene = Scripted([found(promotion(1))], ISSUED_ANY, probe=freeze, sleep=sleep)
        with nullcontext() if is_held else pytest.raises(Abandoned):
            await scene.handle(record(event()), lease)

        assert len(sleep.delays) == 1
        assert [kind for kind, *_ in scene.journal] == (["lookup", "issue", "publish"] if is_held else left)
        assert len(scene.ledger.results) == (1 if is_held else results)


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
async def test_a_lookup_without_usable_answers_is_deferred() -> None:
    """RETRY_MAX_ATTEMPTS unusable answers: the record is moved, then the outcome says so."""
    scene = Scripted([DOUBTFUL])

    await scene.handle()

    assert len(scene.calls("lookup")) == 5
    assert scene.journal[-2:] == [("defer", 1), ("publish", "DEFERRED", None)]
    ((_, failure, _),) = scene.publisher.deferred
    assert failure.attempts == 5


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff\x00", "malformed_event"),
        (b"", "malformed_event"),
        (event(customer={}), "no_identifier"),
        ({}, "no_identifier"),
        (event(orgId=7), "other_organisation"),
    ],
    ids=["bytes", "empty", "no-identifier", "nothing", "other-organisation"],
)
@pytest.mark.asyncio
async def test_a_bad_record_is_put_aside_as_it_came_and_then_told(value: object, reason: str) -> None:
    """The dead letter is the record itself; its outcome follows it; the API is not asked."""
    scene = Scripted([], rules=Rules(Policy(org_id=1800)))
    source = record(value, headers=(("x", b"\xff"),))

    await scene.handle(source)

    assert scene.journal == [("put_aside", reason), ("publish", "DEAD_LETTERED", None)]
    ((letter, failure),) = scene.publisher.dead_letters
    assert letter is source
    assert (failure.position, failure.timestamp_ms) == (source.position, source.timestamp_ms)
    assert (failure.group, failure.attempts) == ("enrolment-worker", 1)
    assert failure.first_failed_at == failure.last_failed_at == NOW
    assert scene.tracker.dead_letters == [failure]
    assert scene.told == [("DEAD_LETTERED", None, reason)]
    assert [result for _, result in scene.tracker.activities] == ["dead_lettered"]


@pytest.mark.parametrize(
    ("value", "counted"),
    [(None, ("", "tombstone")), (event(eventName="pointsIssued"), ("pointsIssued", "passed_over"))],
    ids=["tombstone", "no-trigger"],
)
@pytest.mark.asyncio
async def test_what_leads_to_nothing_is_only_counted(value: object, counted: tuple[str, str]) -> None:
    """Tombstones and events that are no triggers ask and write nothing."""
    scene = Scripted([])

    await scene.handle(record(value))

    assert (scene.journal, scene.tracker.activities) == ([], [counted])


@pytest.mark.parametrize("refuse_at", range(5))
@pytest.mark.asyncio
async def test_a_record_that_kafka_does_not_acknowledge_ends_the_handling(refuse_at: int) -> None:
    """PublishFailed goes through, whichever record it hits, and nothing is written or asked after it."""
    scene = Scripted(
        [found(promotion(1), promotion(2, timeline=None), promotion(3))],
        {1: [Issued(1, ())], 2: [DOUBTFUL], 3: [Issued(3, ())]},
        refuse_at=refuse_at,
    )
    complete = Scripted(scene.lookups, scene.issues)
    await complete.handle()
    writes = ("publish", "put_aside")
    written = [index for index, entry in enumerate(complete.journal) if entry[0] in writes]

    if refuse_at == len(written):
        await scene.handle()
    else:
        with pytest.raises(PublishFailed):
            await scene.handle()

    assert len(written) == 4
    assert scene.journal == complete.journal[: [*written, len(complete.journal)][refuse_at]]
    assert scene.tracker.outcomes == [outcome for _, outcome in scene.publisher.outcomes]
    assert scene.tracker.dead_letters == [failure for _, failure in scene.publisher.dead_letters]
    assert scene.tracker.faults == []


@pytest.mark.parametrize("refuse_at", [0, 1])
@pytest.mark.asyncio
async def test_a_bad_record_whose_dead_letter_is_not_acknowledged_comes_again(refuse_at: int) -> None:
    """Neither a lost dead letter nor a lost outcome of it lets the offset be committed."""
    scene = Scripted([], refuse_at=refuse_at)

    with pytest.raises(PublishFailed):
        await scene.handle(record(b"\xff"))

    assert len(scene.journal) == refuse_at


@pytest.mark.asyncio
async def test_a_fault_of_ours_puts_the_event_aside_and_keeps_what_was_told() -> None:
    """A bug in one promotion: earlier outcomes stand, the record is put aside, the partition goes on."""
    scene = Scripted([found(promotion(1), promotion(2))], {1: [Issued(1, ())], 2: [KeyError("919845012345")]})
    source = record(event())

    await scene.handle(source)

    assert scene.told == [("ENROLLED", 1, None), ("DEAD_LETTERED", 2, "handler_fault")]
    ((letter, failure),) = scene.publisher.dead_letters
    assert (letter, failure.message) == (source, "worker: KeyError")
    assert [type(error) for _, error in scene.tracker.faults] == [KeyError]


@pytest.mark.asyncio
async def test_a_publisher_that_breaks_otherwise_loses_nothing() -> None:
    """An unforeseen error is a fault of ours; where that cannot be written either, it goes through."""
    scene = Scripted([found()], refuse_at=0, refusal=RuntimeError("producer is closed"))

    with pytest.raises(RuntimeError, match="closed"):
        await scene.handle()

    assert scene.publisher.outcomes == []


@pytest.mark.parametrize(
    ("value", "lookups", "told"),
    [
        (
            event(),
            [found(promotion(1), promotion(2, timeline=[STANDING]), promotion(3, restrictions=[FULL]))],
            ["WOULD_ENROL", "ALREADY_ENROLLED", "LIMIT_EXHAUSTED"],
        ),
        (event(), [UNKNOWN], ["CUSTOMER_NOT_FOUND"]),
        (event(), [DOUBTFUL], ["DEAD_LETTERED"]),
        (event(), [RuntimeError("a bug")], ["DEAD_LETTERED"]),
        (event(customer={}), [], ["DEAD_LETTERED"]),
        (b"\xff", [], ["DEAD_LETTERED"]),
    ],
    ids=["promotions", "unknown", "unusable", "fault", "no-identifier", "malformed"],
)
@pytest.mark.asyncio
async def test_a_dry_run_never_enrols_and_writes_no_dead_letter(
    value: object, lookups: Sequence[LookupAnswer | Exception], told: list[str]
) -> None:
    """It looks up, decides and tells; POST and dead letter are left to the real run."""
    scene = Scripted(lookups, rules=Rules(dry_run=True))

    await scene.handle(record(value))

    assert [name for name, _, _ in scene.told] == told
    assert (scene.calls("issue"), scene.publisher.dead_letters, scene.tracker.dead_letters) == ([], [], [])


@pytest.mark.asyncio
async def test_a_dry_run_names_the_key_that_a_real_run_would_use() -> None:
    """WOULD_ENROL and ENROLLED of one event have the same idempotency key."""
    dry = Scripted([found(promotion(1))], rules=Rules(dry_run=True))
    real = Scripted([found(promotion(1))], ISSUED_ANY)

    await dry.handle()
    await real.handle()

    assert dry.values[0]["idempotencyKey"] == real.values[0]["idempotencyKey"] == real.calls("issue")[0][6]


@pytest.mark.asyncio
async def test_a_replay_asks_with_the_same_key_and_tells_the_same_ids() -> None:
    """The same record at a later time: keys and outcome ids come out the same."""
    first = Scripted([found(promotion(1))], ISSUED_ANY)
    again = Scripted([found(promotion(1))], ISSUED_ANY, clock=NOW + timedelta(days=30))

    await first.handle()
    await again.handle()

    assert first.calls("issue") == again.calls("issue")
    assert first.values[0]["outcomeId"] == again.values[0]["outcomeId"]
    assert first.values[0]["occurredAt"] != again.values[0]["occurredAt"]


@pytest.mark.parametrize(
    ("customer", "lookup", "key", "customer_id"),
    [
        ({"customerId": 5}, UNKNOWN, b"5", 5),
        ({"customerId": 5}, found(), str(CUSTOMER).encode(), CUSTOMER),
        (
            {"mobile": "919845012345"},
            UNKNOWN,
            b"7d0f1df800446483c778cda08ec369de8fe0cace484a153fa534e29afd0efe78",
            None,
        ),
        ({"mobile": "919845012345"}, found(), str(CUSTOMER).encode(), CUSTOMER),
    ],
    ids=["id-unknown", "id-merged", "name-unknown", "name-found"],
)
@pytest.mark.asyncio
async def test_the_lookups_customer_id_is_the_one_that_counts(
    customer: dict[str, object], lookup: LookupAnswer, key: bytes, customer_id: int | None
) -> None:
    """The lookup's customer id is key and field; before it is known, what the event says of the customer."""
    scene = Scripted([lookup], rules=Rules(pii_key=b"a key"))

    await scene.handle(record(event(customer=customer)))

    assert [k for k, _ in scene.publisher.outcomes] == [key]
    assert scene.values[0].get("customerId") == customer_id


SECRETS = {
    "mobile": "919000000001",
    "email": "distinctive@example.org",
    "externalId": "DISTINCTIVE-EXTERNAL-ID",
}
ANSWERS: Mapping[
    str, tuple[Sequence[LookupAnswer | Exception], Mapping[int, Sequence[IssueAnswer | Exception]]]
] = {
    "issued": ([found(promotion(1))], ISSUED_ANY),
    "already": ([found(promotion(1, timeline=[STANDING]))], {}),
    "limit": ([found(promotion(1)), found(promotion(1, restrictions=[FULL]))], {1: [LIMIT]}),
    "nothing": ([found()], {}),
    "unknown": ([UNKNOWN], {}),
    "unknown-at-issue": ([found(promotion(1))], {1: [UNKNOWN]}),
    "refused": ([REFUSED], {}),
    "refused-at-issue": ([found(promotion(1))], {1: [REFUSED]}),
    "lookup-doubtful": ([DOUBTFUL], {}),
    "issue-doubtful": ([found(promotion(1))], {1: [DOUBTFUL]}),
    "waits": (
        [
            Throttled(1.0),
            Misconfigured("HTTP 401"),
            Unsent(FaultKind.NOT_CONNECTED, "x"),
            found(promotion(1)),
        ],
        {1: [Throttled(None), Misconfigured("HTTP 401"), Issued(1, ())]},
    ),
    "lookup-fault": ([ValueError(*SECRETS.values())], {}),
    "issue-fault": ([found(promotion(1))], {1: [ValueError(*SECRETS.values())]}),
}
LOGGED = {"lookup-doubtful", "issue-doubtful", "waits", "lookup-fault", "issue-fault"}


@pytest.mark.parametrize("answers", ANSWERS, ids=str)
@pytest.mark.parametrize(
    "named_by", [*SECRETS, "customerId", "nothing usable", "no JSON", "other organisation"]
)
@pytest.mark.asyncio
async def test_personal_names_leave_by_no_door(answers: str, named_by: str) -> None:
    """No mobile, e-mail or external id in outcomes, their keys, failures, metrics or log lines.

    The dead letter's own key and value are the original record's, and are exempt.
    """
    metrics = Metrics()
    lookups, issues = ANSWERS[answers]
    rules = Rules(Policy(org_id=1800), pii_key=b"a key")
    scene = Scripted(lookups, issues, rules, metrics=metrics)
    customer = dict(SECRETS) if named_by == "customerId" else {named_by: SECRETS.get(named_by, "")}
    value: object = event(customer=customer | ({"customerId": 5} if named_by == "customerId" else {}))
    if named_by == "no JSON":
        value = " ".join(SECRETS.values()).encode()
    if named_by == "other organisation":
        value = event(orgId=7, customer=SECRETS)
    source = record(value, key=SECRETS["mobile"].encode(), headers=(("customer", SECRETS["email"].encode()),))

    with capture_logs() as lines:
        await scene.handle(source)

    failures = [failure for _, failure in scene.publisher.dead_letters]
    doors = [
        *(key + outcome.to_json() + repr(outcome).encode() for key, outcome in scene.publisher.outcomes),
        repr((lines, failures, source)).encode(),
        metrics.exposition()[0],
    ]
    assert scene.publisher.outcomes
    assert bool(lines) or answers not in LOGGED
    for secret in SECRETS.values():
        assert not [door for door in doors if secret.lower().encode() in door.lower()]


@pytest.mark.asyncio
async def test_a_lookup_that_the_catalogue_rules_out() -> None:
    """Where nothing can be found nobody is asked, and the outcome says why."""
    scene = Scripted([found(promotion(1))], ISSUED_ANY, ruled_out=True)
    await scene.handle()
    assert scene.told == [("NO_PROMOTION_AVAILABLE", None, "CATALOGUE")]
    assert scene.calls("lookup") == []


@pytest.mark.asyncio
async def test_a_planned_event_that_the_catalogue_would_rule_out() -> None:
    """A plan is carried out whatever the catalogue says: after a success the promotion may be over."""
    scene = Scripted([found(promotion(1))], {1: [Issued(3, ())]})
    await scene.handle()
    scene.ruled_out = True
    await scene.handle()
    assert scene.told == [("ENROLLED", 1, None)] * 2
    assert len(scene.calls("issue")) == 1
