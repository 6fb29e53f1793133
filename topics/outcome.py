"""The outcome topic: what an event led to, one record per promotion or one for the event.

Fields and words are fixed by the contract with downstream teams; absent fields are left out.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from topics.record import Headers
from topics.times import written

LARGEST_OUTCOME_BYTES: Final = 256 * 1024
"""Room for any outcome record, with as many and as long messages of the API as it may tell."""


class OutcomeName(StrEnum):
    """What became of an event, or of one promotion of it."""

    ENROLLED = "ENROLLED"
    ALREADY_ENROLLED = "ALREADY_ENROLLED"
    LIMIT_EXHAUSTED = "LIMIT_EXHAUSTED"
    NO_PROMOTION_AVAILABLE = "NO_PROMOTION_AVAILABLE"
    CUSTOMER_NOT_FOUND = "CUSTOMER_NOT_FOUND"
    REJECTED = "REJECTED"
    WOULD_ENROL = "WOULD_ENROL"
    DEFERRED = "DEFERRED"
    DEAD_LETTERED = "DEAD_LETTERED"


Severity = Literal["info", "warning", "error"]

SEVERITY: Final[dict[OutcomeName, Severity]] = {
    OutcomeName.ENROLLED: "info",
    OutcomeName.ALREADY_ENROLLED: "info",
    OutcomeName.LIMIT_EXHAUSTED: "warning",
    OutcomeName.NO_PROMOTION_AVAILABLE: "info",
    OutcomeName.CUSTOMER_NOT_FOUND: "warning",
    OutcomeName.REJECTED: "error",
    OutcomeName.WOULD_ENROL: "info",
    OutcomeName.DEFERRED: "warning",
    OutcomeName.DEAD_LETTERED: "error",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class CodeAndMessage(_Part):
    """A warning or an error as the API worded it."""

    code: int
    message: str


class RestrictionUsed(_Part):
    """The restriction that is used up; figures as the API gave them."""

    kpi: str
    limit_on: str
    max_limit: int | float
    current_customer_usage: int | float


class ActivityReference(_Part):
    """The original record of the event, even if a retry led to the outcome."""

    event_id: str
    event_name: str | None = None
    occurred_at: datetime | None = None
    topic: str
    partition: int
    offset: int


class Outcome(_Part):
    """The value of an outcome record."""

    outcome_id: str
    outcome: OutcomeName
    severity: Severity
    reason: str | None = None
    org_id: int | None = None
    customer_id: int | None = None
    customer_ref: str | None = None
    program_id: int | None = None
    promotion_id: int | None = None
    promotion_name: str | None = None
    issual_id: int | None = None
    enrollment_id: int | None = None
    idempotency_key: str | None = None
    attempts: int | None = None
    reconciled: bool | None = None
    cached: bool | None = None
    warnings: tuple[CodeAndMessage, ...] | None = None
    errors: tuple[CodeAndMessage, ...] | None = None
    restriction: RestrictionUsed | None = None
    activity: ActivityReference
    api_request_id: str | None = None
    occurred_at: datetime

    def to_json(self) -> bytes:
        """Return the record's value: JSON, absent fields left out, times RFC 3339."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


def event_type(outcome: OutcomeName) -> str:
    """Return the CloudEvents type of an outcome's record."""
    return f"enrolment.{outcome.value.lower().replace('_', '-')}.v1"


def outcome_headers(outcome: Outcome, source: str) -> Headers:
    """Return the CloudEvents 1.0 binary-mode headers of the record (Kafka protocol binding, section 3.2).

    `source` is the CloudEvents source, a URI reference naming the worker's consumer group.
    """
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", outcome.outcome_id),
        ("ce_source", source),
        ("ce_type", event_type(outcome.outcome)),
        ("ce_time", written(outcome.occurred_at)),
        ("content-type", "application/json"),
    ]
    if outcome.customer_id is not None:
        headers.append(("ce_subject", str(outcome.customer_id)))
    return tuple((name, value.encode()) for name, value in headers)
