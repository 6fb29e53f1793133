"""Who is told of calls that fail."""

from typing import Protocol

from worker.domain.answers import Fault, Refused


class CallTracker(Protocol):
    """Told of calls to the API that are repeated or wait, for metrics and logs."""

    def waiting(self, endpoint: str, fault: Fault | Refused, attempt: int, seconds: float) -> None:
        """Note that a call failed and is repeated after so many seconds."""
        ...

    def outage(self, call: str, *, is_open: bool, fault: Fault | Refused | None) -> None:
        """Note that the API is taken for down, or still is, and by what last fault; or that it is back."""
        ...
