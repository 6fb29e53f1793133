"""The record, event, promotions and lookup that tests of the use case speak of."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from topics.names import TopicNames
from topics.record import Headers, Position, Record
from worker.domain.answers import Found
from worker.domain.promotions import (
    ENROL_AND_ISSUE,
    CustomerPromotions,
    Promotion,
    Restriction,
    TimelineEntry,
)

NOW = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
NAMES = TopicNames("customer-activity", "enrolment-outcomes", "enrolment-worker")
AT = Position("customer-activity", 3, 42)
CUSTOMER = 482579328
PROGRAM = 469


def record(
    value: object,
    *,
    key: bytes | None = b"customer",
    headers: Headers = (),
    at: Position = AT,
    timestamp_ms: int = 1_769_853_600_000,
) -> Record:
    """Return an activity record; a value that is not bytes (or null) is written as JSON."""
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Record(position=at, timestamp_ms=timestamp_ms, key=key, value=raw, headers=headers)


def event(**changes: object) -> dict[str, object]:
    """Return an event in the plain form."""
    return {
        "eventId": "evt-1",
        "eventName": "transactionAdded",
        "orgId": 1800,
        "occurredAt": "2026-01-31T09:59:00Z",
        "customer": {"mobile": "919845012345", "source": "INSTORE"},
    } | changes


def promotion(
    promotion_id: int = 57099,
    *,
    restrictions: Iterable[Restriction] = (),
    timeline: Sequence[TimelineEntry] | None = (),
    **changes: Any,  # noqa: ANN401 - any field of the promotion
) -> Promotion:
    """Return a promotion that is open to enrol into."""
    fields: dict[str, Any] = {
        "program_id": PROGRAM,
        "name": f"Promotion {promotion_id}",
        "offer_type": ENROL_AND_ISSUE,
        "active": True,
        "starts_at": None,
        "ends_at": None,
    }
    return Promotion(
        promotion_id=promotion_id,
        issual_restrictions=tuple(restrictions),
        timeline=None if timeline is None else tuple(timeline),
        **(fields | changes),
    )


def found(*promotions: Promotion, customer_id: int = CUSTOMER) -> Found:
    """Return a lookup's answer."""
    return Found(CustomerPromotions(customer_id, promotions))
