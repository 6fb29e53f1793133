"""What Capillary's notifications tell, in every shape in which they come."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.unit.strategies import JSON_OBJECTS
from tests.support.use_case.values import record
from topics.activity import Activity, read_activity
from topics.feedback import (
    FEEDBACK_EVENTS,
    CustomerChanged,
    CustomersMerged,
    Feedback,
    ListChanged,
    PromotionIssued,
    PromotionRevoked,
    Unusable,
)
from topics.record import Headers

WHO: dict[str, Any] = {"customerId": 17, "instore": {"mobile": "919800000001"}}
ISSUED: dict[str, Any] = {
    "customerIdentifiers": WHO,
    "promotionId": 1,
    "loyaltyProgramId": 2,
    "issualId": 3,
    "promotionIssuedDate": "2026-01-31",
    "issueRestrictions": [{"limitOn": "CUSTOMER", "kpi": "NUMBER_OF_ISSUALS", "maxLimit": 1}],
}


def read(value: object, headers: Headers = ()) -> Activity:
    """Read a record's value."""
    activity = read_activity(record(value, headers=headers))
    assert isinstance(activity, Activity)
    return activity


def shapes(name: str, data: dict[str, Any]) -> list[Activity]:
    """Read the notification in each shape."""
    flat = {"eventName": name, "eventId": "e", "orgId": 7, "createdAt": 1_769_853_600_000, "data": data}
    enveloped = {
        "eventId": "e",
        "eventType": f"7_{name}",
        "timeStamp": 1_769_853_600_000,
        "attributes": {"createdAt": 1_769_853_600_000, "orgId": 7, "data": data},
    }
    cloud = {
        "specversion": "1.0",
        "id": "e",
        "source": "/capillary",
        "type": f"com.capillary.{name}",
        "time": "2026-01-31T10:00:00Z",
        "data": data,
    }
    binary = (("ce_specversion", b"1.0"), ("ce_id", b"e"), ("ce_type", f"com.capillary.{name}".encode()))
    blanks = json.loads(json.dumps(flat).replace('"promotionId"', '" promotionId "'))
    return [read(flat), read(enveloped), read(cloud), read(data, binary), read(blanks)]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("promotionCreated", {"promotionId": 1, "status": "ACTIVE"}, ListChanged()),
        ("promotionUpdated", {}, ListChanged()),
        ("promotionIssued", ISSUED, PromotionIssued(promotion_id=1, program_id=2, issual_id=3)),
        (
            "promotionIssued",
            ISSUED | {"promotionId": "1", "loyaltyProgramId": "2.0", "issualId": None},
            PromotionIssued(promotion_id=1, program_id=2, issual_id=None),
        ),
        (
            "revokeIssuedPromotion",
            ISSUED | {"revokedIssualId": 4},
            PromotionRevoked(promotion_id=1, program_id=2, issual_id=4),
        ),
        ("revokeIssuedPromotion", ISSUED, PromotionRevoked(promotion_id=1, program_id=2, issual_id=3)),
        ("customerAdded", {"customerIdentifiers": WHO}, CustomerChanged()),
        ("customerUpdated", {"customerIdentifiers": WHO}, CustomerChanged()),
        (
            "loyaltyCustomerMerge",
            {
                "survivorCustomerIdentifiers": {"customerId": 17},
                "victimCustomerIdentifiers": {"customerId": "18"},
            },
            CustomersMerged((17, 18)),
        ),
        ("loyaltyCustomerMerge", {"victimCustomerIdentifiers": [{"customerId": 18}]}, CustomersMerged((18,))),
        ("promotionIssued", {"loyaltyProgramId": 2}, Unusable("promotionId: missing or no id")),
        ("promotionIssued", {"promotionId": 1}, Unusable("loyaltyProgramId: missing or no id")),
        ("revokeIssuedPromotion", {"promotionId": -1}, Unusable("promotionId: missing or no id")),
        ("loyaltyCustomerMerge", {}, Unusable("survivorCustomerIdentifiers: no customerId")),
        ("promotionEarned", ISSUED, None),
        ("revokeEarnedPromotion", ISSUED, None),
        ("transactionAdded", ISSUED, None),
    ],
)
def test_what_a_notification_tells(name: str, data: dict[str, Any], expected: Feedback | None) -> None:
    """The same in each shape; an event of another name tells nothing."""
    for activity in shapes(name, data):
        assert activity.feedback == expected
        assert activity.event_name == name


def test_whose_and_when_it_is() -> None:
    """Customer, organisation and time are read as of any event."""
    for activity in shapes("promotionIssued", ISSUED)[:2]:
        assert activity.org_id == 7
        assert activity.occurred_at is not None
        assert [name.value for name in activity.customer.names] == ["17", "919800000001"]


@given(st.sampled_from(sorted(FEEDBACK_EVENTS)), JSON_OBJECTS)
def test_any_data_leads_to_an_answer(name: str, data: dict[str, Any]) -> None:
    """Nothing raises, and ids are ids."""
    activity = read_activity(record({"data": data, **data} | {"eventName": name}))
    told = activity.feedback if isinstance(activity, Activity) else None
    if isinstance(told, PromotionIssued | PromotionRevoked):
        assert 0 < told.promotion_id < 2**63
        assert 0 < told.program_id < 2**63
