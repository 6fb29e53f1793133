"""The outcome record as downstream teams read it: bytes and headers."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from topics.outcome import (
    SEVERITY,
    ActivityReference,
    CodeAndMessage,
    Outcome,
    OutcomeName,
    RestrictionUsed,
    outcome_headers,
)

ACTIVITY = ActivityReference(event_id="evt-1", topic="customer-activity", partition=3, offset=42)
AT = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)


def outcome(name: OutcomeName, **more: object) -> Outcome:
    """Return an outcome with the fields that every one has, and more."""
    fields = {"outcome_id": "o-1", "outcome": name, "severity": SEVERITY[name], "activity": ACTIVITY}
    return Outcome.model_validate(fields | {"occurred_at": AT} | more)


def test_the_smallest_outcome_holds_nothing_absent() -> None:
    """Absent fields are left out, at every depth, and times are RFC 3339."""
    value = outcome(OutcomeName.NO_PROMOTION_AVAILABLE).to_json()

    assert value == (
        b'{"outcomeId":"o-1","outcome":"NO_PROMOTION_AVAILABLE","severity":"info",'
        b'"activity":{"eventId":"evt-1","topic":"customer-activity","partition":3,"offset":42},'
        b'"occurredAt":"2026-01-31T10:00:00Z"}'
    )


def test_the_fullest_outcome_has_every_field_under_its_contracted_name() -> None:
    """Names, spelling and types are the contract's: ids, codes and whole figures are JSON integers."""
    full = outcome(
        OutcomeName.LIMIT_EXHAUSTED,
        reason="CUSTOMER_LIMIT",
        org_id=1800,
        customer_id=2**53 + 1,
        customer_ref="ab12",
        program_id=469,
        promotion_id=57099,
        promotion_name='Ten\n"off"',
        issual_id=3,
        enrollment_id=4,
        idempotency_key="k",
        attempts=1,
        reconciled=True,
        cached=False,
        warnings=(CodeAndMessage(code=8890, message="no"),),
        errors=(CodeAndMessage(code=-1, message=""),),
        restriction=RestrictionUsed(kpi="N", limit_on="CUSTOMER", max_limit=10, current_customer_usage=10.5),
        activity=ACTIVITY.model_copy(
            update={"event_name": "transactionAdded", "occurred_at": AT - timedelta(microseconds=1)}
        ),
        api_request_id="a63f9c30427bd4ce9843d599df00cef7",
    )

    assert json.loads(full.to_json()) == {
        "outcomeId": "o-1",
        "outcome": "LIMIT_EXHAUSTED",
        "severity": "warning",
        "reason": "CUSTOMER_LIMIT",
        "orgId": 1800,
        "customerId": 9007199254740993,
        "customerRef": "ab12",
        "programId": 469,
        "promotionId": 57099,
        "promotionName": 'Ten\n"off"',
        "issualId": 3,
        "enrollmentId": 4,
        "idempotencyKey": "k",
        "attempts": 1,
        "reconciled": True,
        "cached": False,
        "warnings": [{"code": 8890, "message": "no"}],
        "errors": [{"code": -1, "message": ""}],
        "restriction": {"kpi": "N", "limitOn": "CUSTOMER", "maxLimit": 10, "currentCustomerUsage": 10.5},
        "activity": {
            "eventId": "evt-1",
            "eventName": "transactionAdded",
            "occurredAt": "2026-01-31T09:59:59.999999Z",
            "topic": "customer-activity",
            "partition": 3,
            "offset": 42,
        },
        "apiRequestId": "a63f9c30427bd4ce9843d599df00cef7",
        "occurredAt": "2026-01-31T10:00:00Z",
    }
    assert b'"maxLimit":10,' in full.to_json()


def test_severities_are_the_contracts() -> None:
    """Each outcome has the severity of its row in the contract."""
    assert {name.value: severity for name, severity in SEVERITY.items()} == {
        "ENROLLED": "info",
        "ALREADY_ENROLLED": "info",
        "LIMIT_EXHAUSTED": "warning",
        "NO_PROMOTION_AVAILABLE": "info",
        "CUSTOMER_NOT_FOUND": "warning",
        "REJECTED": "error",
        "WOULD_ENROL": "info",
        "DEFERRED": "warning",
        "DEAD_LETTERED": "error",
    }
    assert set(SEVERITY) == set(OutcomeName)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (OutcomeName.ENROLLED, b"enrolment.enrolled.v1"),
        (OutcomeName.ALREADY_ENROLLED, b"enrolment.already-enrolled.v1"),
        (OutcomeName.LIMIT_EXHAUSTED, b"enrolment.limit-exhausted.v1"),
        (OutcomeName.NO_PROMOTION_AVAILABLE, b"enrolment.no-promotion-available.v1"),
        (OutcomeName.CUSTOMER_NOT_FOUND, b"enrolment.customer-not-found.v1"),
        (OutcomeName.REJECTED, b"enrolment.rejected.v1"),
        (OutcomeName.WOULD_ENROL, b"enrolment.would-enrol.v1"),
        (OutcomeName.DEFERRED, b"enrolment.deferred.v1"),
        (OutcomeName.DEAD_LETTERED, b"enrolment.dead-lettered.v1"),
    ],
    ids=lambda case: case.decode() if isinstance(case, bytes) else "",
)
def test_headers_are_cloudevents_in_binary_mode(name: OutcomeName, kind: bytes) -> None:
    """Every required attribute is there once, as UTF-8 text, and the subject is the customer."""
    assert outcome_headers(outcome(name, customer_id=7), "/enrolment-worker/g") == (
        ("ce_specversion", b"1.0"),
        ("ce_id", b"o-1"),
        ("ce_source", b"/enrolment-worker/g"),
        ("ce_type", kind),
        ("ce_time", b"2026-01-31T10:00:00Z"),
        ("content-type", b"application/json"),
        ("ce_subject", b"7"),
    )


def test_there_is_no_subject_without_a_customer() -> None:
    """An unknown customer leaves the subject out instead of naming it None."""
    names = [name for name, _ in outcome_headers(outcome(OutcomeName.REJECTED), "/g")]

    assert "ce_subject" not in names


def test_times_keep_their_moment_whatever_their_zone() -> None:
    """A time of another zone is told with its offset, which RFC 3339 allows, in value and headers alike."""
    kolkata = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    told = outcome(OutcomeName.REJECTED, occurred_at=kolkata)

    assert datetime.fromisoformat(json.loads(told.to_json())["occurredAt"]) == AT
    assert dict(outcome_headers(told, "/g"))["ce_time"] == b"2026-01-31T15:30:00+05:30"


def test_unknown_fields_are_refused() -> None:
    """The model is the contract: a misspelt field fails here and not at a consumer."""
    with pytest.raises(ValidationError):
        outcome(OutcomeName.REJECTED, promotionID=1)
