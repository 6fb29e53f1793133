"""What becomes of an event, row by row of the outcome table: from an activity record to outcome records."""

from datetime import UTC, datetime

import pytest

from tests.support.e2e.desk import Desk, told_as
from tests.support.e2e.events import enrolment_key, event
from tests.support.e2e.feeds import OutcomeRecord
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.simulator import Customer, Endpoint, Listing, Promotion

_NOT_ISSUED = [
    {"code": 8890, "message": "promotion not issued due to config issues or customer exhausted limits"}
]
_NOT_FOUND = [{"code": 8015, "message": "Customer not found for the given identifiers"}]


def test_enrolled(desk: Desk) -> None:
    """An event must enrol its customer into each promotion that is open, in the lookup's order."""
    customer = desk.customer()
    promotions = [desk.promotion(customer) for _ in range(2)]
    told = desk.tell(event(unique("event"), _by_id(customer), orgId=100))
    assert [_value(outcome) for outcome in told.outcomes] == [
        told_as(
            told,
            "ENROLLED",
            "info",
            customer=customer,
            promotion=promotion,
            org=100,
            issualId=_issual(desk, customer, promotion),
            idempotencyKey=_key(100, customer, promotion),
            attempts=1,
            apiRequestId=desk.traced(customer, number),
        )
        for number, promotion in enumerate(promotions, 1)
    ]
    assert desk.requests(customer) == ["lookup", "issue", "issue"]


def test_enrolled_with_a_warning(desk: Desk) -> None:
    """A warning beside a side effect must be kept, and the enrolment stays an enrolment."""
    customer = desk.customer()
    promotion = desk.promotion(customer)
    desk.fault("warned", customer, endpoint=Endpoint.ISSUE, code=7001)
    told = desk.tell(event(unique("event"), _by_id(customer)))
    assert _value(told.only) == told_as(
        told,
        "ENROLLED",
        "info",
        customer=customer,
        promotion=promotion,
        org=100,
        issualId=_issual(desk, customer, promotion),
        idempotencyKey=_key(100, customer, promotion),
        attempts=1,
        warnings=[{"code": 7001, "message": "simulated warning"}],
        apiRequestId=desk.traced(customer),
    )


def test_already_enrolled(desk: Desk) -> None:
    """A listed promotion whose timeline shows an enrolment must not be asked for again."""
    customer = desk.customer()
    promotion = desk.promotion(customer)
    enrolment_id = desk.enrol_elsewhere(customer, promotion)
    told = desk.tell(event(unique("event"), _by_id(customer)))
    assert _value(told.only) == told_as(
        told,
        "ALREADY_ENROLLED",
        "info",
        customer=customer,
        promotion=promotion,
        org=100,
        enrollmentId=enrolment_id,
        apiRequestId=desk.traced(customer),
    )
    assert desk.requests(customer) == ["lookup"]


def test_limit_exhausted_for_a_reason_that_the_api_does_not_tell(desk: Desk) -> None:
    """8890 without a used-up restriction must be the configuration's fault, or a limit that does not show."""
    customer = desk.customer()
    promotion = desk.promotion(customer, configuration_fault=True)
    told = desk.tell(event(unique("event"), _by_id(customer)))
    assert _value(told.only) == told_as(
        told,
        "LIMIT_EXHAUSTED",
        "warning",
        customer=customer,
        promotion=promotion,
        org=100,
        reason="CONFIGURATION_OR_LIMIT",
        idempotencyKey=_key(100, customer, promotion),
        attempts=1,
        warnings=_NOT_ISSUED,
        apiRequestId=desk.traced(customer, 1),
    )
    assert desk.requests(customer) == ["lookup", "issue", "lookup"]


