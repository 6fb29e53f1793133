"""What an API call can come to: closed unions that the use case matches exhaustively.

The rules are those of the API's pages: a body that speaks the API's language decides, the HTTP status
only where there is none, except for the statuses of authentication (401, 403) and throttling (429).
"""

from dataclasses import dataclass
from enum import StrEnum

from worker.domain.catalogue import ListedPromotion
from worker.domain.promotions import CustomerPromotions


@dataclass(frozen=True, slots=True)
class Notice:
    """A code and its message, out of `warnings` or `errors`; no identifier's value is in the message."""

    code: int
    message: str


class FaultKind(StrEnum):
    """Why a call brought no answer that can be used; bounded, so that it serves as a metric's label."""

    NOT_CONNECTED = "not_connected"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    SERVER_ERROR = "server_error"
    MALFORMED = "malformed"
    IN_PROGRESS = "in_progress"
    TOO_EARLY = "too_early"
    WITHHELD = "withheld"
    """By ourselves, at the last moment: the partition may be another member's."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """Nothing of the request reached the server, or the server says it did nothing: safe to repeat."""

    kind: FaultKind
    detail: str


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The request was sent and its effect is unknown (time-out, reset, 5xx, malformed body, 408, 409)."""

    kind: FaultKind
    detail: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """429: nothing was done. `retry_after` is in seconds, None where the server did not say."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Our configuration is at fault, not the event: 401, 403, 310144, a redirect, a 4xx of a proxy."""

    detail: str


Fault = Unsent | Doubtful | Throttled | Misconfigured


@dataclass(frozen=True, slots=True)
class Found:
    """The lookup's answer, all pages of it."""

    customer: CustomerPromotions


@dataclass(frozen=True, slots=True)
class CustomerNotFound:
    """8015: the API knows no customer under this identifier."""

    errors: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A final error of the API (any code of its own but 8015 and 310144, known or not; 422)."""

    errors: tuple[Notice, ...]
    unsent: bool = False
    """By ourselves: the API was not asked, and nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Issued:
    """The enrolment was applied: the answer has a side effect."""

    issual_id: int | None
    warnings: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class NotIssued:
    """A warning and no side effect, chiefly 8890: not issued, for configuration or exhausted limits."""

    warnings: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class CatalogueRead:
    """The organisation's list of live promotions, complete."""

    promotions: tuple[ListedPromotion, ...]


LookupAnswer = Found | CustomerNotFound | Refused | Fault
IssueAnswer = Issued | NotIssued | CustomerNotFound | Refused | Fault
CatalogueAnswer = CatalogueRead | Fault
