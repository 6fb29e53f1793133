"""Admission: which records lead to a lookup, and under which name, decided before anyone is asked."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from topics.activity import UNNAMED, Activity, Malformed, Tombstone, read_activity
from topics.dead_letter import DeadLetterReason
from topics.feedback import FORGET_EVENT, CustomerChanged, CustomersMerged, Feedback
from topics.origin import Origin
from topics.record import Record
from worker.domain.identity import customer_reference, name_mark
from worker.domain.promotions import Identifier, IdentifierName
from worker.enrolment.rules import Rules
from worker.ledger.entries import KeyHashes, Marks

_ZONES_APART: Final = timedelta(days=1)
"""How far ahead an event's own time may be that is a local one without its zone."""

_NAMES: Final = {
    "customerId": IdentifierName.CUSTOMER_ID,
    "externalId": IdentifierName.EXTERNAL_ID,
    "mobile": IdentifierName.MOBILE,
    "email": IdentifierName.EMAIL,
}


@dataclass(frozen=True, slots=True)
class PassOver:
    """Nothing to do and nothing to tell: a tombstone, or an event that is no trigger."""

    origin: Origin
    event_name: str
    why: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """Nothing can be done with the record. `message` names the field and the fault, never a value."""

    origin: Origin
    reason: DeadLetterReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Capillary tells something of promotions or of a customer; it leads to no outcome of its own."""

    origin: Origin
    event_name: str
    feedback: Feedback
    happened: datetime
    has_own_time: bool
    """Whether the event itself tells it."""
    names: tuple[Identifier, ...]
    """Of the customer, the strongest first; none if it is about none."""


@dataclass(frozen=True, slots=True)
class TooOld:
    """The event is older than the operator wants to act on, unless it was begun before it was."""

    event: "Admitted"

    @property
    def origin(self) -> Origin:
        """Where the event comes from."""
        return self.event.origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The event leads to a lookup of its customer."""

    origin: Origin
    event_name: str
    identifier: Identifier
    happened: datetime
    marks: Marks = ()
    key_hashes: KeyHashes | None = None
    """Of the record's key, None of a null key."""
    others: tuple[Identifier, ...] = ()
    """Further names of the customer, by which it is looked for when it was merged into another."""
    told: Told | None = None
    """What the event tells beside what it leads to."""


Admission = PassOver | Unusable | Told | TooOld | Admitted


def admit(record: Record, rules: Rules, now: datetime, learnt_org: int | None = None) -> Admission:
    """Decide what a record of the activity topic is good for. Any bytes lead to an answer.

    `learnt_org` is the organisation that earlier events named, if the settings name none.
    """
    match read_activity(record):
        case Tombstone():
            return PassOver(Origin.of_record(record), "", "tombstone")
        case Malformed(message):
            return Unusable(Origin.of_record(record), DeadLetterReason.MALFORMED_EVENT, message)
        case Activity() as activity:
            return _admit_activity(record, activity, rules, now, learnt_org)


def _admit_activity(
    record: Record, activity: Activity, rules: Rules, now: datetime, learnt_org: int | None
) -> Admission:
    """Decide by what the event says: pass it over, heed what it tells, or look its customer up."""
    identifier = strongest_identifier(activity)
    origin = _with_customer(Origin.of_activity(record, activity), identifier, rules.pii_key)
    # What names neither an event nor a customer is no event to pass over.
    is_event = activity.event_name != UNNAMED or identifier is not None
    feedback = _feedback(activity, rules)
    is_trigger = rules.acts_on(activity.event_name)
    if is_event and feedback is None and not is_trigger:
        return PassOver(origin, activity.event_name, "passed_over")
    configured = rules.policy.org_id
    ours = learnt_org if configured is None else configured
    is_ours = ours is None or activity.org_id in (None, ours)
    if is_event and not is_trigger and not is_ours:
        return PassOver(origin, activity.event_name, "other_organisation")
    if not is_ours:
        return Unusable(
            origin,
            DeadLetterReason.OTHER_ORGANISATION,
            "orgId: not the organisation that earlier events named; ENROLMENT_ORG_ID says which one is ours"
            if configured is None
            else "orgId: not the organisation that ENROLMENT_ORG_ID names",
        )
    if ours is not None:
        origin = replace(origin, org_id=ours)
    happened = happened_at(activity, record, now)
    told = None
    if feedback is not None:
        told = Told(
            origin=origin,
            event_name=activity.event_name,
            feedback=feedback,
            happened=happened,
            has_own_time=happened == activity.occurred_at,
            names=_identifiers(activity),
        )
    if told is not None and not is_trigger:
        return told
    return _admit_trigger(activity, origin, happened, told, rules, now)