@pytest.mark.parametrize("limit_on", ["CUSTOMER", "PROMOTION"])
def test_limit_exhausted_between_lookup_and_issue(desk: Desk, limit_on: str) -> None:
    """8890 because another channel was quicker must name the restriction that is used up now."""
    customer, rival = desk.customer(), desk.customer()
    winner = customer if limit_on == "CUSTOMER" else rival
    promotion = desk.promotion(
        customer,
        limit_per_customer=1 if limit_on == "CUSTOMER" else None,
        limit_per_promotion=1 if limit_on == "PROMOTION" else None,
    )
    desk.fault("slow", customer, endpoint=Endpoint.ISSUE, seconds=1.0)
    record = desk.stage.feed.send(event(unique("event"), _by_id(customer)), b"key")
    wait_until(lambda: "issue" in desk.requests(customer), "the issue is in work", evidence=desk.worker.tail)
    desk.enrol_elsewhere(winner, promotion)
    told = desk.collect(record)
    assert _value(told.only) == told_as(
        told,
        "LIMIT_EXHAUSTED",
        "warning",
        customer=customer,
        promotion=promotion,
        org=100,
        reason=f"{limit_on}_LIMIT",
        idempotencyKey=_key(100, customer, promotion),
        attempts=1,
        warnings=_NOT_ISSUED,
        apiRequestId=desk.traced(customer, 1),
        restriction=_used_up(limit_on),
    )


def test_limit_seen_before_it_is_met(desk: Desk) -> None:
    """A listed promotion whose restriction is used up must cost no request."""
    customer = desk.customer()
    promotion = desk.promotion(customer, listing=Listing.ALWAYS, limit_per_customer=1, timelines=False)
    desk.enrol_elsewhere(customer, promotion)
    told = desk.tell(event(unique("event"), _by_id(customer)))
    assert _value(told.only) == told_as(
        told,
        "LIMIT_EXHAUSTED",
        "warning",
        customer=customer,
        promotion=promotion,
        org=100,
        reason="CUSTOMER_LIMIT",
        restriction=_used_up("CUSTOMER"),
        apiRequestId=desk.traced(customer),
    )
    assert desk.requests(customer) == ["lookup"]


def test_no_promotion_available(desk: Desk) -> None:
    """A customer without a promotion to enrol into must be told of, with nothing asked but the lookup."""
    customer = desk.customer()
    told = desk.tell(event(unique("event"), _by_id(customer)))
    assert _value(told.only) == told_as(
        told,
        "NO_PROMOTION_AVAILABLE",
        "info",
        customer=customer,
        org=100,
        apiRequestId=desk.traced(customer),
    )
    assert desk.requests(customer) == ["lookup"]


def test_customer_not_found(desk: Desk) -> None:
    """8015 must be final, with the API's words kept."""
    told = desk.tell(event(unique("event"), {"customerId": 999_999_999}, orgId=100))
    refused = [one for one in desk.simulator.requests.log if one.result == "refused:8015"]
    assert _value(told.only) == told_as(
        told,
        "CUSTOMER_NOT_FOUND",
        "warning",
        customer=999_999_999,
        org=100,
        attempts=1,
        errors=_NOT_FOUND,
        apiRequestId=refused[-1].request_id,
    )


@pytest.mark.parametrize("code", [8013, 424242])
def test_rejected_by_the_lookup(desk: Desk, code: int) -> None:
    """A final error of the lookup, known or not, must be told with code and message, about no promotion."""
    customer = desk.customer()
    desk.fault("api_error", customer, endpoint=Endpoint.LOOKUP, code=code)
    told = desk.tell(event(unique("event"), _by_id(customer)))
    errors = [{"code": code, "message": "simulated error"}]
    assert _value(told.only) == told_as(
        told,
        "REJECTED",
        "error",
        customer=customer,
        org=100,
        attempts=1,
        errors=errors,
        apiRequestId=desk.traced(customer),
    )


