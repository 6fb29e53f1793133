"""The use case amid fakes of its ports: what is asked, written and told, and in which order."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from tests.support.use_case.answers import (
    BLIND,
    DOUBTFUL,
    FULL,
    ISSUED_ANY,
    LIMIT,
    PROMOTION_FULL,
    REFUSED,
    STANDING,
    UNKNOWN,
)
from tests.support.use_case.scripted import Scripted
from tests.support.use_case.values import CUSTOMER, NOW, PROGRAM, event, found, promotion, record
from worker.domain.answers import (
    IssueAnswer,
    Issued,
    LookupAnswer,
    Notice,
    NotIssued,
)
from worker.domain.plan import Policy
from worker.enrolment.rules import Rules


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
            Rules(policy=Policy(excluded_promotion_ids=frozenset({1}))),
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
            Rules(policy=Policy(org_id=1800)),
            [("REJECTED", 1, "OTHER_ORGANISATION")],
        ),
        ([found(promotion(1))], {}, Rules(dry_run=True), [("WOULD_ENROL", 1, None)]),
        ([found(BLIND)], {1: [DOUBTFUL]}, Rules(), [("DEAD_LETTERED", 1, "in_doubt")]),
        ([DOUBTFUL], {}, Rules(), [("DEFERRED", None, "retries_exhausted")]),
        ([], {}, Rules(policy=Policy(org_id=7)), [("DEAD_LETTERED", None, "other_organisation")]),
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
async def test_a_bad_record_is_dead_lettered_as_it_came_and_then_told(value: object, reason: str) -> None:
    """The dead letter is the record itself; its outcome follows it; the API is not asked."""
    scene = Scripted([], rules=Rules(policy=Policy(org_id=1800)))
    source = record(value, headers=(("x", b"\xff"),))

    await scene.handle(source)

    assert scene.journal == [("dead_letter", reason), ("publish", "DEAD_LETTERED", None)]
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
