"""What the client tells of each HTTP request, for metrics."""

from enum import StrEnum
from typing import Protocol


class Endpoint(StrEnum):
    """The endpoints that the worker calls; bounded, so that it serves as a metric's label."""

    LOOKUP = "lookup"
    ISSUE = "issue"
    CATALOGUE = "catalogue"
    TOKEN = "token"  # noqa: S105 - the endpoint's name


class RequestObserver(Protocol):
    """Hears of every HTTP request that came to an end; called on the event loop, must not block."""

    def request_finished(self, endpoint: str, result: str, seconds: float) -> None:
        """One request ended.

        `endpoint` is one of `Endpoint`; `result` is one of `worker.capillary.verdict.Result`, e.g. `issued`,
        `throttled`, `timeout`; `seconds` includes the wait for a connection.
        """
        ...


class NoObserver:
    """Listens to nothing."""

    def request_finished(self, endpoint: str, result: str, seconds: float) -> None:
        """Do nothing."""
