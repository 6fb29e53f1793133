"""The shapes of an activity record, for those who write them: what the published document says of them.

`activity` reads more tolerantly than this: blanks in key names, numbers for text, parts that are missing.
Every example here is read there to the same event; the tests see to it.
"""

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from topics.customer_names import LONGEST


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)


class Identifiers(_Shape):
    """Names of a customer; one is enough, and externalId goes before mobile and email."""

    mobile: str | None = Field(None, max_length=LONGEST)
    email: str | None = Field(None, max_length=LONGEST)
    external_id: str | None = Field(None, max_length=LONGEST)


class Customer(Identifiers):
    """The customer of a plain event. A customerId goes before every other name."""

    customer_id: int | None = Field(None, gt=0)
    source: str | None = Field(
        None, description="source of the names, e.g. INSTORE; else ENROLMENT_API_SOURCE"
    )


class AccountIdentifier(_Shape):
    """One name of a customer in an account."""

    identifier_type: str = Field(description="mobile, email or externalId; others are not read")
    identifier_value: str | int = Field(description="a name of at most 512 characters")


class Account(_Shape):
    """An account of a source that may have several."""

    account_id: str | int | None = Field(None, description="goes along to the API with the source")
    identifiers: list[AccountIdentifier]


class Accounts(_Shape):
    """The names of a source that may have several accounts, such as `wechat`."""

    accounts: list[Account]


class CustomerIdentifiers(_Shape):
    """The customer of a notification: the id, and an object for each source, such as `instore`."""

    __pydantic_extra__: dict[str, Accounts | Identifiers] = Field(init=False)
    customer_id: int | None = Field(None, gt=0)


class NotificationData(_Shape):
    """The inner part of Capillary's notifications; whatever else it holds is not read.

    The ids count in promotionIssued and revokeIssuedPromotion. A promotionCreated or promotionUpdated has no
    customer, a loyaltyCustomerMerge two.
    """

    customer_identifiers: CustomerIdentifiers | None = None
    promotion_id: int | None = Field(None, gt=0)
    loyalty_program_id: int | None = Field(None, gt=0)
    issual_id: int | None = Field(None, gt=0)
    revoked_issual_id: int | None = Field(None, gt=0)
    survivor_customer_identifiers: CustomerIdentifiers | None = None
    victim_customer_identifiers: CustomerIdentifiers | None = None


class PlainEvent(_Shape):
    """The plain form."""

    event_id: str | None = Field(
        None,
        max_length=LONGEST,
        description="the event's identity; else <source>#<id> of a CloudEvent, else where its record lies",
    )
    event_name: str | None = Field(
        None, max_length=LONGEST, description="what ENROLMENT_TRIGGER_EVENTS names"
    )
    org_id: int | None = Field(None, gt=0)
    occurred_at: datetime | None = None
    customer: Customer


class FlatNotification(_Shape):
    """Capillary's flat event notification."""

    event_name: str = Field(max_length=LONGEST)
    event_id: str | None = Field(None, max_length=LONGEST)
    org_id: int | None = Field(None, gt=0)
    created_at: int | None = Field(None, description="milliseconds since 1970")
    data: NotificationData


class NotificationAttributes(_Shape):
    """What an enveloped notification is about."""

    event_name: str | None = Field(None, max_length=LONGEST, description="else eventType")
    org_id: int | None = Field(None, gt=0)
    created_at: int | None = Field(None, description="milliseconds since 1970")
    data: NotificationData


class EnvelopedNotification(_Shape):
    """Capillary's enveloped event notification."""

    event_id: str | None = Field(None, max_length=LONGEST)
    event_type: str | None = Field(
        None, max_length=LONGEST, description="the event's name, perhaps after the organisation and `_`"
    )
    time_stamp: int | None = Field(None, description="milliseconds since 1970")
    attributes: NotificationAttributes


class CloudEvent(BaseModel):
    """A CloudEvent 1.0 in structured mode, around the data of a notification or a plain event."""

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: str = Field(
        max_length=LONGEST,
        description="the event's id, unless the data names one; its identity is <source>#<id>",
    )
    source: str
    type: str = Field(max_length=LONGEST, description="what follows the last dot is the event's name")
    time: datetime | None = None
    data: PlainEvent | NotificationData


_IDENTIFIERS: Final[dict[str, Any]] = {
    "customerId": 482579328,
    "instore": {"mobile": "919800000001", "email": "kim@example.com", "externalId": "EX-1"},
}
_PLAIN: Final[dict[str, Any]] = {
    "eventId": "5f7d2c1e-0b5f-4f0e-9a52-6d6f0b1f2a10",
    "eventName": "transactionAdded",
    "orgId": 1800,
    "occurredAt": "2026-01-31T10:00:00Z",
    "customer": {"mobile": "919800000001", "source": "INSTORE"},
}

EXAMPLES: Final[dict[type[BaseModel], dict[str, Any]]] = {
    PlainEvent: _PLAIN,
    FlatNotification: {
        "eventName": "transactionAdded",
        "eventId": _PLAIN["eventId"],
        "orgId": 1800,
        "createdAt": 1769853600000,
        "data": {"customerIdentifiers": _IDENTIFIERS},
    },
    EnvelopedNotification: {
        "eventId": _PLAIN["eventId"],
        "eventType": "1800_transactionAdded",
        "timeStamp": 1769853600000,
        "attributes": {
            "eventName": "transactionAdded",
            "orgId": 1800,
            "createdAt": 1769853600000,
            "data": {"amount": 890.0, "customerIdentifiers": _IDENTIFIERS},
        },
    },
    CloudEvent: {
        "specversion": "1.0",
        "id": _PLAIN["eventId"],
        "source": "/point-of-sale",
        "type": "com.example.transactionAdded",
        "time": "2026-01-31T10:00:00Z",
        "data": {"orgId": 1800, "customer": _PLAIN["customer"]},
    },
}
"""One record of each shape, all of them the same event."""