def _admit_trigger(
    activity: Activity, origin: Origin, happened: datetime, told: Told | None, rules: Rules, now: datetime
) -> Unusable | TooOld | Admitted:
    """Admit an event that leads to a lookup, if it names somebody."""
    identifier = strongest_identifier(activity)
    if identifier is None:
        return Unusable(
            origin,
            DeadLetterReason.NO_IDENTIFIER,
            "customer: none of customerId, externalId, mobile, email is usable",
        )
    names = activity.customer.names
    marks = tuple((name, name_mark(activity.identity, name, value)) for name, value, *_ in names)
    event = Admitted(
        origin=origin,
        event_name=activity.event_name,
        identifier=identifier,
        happened=happened,
        marks=marks,
        others=_identifiers(activity)[1:],
        told=told,
    )
    if rules.max_event_age is not None and now - happened > rules.max_event_age:
        return TooOld(event)
    return event


def _feedback(activity: Activity, rules: Rules) -> Feedback | None:
    """Return what the event tells of promotions or its customer that is to be heard."""
    if rules.dry_run:
        return None
    is_of_customer = activity.feedback is None and activity.event_name in rules.always
    feedback = CustomerChanged() if is_of_customer else activity.feedback
    is_forgetting = isinstance(feedback, CustomerChanged | CustomersMerged)
    if is_forgetting and not rules.trust.is_on and activity.event_name != FORGET_EVENT:
        # Nothing is known but what was before the trust was switched off; an operator may mean that.
        return None
    return feedback


def happened_at(activity: Activity, record: Record, now: datetime) -> datetime:
    """Return the event's own time, else its record's; one that is far ahead only for want of another."""
    return time_of(activity.occurred_at, record, now)


def time_of(own: datetime | None, record: Record, now: datetime) -> datetime:
    """Return an event's own time, if it tells a likely one, else its record's."""
    if own is not None and (own - now <= _ZONES_APART or record.timestamp_ms <= 0):
        return own
    return record.timestamp


def _with_customer(origin: Origin, identifier: Identifier | None, pii_key: bytes | None) -> Origin:
    """Name the customer as far as the event alone tells: by the id, else by the keyed hash of the name."""
    if identifier is None:
        return origin
    if identifier.name is IdentifierName.CUSTOMER_ID:
        return replace(origin, customer_id=int(identifier.value))
    return (
        origin if pii_key is None else replace(origin, customer_ref=customer_reference(identifier, pii_key))
    )


def strongest_identifier(activity: Activity) -> Identifier | None:
    """Return the name to look the customer up by: customerId first, then externalId, mobile, email."""
    return next(iter(_identifiers(activity)), None)


def _identifiers(activity: Activity) -> tuple[Identifier, ...]:
    return tuple(
        Identifier(_NAMES[each.kind], each.value, each.source, each.account)
        for each in activity.customer.names
    )


def lane_of(record: Record) -> bytes:
    """Return what keeps a customer's records in order: their key, else the customer's strongest name."""
    if record.key is not None:
        return record.key
    reading = read_activity(record)
    identifier = strongest_identifier(reading) if isinstance(reading, Activity) else None
    return f"{identifier.name}:{identifier.value}".encode() if identifier else str(record.position).encode()
