"""Ports of the client: who hears of each HTTP request, and who lets it leave."""

from enum import StrEnum
from typing import Protocol

from worker.domain.answers import Fault
from worker.domain.priority import Priority


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

        `endpoint` is one of `Endpoint`; `result` is one of `worker.capillary.results.Result`, e.g. `issued`,
        `throttled`, `timeout`; `seconds` includes the wait for a connection.
        """
        ...


class NoObserver:
    """Listens to nothing."""

    def request_finished(self, endpoint: str, result: str, seconds: float) -> None:
        """Do nothing."""


class OpenGate:
    """Lets every request through at once. Implements `worker.enrolment.ports.Gate`."""

    async def enter(self, priority: Priority) -> float:  # noqa: ARG002 - the port's
        """Wait for nothing."""
        return 0.0

    def leave(self, entered_at: float, fault: Fault | None = None) -> None:
        """Keep no count."""


class Gate(Protocol):
    """What each request to the API passes, so that no more leave than may."""

    async def enter(self, priority: Priority) -> float:
        """Wait for a turn, which comes by priority; return when it came, for `leave`, which must follow."""
        ...

    def leave(self, entered_at: float, fault: Fault | None = None) -> None:
        """Make room; `fault` is what the request came to, None for an answer or a request given up."""
        ...
