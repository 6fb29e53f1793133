"""The form of outcome records: key, headers, trace, and what must never be in one."""

import hashlib
import hmac
import re
from datetime import UTC, datetime

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.kafka.brokers import unique
from worker.demo.simulator import Customer, Endpoint

_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_every_header(desk: Desk) -> None:
    """A record must be a CloudEvent in binary mode, in the trace of its event."""
    customer = desk.customer()
    desk.promotion(customer)
    headers = (("traceparent", _TRACE.encode()), ("tracestate", b"vendor=1"))
    before = datetime.now(UTC).replace(microsecond=0)
    outcome = desk.tell(event(unique("event"), {"customerId": customer.customer_id}), headers=headers).only
    assert before <= datetime.fromisoformat(outcome.headers["ce_time"]) <= datetime.now(UTC)
    assert outcome.headers == {
        "ce_specversion": "1.0",
        "ce_id": outcome.value["outcomeId"],
        "ce_source": f"/enrolment-worker/{desk.stage.names.group_id}",
        "ce_type": "enrolment.enrolled.v1",
        "ce_time": outcome.value["occurredAt"],
        "ce_subject": str(customer.customer_id),
        "content-type": "application/json",
        "traceparent": _TRACE,
        "tracestate": "vendor=1",
    }


@pytest.mark.parametrize(
    ("kind", "told_by"),
    [
        ("already-enrolled", "enrolment"),
        ("limit-exhausted", "configuration"),
        ("no-promotion-available", None),
        ("customer-not-found", "not_found"),
        ("rejected", "rejection"),
        ("dead-lettered", "doubt"),
    ],
)
def test_the_type_of_each_outcome(desk: Desk, kind: str, told_by: str | None) -> None:
    """Consumers must be able to choose by `ce_type`, and to trace what has no trace of its own to nothing."""
    customer = desk.customer()
    if told_by == "enrolment":
        desk.enrol_elsewhere(customer, desk.promotion(customer))
    elif told_by == "configuration":
        desk.promotion(customer, configuration_fault=True)
    elif told_by is not None:
        code = {"not_found": 8015, "rejection": 8874}.get(told_by, 0)
        name = "api_error" if code else "error_500"
        desk.promotion(customer, timelines=False, limit_per_customer=None)
        desk.fault(name, customer, endpoint=Endpoint.ISSUE, code=code)
    outcome = desk.tell(event(unique("event"), {"customerId": customer.customer_id})).only
    assert outcome.headers["ce_type"] == f"enrolment.{kind}.v1"
    assert outcome.headers["ce_id"] == outcome.value["outcomeId"]
    assert outcome.headers["ce_subject"] == str(customer.customer_id)
    assert outcome.record.key == str(customer.customer_id).encode()
    assert "traceparent" not in outcome.headers


def test_the_same_event_twice_has_the_same_outcome_id(desk: Desk) -> None:
    """A repeat must be told under the same id, so that consumers can drop it, from wherever it was read."""
    customer = desk.customer()
    value = event(unique("event"), {"customerId": customer.customer_id})
    first, second = desk.tell(value).only, desk.tell(value).only
    assert first.value["activity"]["offset"] < second.value["activity"]["offset"]
    assert first.headers["ce_id"] == second.headers["ce_id"]


def test_key_of_a_customer_found_by_another_name(desk: Desk) -> None:
    """The key must be the customer's id as soon as the lookup told it."""
    customer = desk.customer()
    outcome = desk.tell(event(unique("event"), {"mobile": customer.mobile})).only
    assert (outcome.name, outcome.record.key) == (
        "NO_PROMOTION_AVAILABLE",
        str(customer.customer_id).encode(),
    )


def test_key_and_reference_of_an_unknown_customer(strict_desk: Desk) -> None:
    """With PII_KEY a customer without an id must be known by the keyed hash of name and value."""
    digest = hmac.new(b"pepper", b"externalId:nobody-7", hashlib.sha256).hexdigest()
    outcome = strict_desk.tell(event(unique("event"), {"externalId": "nobody-7"})).only
    assert (outcome.name, outcome.value["customerRef"]) == ("CUSTOMER_NOT_FOUND", digest)
    assert outcome.record.key == digest.encode()
    assert "ce_subject" not in outcome.headers


def test_key_where_nothing_is_known_of_the_customer(desk: Desk) -> None:
    """Without PII_KEY a customer without an id must be left out, and the key be the event's identity."""
    event_id = unique("event")
    outcome = desk.tell(event(event_id, {"externalId": "nobody-8"})).only
    assert outcome.record.key == event_id.encode()
    assert not {"customerRef", "customerId"} & set(outcome.value)
    assert "ce_subject" not in outcome.headers


def test_no_identifier_leaves_the_worker(desk: Desk, strict_desk: Desk) -> None:
    """No mobile number, e-mail address or external id may be in an outcome, a log line or a metric."""
    for at in (desk, strict_desk):
        people = [_person(at, number) for number in range(6)]
        faults = ["error_500", "garbage", "reset_before", "redirect_302"]
        for customer, fault in zip(people, faults, strict=False):
            count = None if fault in ("garbage", "error_500") else 1
            at.fault(fault, customer, endpoint=Endpoint.LOOKUP, count=count)
        at.promotion(people[-1], timelines=False, limit_per_customer=None)
        at.fault("error_500", people[-1], endpoint=Endpoint.ISSUE)
        names = ("mobile", "email", "external_id")
        for customer in people:
            for name in names:
                field = name.replace("external_id", "externalId")
                at.tell(event(unique("event"), {field: getattr(customer, name)}, orgId=100))
        at.tell(event(unique("event"), {"mobile": "+44 7700 900999", "email": "no.body@example.org"}))
        at.tell(b'{"customer": {"email": "broken@example.org"')
        personal = {str(getattr(customer, name)) for customer in people for name in names}
        personal |= {"7700 900999", "7700900999", "no.body", "broken@example", "example.org", "EXT-"}
        outcomes = [
            (one.record.key, one.record.value, one.record.headers) for one in at.stage.outcomes.read()
        ]
        errors = [letter.error for letter in at.stage.dead_letters.read()]
        seen = repr(outcomes) + repr(errors) + at.worker.log() + at.worker.get("/metrics").body
        leaked = {text for text in personal if re.search(re.escape(text), seen, re.IGNORECASE)}
        assert not leaked, (
            f"{leaked} in {[line for line in seen.splitlines() if any(x in line for x in leaked)]}"
        )


def _person(at: Desk, number: int) -> Customer:
    return at.customer(
        mobile=f"4477009001{number:02d}",
        email=f"{unique('person')}@example.org",
        external_id=f"EXT-{unique('card')}",
    )
