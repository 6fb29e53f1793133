"""How each settlement is told. Ids are literals, computed independently of the code."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.support.use_case.values import CUSTOMER, NOW, PROGRAM, event, record
from topics.activity import Activity, read_activity
from topics.origin import Origin
from topics.outcome import LARGEST_OUTCOME_BYTES, outcome_headers
from worker.domain.answers import Notice
from worker.domain.limits import LimitReason
from worker.domain.promotions import Restriction
from worker.domain.settlement import (
    AlreadyEnrolled,
    Enrolled,
    LimitExhausted,
    NothingAvailable,
    PassedOver,
    Rejected,
    RejectionReason,
    Settlement,
    Subject,
    UnknownCustomer,
    Unresolved,
    UnresolvedReason,
    WouldEnrol,
)
from worker.enrolment.outcomes import tell, tell_dead_letter
from worker.kafka.sizes import batch_bytes
from worker.telemetry.redaction import MESSAGE_LENGTH

SUBJECT = Subject(57099, PROGRAM, "Ten off", 7)
ERROR = Notice(8015, "customer not found")
WARNING = Notice(8890, "not issued")
ABOUT = {"orgId": 7, "programId": PROGRAM, "promotionId": 57099, "promotionName": "Ten off"}
ASKED = {"idempotencyKey": "the-key", "attempts": 2}
TOLD_ERROR = {"errors": [{"code": 8015, "message": "customer not found"}]}
TOLD_WARNING = {"warnings": [{"code": 8890, "message": "not issued"}]}


def origin(**changes: Any) -> Origin:  # noqa: ANN401 - any field of the origin
    """Return the plain event whose customer was looked up."""
    source = record(event())
    activity = read_activity(source)
    assert isinstance(activity, Activity)
    known = Origin.of_activity(source, activity)
    return replace(known, **({"customer_id": CUSTOMER} | changes))


def restriction(max_limit: str, usage: str) -> Restriction:
    """Return a restriction with these figures."""
    return Restriction(
        kpi="NUMBER_OF_ISSUALS", limit_on="CUSTOMER", max_limit=Decimal(max_limit), usage=Decimal(usage)
    )


@pytest.mark.parametrize(
    ("settlement", "outcome_id", "told"),
    [
        (
            Enrolled(subject=SUBJECT, key="the-key", attempts=2, issual_id=3, warnings=()),
            "465a12f0-405a-53ff-afec-c6cdb8765dea",
            {"outcome": "ENROLLED", "severity": "info", "issualId": 3} | ABOUT | ASKED,
        ),
        (
            Enrolled(subject=SUBJECT, key="the-key", attempts=2, issual_id=None, warnings=(WARNING,)),
            "465a12f0-405a-53ff-afec-c6cdb8765dea",
            {"outcome": "ENROLLED", "severity": "info"} | ABOUT | ASKED | TOLD_WARNING,
        ),
        (
            AlreadyEnrolled(SUBJECT, 12),
            "09fb663a-3dbe-5af7-ba0f-9e781b791625",
            {"outcome": "ALREADY_ENROLLED", "severity": "info", "enrollmentId": 12} | ABOUT,
        ),
        (
            LimitExhausted(
                subject=SUBJECT,
                reason=LimitReason.CUSTOMER_LIMIT,
                restriction=restriction("10", "10.000"),
                key="the-key",
                attempts=2,
                warnings=(WARNING,),
            ),
            "27e52342-6186-5853-b0ce-2bb30c03a25f",
            {
                "outcome": "LIMIT_EXHAUSTED",
                "severity": "warning",
                "reason": "CUSTOMER_LIMIT",
                "restriction": {
                    "kpi": "NUMBER_OF_ISSUALS",
                    "limitOn": "CUSTOMER",
                    "maxLimit": 10,
                    "currentCustomerUsage": 10,
                },
            }
            | ABOUT
            | ASKED
            | TOLD_WARNING,
        ),
        (
            LimitExhausted(
                subject=SUBJECT, reason=LimitReason.PROMOTION_LIMIT, restriction=restriction("0.5", "1e1")
            ),
            "27e52342-6186-5853-b0ce-2bb30c03a25f",
            {
                "outcome": "LIMIT_EXHAUSTED",
                "severity": "warning",
                "reason": "PROMOTION_LIMIT",
                "restriction": {
                    "kpi": "NUMBER_OF_ISSUALS",
                    "limitOn": "CUSTOMER",
                    "maxLimit": 0.5,
                    "currentCustomerUsage": 10,
                },
            }
            | ABOUT,
        ),
        (
            LimitExhausted(
                subject=SUBJECT,
                reason=LimitReason.CONFIGURATION_OR_LIMIT,
                restriction=None,
                key="the-key",
                attempts=2,
                warnings=(WARNING,),
            ),
            "27e52342-6186-5853-b0ce-2bb30c03a25f",
            {
                "outcome": "LIMIT_EXHAUSTED",
                "severity": "warning",
                "reason": "CONFIGURATION_OR_LIMIT",
            }
            | ABOUT
            | ASKED
            | TOLD_WARNING,
        ),
        (
            NothingAvailable(),
            "e66d773d-2f81-5691-a7c2-eefe00809f3d",
            {"outcome": "NO_PROMOTION_AVAILABLE", "severity": "info", "orgId": 1800},
        ),
        (
            NothingAvailable(PassedOver.EVENT_TOO_OLD),
            "e66d773d-2f81-5691-a7c2-eefe00809f3d",
            {
                "outcome": "NO_PROMOTION_AVAILABLE",
                "severity": "info",
                "orgId": 1800,
                "reason": "EVENT_TOO_OLD",
            },
        ),
        (
            UnknownCustomer((ERROR,), 2),
            "0f5e5a62-9e9d-55b5-8be7-e11425c40f5f",
            {"outcome": "CUSTOMER_NOT_FOUND", "severity": "warning", "orgId": 1800, "attempts": 2}
            | TOLD_ERROR,
        ),
        (
            UnknownCustomer((ERROR,), 2, SUBJECT, "the-key"),
            "6e66cf84-dce6-52cf-bf87-c2ab27fc0e60",
            {"outcome": "CUSTOMER_NOT_FOUND", "severity": "warning"} | ABOUT | ASKED | TOLD_ERROR,
        ),
        (
            Rejected(errors=(ERROR,), attempts=2),
            "21cc39aa-2d88-5e69-a31b-c49282288b23",
            {"outcome": "REJECTED", "severity": "error", "orgId": 1800, "attempts": 2} | TOLD_ERROR,
        ),
        (
            Rejected(errors=(ERROR,), attempts=2, subject=SUBJECT, key="the-key"),
            "39fe7f07-a770-5699-a401-e11826cabfb9",
            {"outcome": "REJECTED", "severity": "error"} | ABOUT | ASKED | TOLD_ERROR,
        ),
        (
            Rejected(
                errors=(),
                attempts=2,
                subject=SUBJECT,
                key="the-key",
                reason=RejectionReason.NOT_ISSUED,
                warnings=(WARNING,),
            ),
            "39fe7f07-a770-5699-a401-e11826cabfb9",
            {"outcome": "REJECTED", "severity": "error", "reason": "NOT_ISSUED"}
            | ABOUT
            | ASKED
            | TOLD_WARNING,
        ),
        (
            Rejected(errors=(), subject=SUBJECT, reason=RejectionReason.OTHER_ORGANISATION),
            "39fe7f07-a770-5699-a401-e11826cabfb9",
            {"outcome": "REJECTED", "severity": "error", "reason": "OTHER_ORGANISATION"} | ABOUT,
        ),
        (
            WouldEnrol(SUBJECT, "the-key"),
            "85c1f123-b93f-5bb4-957e-89d75b60e195",
            {"outcome": "WOULD_ENROL", "severity": "info", "idempotencyKey": "the-key"} | ABOUT,
        ),
        (
            Unresolved(
                reason=UnresolvedReason.IN_DOUBT,
                message="issue: timeout",
                attempts=2,
                subject=SUBJECT,
                key="the-key",
            ),
            "20239a6c-45c5-50ce-8cef-7b05f97102bf",
            {"outcome": "DEAD_LETTERED", "severity": "error", "reason": "in_doubt"} | ABOUT | ASKED,
        ),
        (
            Unresolved(
                reason=UnresolvedReason.RETRIES_EXHAUSTED, message="lookup: no usable answer", attempts=2
            ),
            "ec5e9fe6-dcf2-5e73-a997-d3a61f126e4c",
            {
                "outcome": "DEAD_LETTERED",
                "severity": "error",
                "reason": "retries_exhausted",
                "attempts": 2,
                "orgId": 1800,
            },
        ),
    ],
    ids=[
        "enrolled",
        "enrolled-with-warning",
        "already-enrolled",
        "customer-limit-after-8890",
        "promotion-limit-unasked",
        "unexplained-limit",
        "nothing",
        "too-old",
        "unknown-at-lookup",
        "unknown-at-issue",
        "rejected-at-lookup",
        "rejected-at-issue",
        "warning-only",
        "other-organisation",
        "would-enrol",
        "in-doubt",
        "retries-exhausted",
    ],
)
def test_each_settlement_is_told_with_exactly_its_fields(
    settlement: Settlement, outcome_id: str, told: dict[str, object]
) -> None:
    """The record's value is what the contract lists for the outcome, no more and no less."""
    assert json.loads(tell(origin(), settlement, NOW).to_json()) == told | {
        "outcomeId": outcome_id,
        "customerId": CUSTOMER,
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


def test_a_record_that_was_put_away_is_told_by_its_reason() -> None:
    """The outcome of an unreadable record names where it lies and nothing of what it holds."""
    told = tell_dead_letter(Origin.of_record(record(b"\xff")), "malformed_event", 1, NOW)

    assert json.loads(told.to_json()) == {
        "outcomeId": "8c82497b-6387-5ee4-b820-5da0b096a7a4",
        "outcome": "DEAD_LETTERED",
        "severity": "error",
        "reason": "malformed_event",
        "attempts": 1,
        "activity": {
            "eventId": "customer-activity-3-42",
            "topic": "customer-activity",
            "partition": 3,
            "offset": 42,
        },
        "occurredAt": "2026-01-31T10:00:00Z",
    }


def test_figures_are_written_as_integers_where_they_are_whole() -> None:
    """A limit of "10" or "10.000" is 10 in the record's bytes, also when it is large."""
    settlement = LimitExhausted(
        subject=SUBJECT,
        reason=LimitReason.CUSTOMER_LIMIT,
        restriction=restriction("9007199254740993", "9007199254740993.000"),
    )

    assert b'"maxLimit":9007199254740993,"currentCustomerUsage":9007199254740993}' in (
        tell(origin(), settlement, NOW).to_json()
    )


def test_an_outcomes_id_depends_on_event_promotion_and_outcome_alone() -> None:
    """A replay with other attempts has the same id; another promotion or outcome has not."""
    first = tell(
        origin(), Enrolled(subject=SUBJECT, key="k", attempts=1, issual_id=3, warnings=()), NOW
    ).outcome_id

    assert (
        tell(
            origin(customer_id=None),
            Enrolled(subject=SUBJECT, key="k", attempts=9, issual_id=None, warnings=()),
            NOW,
        ).outcome_id
        == first
    )
    other = Subject(1, PROGRAM, "", 7)
    assert (
        tell(origin(), Enrolled(subject=other, key="k", attempts=1, issual_id=3, warnings=()), NOW).outcome_id
        != first
    )
    assert tell(origin(), WouldEnrol(SUBJECT, "k"), NOW).outcome_id != first


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, b"482579328"),
        ({"customer_ref": "ab12"}, b"482579328"),
        ({"customer_id": None, "customer_ref": "ab12"}, b"ab12"),
        ({"customer_id": None}, b"evt-1"),
    ],
)
def test_the_key_is_customer_then_reference_then_event(changes: dict[str, Any], key: bytes) -> None:
    """Outcomes of one customer lie on one partition as far as the customer is known."""
    assert origin(**changes).key == key


