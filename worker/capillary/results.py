"""The names of the API's answers in metrics and spans."""

from typing import Literal, assert_never

from worker.capillary.catalogue_wire import ListPage
from worker.capillary.verdict import Answer, Answered
from worker.capillary.wire import Page, TokenGrant
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    Issued,
    Misconfigured,
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)

Result = Literal[
    "found",
    "issued",
    "not_issued",
    "customer_not_found",
    "refused",
    "token",
    "answered",
    "throttled",
    "misconfigured",
    "not_connected",
    "timeout",
    "disconnected",
    "server_error",
    "malformed",
    "in_progress",
    "too_early",
    "unprocessable",
    "busy",
    "internal",
    "withheld",
]


def result_of(answer: Answer) -> Result:  # noqa: C901 - a case for each answer
    """Return the answer's name for metrics and spans."""
    result: Result
    match answer:
        case Page() | ListPage():
            result = "found"
        case TokenGrant():
            result = "token"
        case Answered():
            result = "answered"
        case Issued():
            result = "issued"
        case NotIssued():
            result = "not_issued"
        case CustomerNotFound():
            result = "customer_not_found"
        case Refused():
            result = "refused"
        case Throttled():
            result = "throttled"
        case Misconfigured():
            result = "misconfigured"
        case Unsent(kind) | Doubtful(kind):
            result = kind.value
        case unreachable:
            assert_never(unreachable)
    return result
