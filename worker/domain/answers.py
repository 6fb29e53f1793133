"""The answers of an API call: closed unions that the use case matches exhaustively.

The rules are those of the API's pages: a body that speaks the API's language decides, the HTTP status
only if there is none, except for the statuses of authentication (401, 403) and throttling (429).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from worker.domain.catalogue import ListedPromotion
from worker.domain.promotions import CustomerPromotions


@dataclass(frozen=True, slots=True)
class Notice:
    """A code and its message, out of `warnings` or `errors`; no identifier's value is in the message."""

    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What every answer has, whatever it says; two that say the same are equal."""

    request_id: str | None = field(default=None, compare=False)
    """What Capillary traces the request by, fit for logs; None if nobody answered, or did not tell."""


UNPROCESSABLE: Final = Notice(422, "HTTP 422 without an error of the API")


class FaultKind(StrEnum):
    """Why a call brought no answer that can be used; bounded, so that it serves as a metric's label."""

    NOT_CONNECTED = "not_connected"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    SERVER_ERROR = "server_error"
    MALFORMED = "malformed"
    IN_PROGRESS = "in_progress"
    TOO_EARLY = "too_early"
    MISCONFIGURED = "misconfigured"
    """Refused in front of the API, as `Misconfigured`; but what was refused may have been applied before."""
    UNPROCESSABLE = "unprocessable"
    """A 422 without an error of the API."""
    BUSY = "busy"
    """521, 461: "try after some time"."""
    INTERNAL = "internal"
    """A fault of our own code that talks to the API."""
    WITHHELD = "withheld"
    """By ourselves, at the last moment: the partition may be another member's."""


@dataclass(frozen=True, slots=True)
class Unsent(Traced):
    """Nothing of the request reached the server, or the server says it did nothing: safe to repeat."""

    kind: FaultKind
    detail: str


@dataclass(frozen=True, slots=True)
class Doubtful(Traced):
    """The request was sent and its effect is unknown.

    Of an enrolment that is every answer but one in the API's own words: whoever refuses a request in front of
    the API, or behind it, need not know what became of it.
    """

    kind: FaultKind
    detail: str


@dataclass(frozen=True, slots=True)
class Throttled(Traced):
    """429. `retry_after` is in seconds, None if the server did not say."""

    retry_after: float | None
    may_be_applied: bool = False
    """The request was an enrolment: whoever counts requests need not know what became of it."""


@dataclass(frozen=True, slots=True)
class Misconfigured(Traced):
    """Our configuration is at fault, not the event, and nothing was done.

    310144, and of a reading: 401, 403, a redirect, a 4xx of a proxy, a `limit` that the API does not take.
    """

    detail: str


Fault = Unsent | Doubtful | Throttled | Misconfigured
LeftOpen = Doubtful | Throttled
"""What an answer to an enrolment may be that does not say what became of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """The lookup's answer, all pages of it."""

    customer: CustomerPromotions


@dataclass(frozen=True, slots=True)
class CustomerNotFound(Traced):
    """8015, of a lookup also 8065, 8089, 8121: the API knows no customer under this identifier."""

    errors: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Refused(Traced):
    """A final error of the API (any code that says nothing else, known or not; a reading's 422)."""

    errors: tuple[Notice, ...]
    unsent: bool = False
    """By ourselves: the API was not asked, and nothing is known of it."""
    cached: bool = False
    """The API said so a short while ago."""
    survivor_id: int | None = None
    """The customer that this one was merged into, when the answer names it."""


@dataclass(frozen=True, slots=True)
class Issued(Traced):
    """The enrolment was applied: the answer has a side effect."""

    issual_id: int | None
    warnings: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class NotIssued(Traced):
    """A warning and no side effect, chiefly 8890: not issued, for configuration or exhausted limits."""

    warnings: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class CatalogueRead:
    """The organisation's list of live promotions, complete."""

    promotions: tuple[ListedPromotion, ...]


LookupAnswer = Found | CustomerNotFound | Refused | Fault
IssueAnswer = Issued | NotIssued | CustomerNotFound | Refused | Fault
CatalogueAnswer = CatalogueRead | Fault
