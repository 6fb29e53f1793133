"""The events of a run, and how what came of one is traced back to it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fed:
    """An event: its number from 0, in the order of its key, and whom it is about."""

    number: int
    customer_id: int

    @property
    def event_id(self) -> str:
        """Its identity."""
        return f"event-{self.number}"

    @property
    def traceparent(self) -> str:
        """The trace context of its record; requests carry the trace's id, which tells the event."""
        return f"00-{self.number + 1:032x}-{self.number + 1:016x}-01"


def number_of(traceparent: str) -> int:
    """Return the event's number by the context that a request carries."""
    return int(traceparent.split("-")[1], 16) - 1
