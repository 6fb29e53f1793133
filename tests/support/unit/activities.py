"""One event of each shape that activity records have."""

from typing import Any

from topics.record import Headers

FLAT: dict[str, Any] = {
    "eventName": "customerAdded",
    "eventId": "0d3f9c0e-flat",
    "orgId": 1800,
    "refId": "1800_482579328",
    "apiRequestId": "req-1",
    "createdAt": 1619199042493,
    "data": {
        "customerIdentifiers": {
            "customerId": 482579328,
            "instore": {"mobile": "919845012345", "email": "ann@example.com", "externalId": "AB-77"},
        }
    },
    "loyaltyEventId": None,
}

ENVELOPED: dict[str, Any] = {
    "eventId": "5b1e-enveloped",
    "eventType": "150698_transactionAdded",
    "consumerGroupId": None,
    "actionType": "START",
    "timeStamp": 1683874800103,
    "attributes": {
        "createdAt": 1683874800089,
        "eventName": "transactionAdded",
        "refId": "r",
        "apiRequestId": "q",
        "orgId": 151197,
        "data": {
            "amount": 89000.0,
            "billNumber": "B-1",
            "transactionId": 65658570,
            "billType": "REGULAR",
            "customerIdentifiers": {"customerId": 7, "ecommerce": {"mobile": 919845012345}},
        },
    },
}

PLAIN: dict[str, Any] = {
    "eventId": "plain-1",
    "eventName": "transactionAdded",
    "orgId": 1,
    "occurredAt": "2026-01-31T10:00:00Z",
    "customer": {
        "customerId": 1,
        "mobile": "919845012345",
        "email": "ann@example.com",
        "externalId": "AB-77",
        "source": "instore",
    },
}

CLOUD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "ce-1",
    "source": "/pos/12",
    "type": "com.example.pos.transactionAdded",
    "time": "2026-01-31T15:30:00+05:30",
}

BINARY: Headers = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"ce-2"),
    ("ce_type", b"com.example.customerAdded"),
    ("ce_source", b"/pos/12"),
    ("ce_time", b"2026-01-31T10:00:00.5Z"),
    ("content-type", b"application/json"),
)
