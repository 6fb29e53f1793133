"""What every competitor is told, by its environment, and what it asks the API."""

import os
from collections.abc import Mapping
from typing import Any, Final

KAFKA: Final = os.environ["BENCH_KAFKA"]
ACTIVITY: Final = os.environ["BENCH_ACTIVITY"]
OUTCOMES: Final = os.environ["BENCH_OUTCOMES"]
GROUP: Final = os.environ["BENCH_GROUP"]
API: Final = os.environ["BENCH_API"]
AT_ONCE: Final = int(os.environ["BENCH_AT_ONCE"])
"""How many events may be worked on at once."""

USER: Final = ("simulator", "secret")
TIMEOUT_SECONDS: Final = 10.0
LOOKUP: Final = "/v2/customers/lookup/promotionData"
ISSUE: Final = "/v2/promotion/issue"

_AVAILABLE: Final = {
    "promotionType": "ENROL_AND_ISSUE",
    "promotionStatusForCustomer": "AVAILABLE_TO_ENROL",
    "limit": "100",
    "offset": "0",
}

Json = dict[str, Any]


def customer_of(event: Json) -> dict[str, str]:
    """Return the parameters that name the event's customer."""
    customer = event["customer"]["customerId"]
    return {"identifierName": "id", "identifierValue": str(customer), "source": "INSTORE"}


def lookup_of(customer: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of the lookup."""
    return {**customer, **_AVAILABLE}


def issue_of(event: Json, promotion: Json) -> tuple[Json, dict[str, str]]:
    """Return body and headers of an enrolment."""
    body = {"programId": promotion["programId"], "promotionId": promotion["promotionId"]}
    return body, {"Idempotency-Key": f'"{event["eventId"]}/{promotion["promotionId"]}"'}


def outcome_of(event: Json, promotion: Json, issued: Json) -> Json:
    """Return the outcome."""
    return {
        "outcome": "ENROLLED" if issued["sideEffects"] else "LIMIT_EXHAUSTED",
        "customerId": event["customer"]["customerId"],
        "promotionId": promotion["promotionId"],
        "activity": {"eventId": event["eventId"]},
    }
