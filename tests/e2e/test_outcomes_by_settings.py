"""Rows of the outcome table that hang on settings: age, organisations, dry run."""

from datetime import UTC, datetime, timedelta

from tests.support.e2e.desk import Desk, told_as
from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.feeds import OutcomeRecord
from tests.support.kafka.brokers import unique
from worker.demo.simulator import Customer


def test_event_too_old(strict_desk: Desk) -> None:
    """An event beyond MAX_EVENT_AGE_HOURS must cost no request; a younger one must be acted on."""
    customer = strict_desk.customer()
    now = datetime.now(UTC)
    old, young = (
        strict_desk.tell(event(unique("event"), _by_id(customer), occurred_at=now - timedelta(hours=hours)))
        for hours in (24.1, 23.9)
    )
    assert _value(old.only) == told_as(
        old, "NO_PROMOTION_AVAILABLE", "info", customer=customer, org=100, reason="EVENT_TOO_OLD"
    )
    assert "reason" not in young.only.value
    assert strict_desk.requests(customer) == ["lookup"]


def test_event_of_another_organisation(strict_desk: Desk) -> None:
    """An event that names an organisation other than ORG_ID must be dead-lettered, without a request."""
    customer = strict_desk.customer()
    told = strict_desk.tell(event(unique("event"), _by_id(customer), orgId=101))
    assert [one.value["reason"] for one in told.outcomes] == ["other_organisation"]
    assert told.only.value["severity"] == "error"
    (letter,) = strict_desk.stage.dead_letters.of(told.record)
    assert (letter.error["reason"], letter.record.value) == ("other_organisation", told.record.value)
    assert strict_desk.requests(customer) == []


def test_promotions_of_connected_organisations(strict_desk: Desk) -> None:
    """v2.1: a promotion of another organisation must be rejected unasked, one of our own enrolled into."""
    customer = strict_desk.customer()
    foreign = strict_desk.promotion(customer, org_id=200)
    own = strict_desk.promotion(customer)
    told = strict_desk.tell(event(unique("event"), _by_id(customer), orgId=100))
    assert _value(told.outcomes[0]) == told_as(
        told,
        "REJECTED",
        "error",
        customer=customer,
        promotion=foreign,
        org=200,
        reason="OTHER_ORGANISATION",
        apiRequestId=strict_desk.traced(customer, 0),
    )
    (enrolled,) = told.outcomes[1:]
    key = enrolment_key(100, customer.customer_id, own.program_id, own.promotion_id)
    assert (enrolled.name, enrolled.value["idempotencyKey"]) == ("ENROLLED", key)
    assert strict_desk.requests(customer) == ["lookup", "issue"]
    assert enrolled.value["apiRequestId"] == strict_desk.traced(customer, 1)


def test_in_whose_name_is_asked(strict_desk: Desk) -> None:
    """A lookup names the organisations under both documented headers; every request names the store."""
    customer = strict_desk.customer()
    strict_desk.promotion(customer)
    assert strict_desk.tell(event(unique("event"), _by_id(customer), orgId=100)).only.name == "ENROLLED"
    store = {
        "X-CAP-API-ATTRIBUTION-ENTITY-TYPE": "STORE_NAME",
        "X-CAP-API-ATTRIBUTION-ENTITY-CODE": "High Street 1",
    }
    scope = {"DATA-SCOPE": "ALL", "DATA-SCOPE-ORG": "100,200", "DATA-SCOPE-ORGS": "100,200"}
    who = customer.customer_id
    log = strict_desk.stage.lab.loop.call(lambda: strict_desk.simulator.requests.of_customer(who))
    assert [request.headers for request in log] == [scope | store, store]


def test_would_enrol(dry_desk: Desk) -> None:
    """A dry run must say what it would do, and neither enrol nor dead-letter anything."""
    customer = dry_desk.customer()
    open_, taken = dry_desk.promotion(customer), dry_desk.promotion(customer)
    dry_desk.enrol_elsewhere(customer, taken)
    told = dry_desk.tell(event(unique("event"), _by_id(customer), orgId=100))
    would, already = told.outcomes
    assert _value(would) == told_as(
        told,
        "WOULD_ENROL",
        "info",
        customer=customer,
        promotion=open_,
        org=100,
        idempotencyKey=enrolment_key(100, customer.customer_id, open_.program_id, open_.promotion_id),
        apiRequestId=dry_desk.traced(customer),
    )
    assert would.headers["ce_type"] == "enrolment.would-enrol.v1"
    assert already.name == "ALREADY_ENROLLED"
    assert dry_desk.requests(customer) == ["lookup"]
    assert dry_desk.tell(b"not JSON").only.name == "DEAD_LETTERED"
    assert dry_desk.stage.dead_letters.read() == []


def test_other_event_names_are_passed_over(desk: Desk) -> None:
    """An event that is no trigger must be counted, and lead to nothing else."""
    customer = desk.customer()
    told = desk.tell(event(unique("event"), _by_id(customer), name="pointsRedeemed"))
    assert (told.outcomes, desk.requests(customer)) == ([], [])
    counted = desk.worker.metric(
        "enrolment_activity_total", event_name="pointsRedeemed", result="passed_over"
    )
    assert counted == 1


def _value(outcome: OutcomeRecord) -> dict[str, object]:
    return {name: value for name, value in outcome.value.items() if name != "occurredAt"}


def _by_id(customer: Customer) -> dict[str, object]:
    return {"customerId": customer.customer_id}