def test_a_reference_is_told_and_stays_out_of_the_repr() -> None:
    """CustomerRef is a field of the outcome; nothing prints it."""
    named = origin(customer_ref="ab12")

    assert json.loads(tell(named, NothingAvailable(), NOW).to_json())["customerRef"] == "ab12"
    assert "ab12" not in repr(named)


def test_an_outcome_fits_its_topic_whatever_the_api_says() -> None:
    """Of an endless list the first are told, with a mark; a record stays far below a megabyte."""
    text = "\u0001" * 512
    many = tuple(Notice(code, text) for code in range(10_000))
    subject = Subject(57099, PROGRAM, text, 7)
    outcome = tell(
        origin(), Rejected(errors=many, attempts=2, subject=subject, key="the-key", warnings=many), NOW
    )

    told = outcome.errors
    assert told is not None
    assert [error.code for error in told] == list(range(16))
    assert told[-1].message == f"{text} (and 9984 more)"
    assert told[-2].message == text
    assert len(outcome.to_json()) < 120_000


def test_the_largest_outcome_fits_its_topic() -> None:
    """With every text as long as it may be, of characters that take the most room."""
    text = "\x01" * 512
    reading = read_activity(record(event(eventId=text, eventName=text)))
    assert isinstance(reading, Activity)
    origin = replace(Origin.of_activity(record(event()), reading), customer_ref="f" * 64)
    notices = tuple(Notice(2**63, "\x01" * MESSAGE_LENGTH) for _ in range(100))
    subject = Subject(2**63, 2**63, text, 2**63)
    rejected = Rejected(
        errors=notices,
        attempts=2**63,
        subject=subject,
        key="k" * 36,
        reason=RejectionReason.NOT_ISSUED,
        warnings=notices,
    )
    outcome = tell(origin, rejected, NOW)
    state = ("tracestate", bytes(32 * (256 + 256 + 2)))

    size = batch_bytes(origin.key, outcome.to_json(), (*outcome_headers(outcome, "s" * 300), state))
    assert size < LARGEST_OUTCOME_BYTES
