"""The activity topic: what a customer did, in any of the shapes that upstream systems publish.

Accepted are Capillary's flat and enveloped notifications, CloudEvents 1.0 in structured and binary mode
around the inner `data` of either or around the plain form, and the plain form itself. Published samples
have stray blanks in key names, numbers for text and missing parts: what is needed is read, the rest ignored.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic_core import from_json

from topics.customer_names import LONGEST, CustomerNames, customer_names
from topics.feedback import FEEDBACK_EVENTS, Feedback, read_feedback
from topics.fields import Fields, first_id
from topics.record import LATEST_MS, Record
from topics.times import read_time

UNNAMED: Final = ""
"""Event name of an event that names none; only the trigger `*` acts on it."""

_ORG_PREFIX = re.compile(r"(\d+)_(.+)", re.DOTALL)
LARGEST_VALUE_BYTES: Final = 4 * 1024 * 1024
"""Of a value that is parsed at all; parsed, it may take thirty times that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One event, read from its record."""

    event_id: str
    """The id as upstream wrote it: its own, else its CloudEvents id; else where its record lies."""
    event_name: str
    org_id: int | None
    occurred_at: datetime | None
    customer: CustomerNames
    identity: str
    """What tells the event from every other: a CloudEvents id counts for its source only."""
    feedback: Feedback | None = None
    """What Capillary tells by it of promotions or customers, beside what they did."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A null value: nothing happened."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are no event. `message` names the field and the fault, never a value."""

    message: str


def read_activity(record: Record) -> Activity | Tombstone | Malformed:
    """Read a record of the activity topic; any bytes lead to one of the three results, none raises."""
    if record.value is None:
        return Tombstone()
    if record.unreadable is not None:
        return Malformed(f"record batch: offsets {record.unreadable} cannot be read; the value is the batch")
    body = _json_object(record.value)
    if isinstance(body, Malformed):
        return body
    activity = _read(record, Fields(body))
    for name, text in (("eventId", activity.event_id), ("eventName", activity.event_name)):
        if len(text) > LONGEST:
            return Malformed(f"{name}: longer than {LONGEST} characters")
    if len(activity.identity) > LONGEST + 1 + len(activity.event_id):
        return Malformed(f"source: longer than {LONGEST} characters")
    return activity


def _json_object(value: bytes) -> dict[str, object] | Malformed:
    if len(value) > LARGEST_VALUE_BYTES:
        return Malformed(f"value: larger than {LARGEST_VALUE_BYTES} bytes")
    if not value.strip():
        return Malformed("value: empty")
    try:
        body = from_json(value, allow_inf_nan=False)
    except ValueError:
        return Malformed("value: not JSON")
    return body if isinstance(body, dict) else Malformed("value: not a JSON object")


def _read(record: Record, event: Fields) -> Activity:
    if event.text("specversion") is not None:
        data = event.obj("data") or Fields({})
        ids = _of_source(event.text("source"), event.text("id"))
        return _cloud_event(record, data, ids, event.text("type"), event.get("time"))
    if record.header("ce_specversion") is not None:
        ids = _of_source(record.header("ce_source"), record.header("ce_id"))
        return _cloud_event(record, event, ids, record.header("ce_type"), record.header("ce_time"))
    return _notification(record, event)


def _cloud_event(
    record: Record, data: Fields, ids: tuple[str, str] | None, ce_type: str | None, ce_time: object
) -> Activity:
    inner = _notification(record, data, (ce_type or "").rpartition(".")[2].strip())
    own = data.text("eventId")
    event_id, identity = (own, own) if own else ids or (inner.event_id, inner.identity)
    return Activity(
        event_id=event_id,
        event_name=inner.event_name,
        org_id=inner.org_id,
        occurred_at=inner.occurred_at or _time(ce_time),
        customer=inner.customer,
        identity=identity,
        feedback=inner.feedback,
    )


def _of_source(source: str | None, ce_id: str | None) -> tuple[str, str] | None:
    """Return a CloudEvents id and the identity that it makes with its source, None without an id."""
    event_id = (ce_id or "").strip()
    stem = (source or "").strip()
    if not event_id:
        return None
    return event_id, f"{stem}#{event_id}" if stem else event_id


def _notification(record: Record, event: Fields, named: str = "") -> Activity:
    """Read the flat, the enveloped and the plain form, and the bare `data` of the former two.

    What a CloudEvent is `named` by its type goes before the name in its data.
    """
    inner = event.obj("attributes") or event
    data = inner.obj("data") or inner
    name = inner.text("eventName") or event.text("eventName") or event.text("eventType") or UNNAMED
    prefixed = _ORG_PREFIX.fullmatch(name)
    org = first_id(inner.get("orgId"), event.get("orgId"), data.get("orgId"))
    if prefixed is not None:
        name, org = prefixed[2], org or first_id(prefixed[1])
    name = named or name
    own = event.text("eventId") or inner.text("eventId")
    event_id, identity = (own, own) if own else ids_outside_value(record)
    at = (inner.get("occurredAt"), event.get("occurredAt"), inner.get("createdAt"), event.get("timeStamp"))
    return Activity(
        event_id=event_id,
        event_name=name,
        org_id=org,
        occurred_at=next((time for time in map(_time, at) if time is not None), None),
        customer=customer_names((data, inner, *event.each("data"), event)),
        identity=identity,
        feedback=read_feedback(name, next(inner.each("data"), inner)) if name in FEEDBACK_EVENTS else None,
    )


def ids_outside_value(record: Record) -> tuple[str, str]:
    """Return id and identity of a record whose value names none: by CloudEvents, else where it lies."""
    at = str(record.position)
    return _of_source(record.header("ce_source"), record.header("ce_id")) or (at, at)


def _time(value: object) -> datetime | None:
    """Read RFC 3339 text or milliseconds since the epoch; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float) and 0 < value <= LATEST_MS:
        return datetime.fromtimestamp(value / 1000, UTC)
    return read_time(value) if isinstance(value, str) else None
