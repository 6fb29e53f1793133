"""A record as it is handed to the handler, with what may still be done for it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from topics.record import Record
from worker.enrolment.lease import Lease


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record of the activity topic or of a retry topic, under one assignment of its partition."""

    record: Record = field(repr=False)
    lease: Lease
    taken_at: float | None = None
    """When it was taken, on the timer; None if nobody noted it."""
    is_waited_for: Callable[[], bool] = field(default=lambda: False, repr=False)
    """Whether a live event waits behind it, in its lane."""
