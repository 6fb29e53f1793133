"""How customers are named and found, from a record of Capillary's own to the API's books."""

import json

import pytest

from tests.support.e2e.desk import Desk
from tests.support.e2e.events import event
from tests.support.kafka.brokers import unique

pytestmark = pytest.mark.timeout(60)


def test_a_raw_event_names_its_customer_by_source_and_account(desk: Desk) -> None:
    """The API finds the customer by source and account alone, at the lookup and at the issue."""
    customer = desk.customer(sources=("LINE",), account_id="L 1/é")
    desk.promotion(customer)
    mobile = f"+{customer.mobile[:2]} {customer.mobile[2:7]}-{customer.mobile[7:]}" if customer.mobile else ""
    accounts = [
        {"accountId": "L 1/é", "identifiers": [{"identifierType": "mobile", "identifierValue": mobile}]}
    ]
    value = {
        "eventName": "transactionAdded",
        "eventId": unique("event"),
        "data": {"customerIdentifiers": {"firstName": "Kim", "line": {"accounts": accounts}}},
    }
    assert desk.tell(json.dumps(value).encode()).only.name == "ENROLLED"
    assert desk.requests(customer) == ["lookup", "issue"]


def test_an_event_whose_customer_is_unknown_is_told_again_as_it_was(desk: Desk) -> None:
    """A second delivery asks nothing, though the customer is there by then."""
    name, number = unique("event"), 799_999_999
    value = event(name, {"customerId": number})
    first = desk.tell(value).only
    assert first.name == "CUSTOMER_NOT_FOUND"
    customer = desk.customer(customer_id=number)
    desk.promotion(customer)
    asked = desk.requests(customer)
    desk.collect(desk.stage.feed.send(value, b"key"))
    once, again = desk.stage.outcomes.of(name)
    assert once.record.value == again.record.value
    assert desk.requests(customer) == asked
