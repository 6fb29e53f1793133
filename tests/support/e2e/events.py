"""Activity events in the plain form, and what the contract derives from them, computed independently."""

import json
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_DNS, uuid5

_NAMESPACE: Final = uuid5(NAMESPACE_DNS, "enrolment-worker")


def event(
    event_id: str,
    customer: dict[str, Any],
    *,
    name: str = "transactionAdded",
    occurred_at: datetime | None = None,
    **more: object,
) -> bytes:
    """Return an event's record value; `occurred_at` defaults to now, in whole seconds."""
    at = (occurred_at or datetime.now(UTC)).replace(microsecond=0)
    text = at.isoformat().replace("+00:00", "Z")
    body = {"eventId": event_id, "eventName": name, "occurredAt": text, "customer": customer, **more}
    return json.dumps(body).encode()


def outcome_id(event_id: str, promotion_id: int | None, outcome: str, hop: int | None = None) -> str:
    """Return the id that the contract gives an outcome."""
    more = "" if hop is None else f"/{hop}"
    return str(uuid5(_NAMESPACE, f"outcome/{event_id}/{promotion_id or '-'}/{outcome}{more}"))


def enrolment_key(org: int, customer: int, program: int, promotion: int, *more: str) -> str:
    """Return the idempotency key that the contract gives an enrolment."""
    parts = ["enrol", str(org), str(customer), str(program), str(promotion), *more]
    return str(uuid5(_NAMESPACE, "/".join(parts)))
