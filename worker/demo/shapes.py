"""The shapes in which upstream systems publish an event: its record's value and headers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from topics.record import Headers
from topics.times import written

_SOURCE: Final = "/tills/demo"
_TYPE_PREFIX: Final = "com.example.loyalty."
Published = tuple[bytes, Headers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What an event says. `customer` holds the identifiers that it names, by their JSON names."""

    event_id: str
    name: str
    org_id: int
    at: datetime
    customer: dict[str, Any]
    details: dict[str, Any]


def plain(what: Happening) -> Published:
    """Publish the worker's own plain form."""
    body = {
        "eventId": what.event_id,
        "eventName": what.name,
        "orgId": what.org_id,
        "occurredAt": _text(what.at),
        "customer": {**what.customer, "source": "INSTORE"},
    }
    return _json(body), ()


def flat(what: Happening) -> Published:
    """Publish Capillary's flat notification."""
    body = {
        "eventName": what.name,
        "eventId": what.event_id,
        "orgId": what.org_id,
        "refId": f"{what.org_id}_{what.event_id[:8]}",
        "apiRequestId": what.event_id[:13],
        "createdAt": _milliseconds(what.at),
        "data": _inner(what),
        "loyaltyEventId": None,
    }
    return _json(body), ()


def enveloped(what: Happening) -> Published:
    """Publish Capillary's enveloped notification, with the stray blanks of its published samples."""
    body = {
        "eventId": what.event_id,
        "eventType": f"{what.org_id}_{what.name}",
        "consumerGroupId": None,
        "actionType": "START",
        "timeStamp": _milliseconds(what.at),
        "attributes": {
            "createdAt": _milliseconds(what.at),
            "eventName": what.name,
            "refId": what.event_id[:8],
            "apiRequestId ": what.event_id[:13],
            "orgId": what.org_id,
            "data": _inner(what),
        },
    }
    return _json(body), ()


def cloud_event_structured(what: Happening) -> Published:
    """Publish a CloudEvent 1.0 in structured mode around the inner data of a notification."""
    body = {
        "specversion": "1.0",
        "id": what.event_id,
        "source": _SOURCE,
        "type": _TYPE_PREFIX + what.name,
        "time": _text(what.at),
        "datacontenttype": "application/json",
        "data": {**_inner(what), "orgId": what.org_id},
    }
    return _json(body), (("content-type", b"application/cloudevents+json"),)


def cloud_event_binary(what: Happening) -> Published:
    """Publish a CloudEvent 1.0 in binary mode around the plain form's customer."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": what.event_id,
        "ce_source": _SOURCE,
        "ce_type": _TYPE_PREFIX + what.name,
        "ce_time": _text(what.at),
        "content-type": "application/json",
    }
    body = {"orgId": what.org_id, "customer": {**what.customer, "source": "INSTORE"}}
    return _json(body), tuple((name, value.encode()) for name, value in headers.items())


SHAPES: Final[dict[str, Callable[[Happening], Published]]] = {
    "plain": plain,
    "flat": flat,
    "enveloped": enveloped,
    "CloudEvent, structured": cloud_event_structured,
    "CloudEvent, binary": cloud_event_binary,
}


def _inner(what: Happening) -> dict[str, Any]:
    names = dict(what.customer)
    customer_id = names.pop("customerId", None)
    found = {} if customer_id is None else {"customerId": customer_id}
    return {**what.details, "customerIdentifiers": {**found, "instore": names}}


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _text(at: datetime) -> str:
    return written(at, "milliseconds")


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