def test_rejected_by_the_issue(desk: Desk) -> None:
    """A final error for one promotion must not keep the customer from the next."""
    customer = desk.customer()
    refused, open_ = desk.promotion(customer), desk.promotion(customer)
    ids = frozenset({refused.promotion_id})
    desk.fault("api_error", customer, endpoint=Endpoint.ISSUE, code=8874, promotion_ids=ids)
    told = desk.tell(event(unique("event"), _by_id(customer)))
    assert _value(told.outcomes[0]) == told_as(
        told,
        "REJECTED",
        "error",
        customer=customer,
        promotion=refused,
        org=100,
        idempotencyKey=_key(100, customer, refused),
        attempts=1,
        errors=[{"code": 8874, "message": "simulated error"}],
        apiRequestId=desk.traced(customer, 1),
    )
    assert [(one.name, one.value["promotionId"]) for one in told.outcomes[1:]] == [
        ("ENROLLED", open_.promotion_id)
    ]


def test_dead_lettered_in_doubt(desk: Desk) -> None:
    """A request of unknown effect that leaves no evidence must not be repeated."""
    customer = desk.customer()
    doubtful = desk.promotion(customer, timelines=False, limit_per_customer=None)
    open_ = desk.promotion(customer)
    ids = frozenset({doubtful.promotion_id})
    desk.fault("error_500_after_apply", customer, endpoint=Endpoint.ISSUE, promotion_ids=ids)
    told = desk.tell(event(unique("event"), _by_id(customer)))
    letter = told_as(
        told,
        "DEAD_LETTERED",
        "error",
        customer=customer,
        promotion=doubtful,
        org=100,
        reason="in_doubt",
        idempotencyKey=_key(100, customer, doubtful),
        attempts=1,
        apiRequestId=desk.traced(customer, desk.requests(customer).index("issue", 2) - 1),
    )
    assert sorted(outcome.name for outcome in told.outcomes) == ["DEAD_LETTERED", "ENROLLED"]
    assert [_value(one) for one in told.outcomes if one.name == "DEAD_LETTERED"] == [letter]
    assert [one.value["promotionId"] for one in told.outcomes if one.name == "ENROLLED"] == [
        open_.promotion_id
    ]
    assert desk.requests(customer).count("issue") == 2
    assert [each.error["reason"] for each in desk.stage.dead_letters.of(told.record)] == ["in_doubt"]


def test_deferred_after_the_last_attempt(desk: Desk) -> None:
    """A lookup without a usable answer must leave the key free after RETRY_MAX_ATTEMPTS, the record kept."""
    customer = desk.customer()
    desk.fault("garbage", customer, endpoint=Endpoint.LOOKUP)
    told = desk.tell(event(unique("event"), _by_id(customer)))
    assert _value(told.only) == told_as(
        told,
        "DEFERRED",
        "warning",
        customer=customer,
        org=100,
        hop=1,
        reason="retries_exhausted",
        attempts=2,
        apiRequestId=desk.traced(customer, 1),
    )
    letters = [each.error for each in desk.stage.retries[0].of(told.record)]
    assert [(each["reason"], each["attempts"]) for each in letters] == [("retries_exhausted", "2")]


def _value(outcome: OutcomeRecord) -> dict[str, object]:
    """Return the value without its time, which must be one, in UTC and just now."""
    value = dict(outcome.value)
    at = datetime.fromisoformat(value.pop("occurredAt"))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 120, at
    return value


def _by_id(customer: Customer) -> dict[str, object]:
    return {"customerId": customer.customer_id}


def _key(org: int, customer: Customer, promotion: Promotion) -> str:
    return enrolment_key(org, customer.customer_id, promotion.program_id, promotion.promotion_id)


def _issual(desk: Desk, customer: Customer, promotion: Promotion) -> int:
    """Return the issual id under which the simulated API keeps the one enrolment."""
    pair = (customer.customer_id, promotion.promotion_id)
    applied = desk.simulator.world.applied
    (only,) = [one.issual_id for one in applied if (one.customer_id, one.promotion_id) == pair]
    return only


def _used_up(limit_on: str) -> dict[str, object]:
    return {"kpi": "NUMBER_OF_ISSUALS", "limitOn": limit_on, "maxLimit": 1, "currentCustomerUsage": 1}
