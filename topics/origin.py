"""The origin of an event, and whose it is, as its outcomes tell."""

from dataclasses import dataclass, field

from topics.activity import UNNAMED, Activity, ids_outside_value
from topics.customer_names import LONGEST
from topics.outcome import ActivityReference
from topics.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The event that outcomes answer, and what is known of its customer so far."""

    activity: ActivityReference
    org_id: int | None = None
    customer_id: int | None = None
    customer_ref: str | None = field(default=None, repr=False)
    identity: str | None = None
    """The event's identity; None in plans of earlier releases, to which it was the id that is told."""

    @classmethod
    def of_record(cls, record: Record) -> "Origin":
        """Stand for a record that could not be read."""
        at = record.position
        event_id, identity = ids_outside_value(record)
        if len(event_id) > LONGEST or len(identity) > LONGEST + 1 + len(event_id):
            event_id = identity = str(at)
        reference = ActivityReference(
            event_id=event_id, topic=at.topic, partition=at.partition, offset=at.offset
        )
        return cls(activity=reference, identity=identity)

    @classmethod
    def of_activity(cls, record: Record, activity: Activity) -> "Origin":
        """Stand for an event, before its customer was looked up."""
        at = record.position
        reference = ActivityReference(
            event_id=activity.event_id,
            event_name=None if activity.event_name == UNNAMED else activity.event_name,
            occurred_at=activity.occurred_at,
            topic=at.topic,
            partition=at.partition,
            offset=at.offset,
        )
        return cls(activity=reference, org_id=activity.org_id, identity=activity.identity)

    @property
    def event_id(self) -> str:
        """The event's identity."""
        return self.activity.event_id if self.identity is None else self.identity

    @property
    def key(self) -> bytes:
        """The outcome records' key: the customer as far as known, else the event."""
        if self.customer_id is not None:
            return str(self.customer_id).encode()
        return (self.customer_ref or self.event_id).encode()
