"""Judges the API's answers: status, headers and body in, a typed answer out. Pure.

The body decides where it speaks the API's language, the status where it does not; 401, 403 and 429 decide
always. The order of the checks is the order of the rules in `worker.domain.answers`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import assert_never

from worker.capillary.catalogue_wire import ListPage, read_list_page, read_status
from worker.capillary.retry_after import retry_after
from worker.capillary.wire import (
    Json,
    Page,
    TokenGrant,
    WireNotice,
    cut,
    parse_object,
    read_notices,
    read_page,
    read_side_effects,
    read_token,
)
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    Fault,
    FaultKind,
    IssueAnswer,
    Issued,
    Misconfigured,
    Notice,
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)
from worker.telemetry.redaction import Redact, redactor

CUSTOMER_NOT_FOUND = 8015
CONNECTED_ORGS_NOT_SET = 310144
NOT_ISSUED = 8890
KNOWN_CODES = frozenset(
    {CUSTOMER_NOT_FOUND, CONNECTED_ORGS_NOT_SET, NOT_ISSUED, 8013, 8003, 11013, 1212, 8874, 1101}
    | {4054, 4053, 4057, 2010}
)
"""Codes of the API's pages. Behind a status that leaves the effect open only these are believed: a gateway
may wrap its outage in an error body."""

PageAnswer = Page | CustomerNotFound | Refused | Fault
TokenAnswer = TokenGrant | Fault


@dataclass(frozen=True, slots=True)
class Answered:
    """The server said something of its own, whatever it was."""


PresenceAnswer = Answered | Fault
ListAnswer = ListPage | Fault
Answer = PageAnswer | IssueAnswer | TokenAnswer | PresenceAnswer | ListAnswer

_ABSENCE = (FaultKind.TIMEOUT, FaultKind.SERVER_ERROR)
_LEAVES_OPEN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer whose body was read within its bounds, or could not be (`flaw` says why, body empty)."""

    status: int
    headers: Mapping[str, str]
    """Looks names up in any case."""
    body: bytes
    flaw: str | None = None


def judge_page(reply: Reply, now: datetime, redact: Redact) -> PageAnswer:
    """Judge the answer to a lookup's request for one page."""
    body = parse_object(reply.body)
    decided = _decided_by_status(reply, now) or _decided_by_errors(reply, body, redact)
    if decided:
        return decided
    page = None if body is None or _leaves_open(reply) else read_page(body)
    return page or _undecided(reply)


def judge_issue(
    reply: Reply, now: datetime, redact: Redact, *, program_id: int, promotion_id: int
) -> IssueAnswer:
    """Judge the answer to an issue of the given promotion. A side effect wins over errors: it was applied."""
    decided = _decided_by_status(reply, now)
    if decided:
        return decided
    body = parse_object(reply.body)
    effects = read_side_effects(_part(body, "sideEffects"))
    warnings = _notices(read_notices(_part(body, "warnings")), redact)
    if effects:
        ours = (e for e in effects if (e.program_id, e.promotion_id) == (program_id, promotion_id))
        return Issued(next(ours, effects[0]).issual_id, warnings)
    refused = _decided_by_errors(reply, body, redact)
    if isinstance(refused, Refused) and all(error.code == NOT_ISSUED for error in refused.errors):
        return NotIssued(refused.errors)
    if refused:
        return refused
    if warnings and _believed(reply, warnings):
        return NotIssued(warnings)
    return _undecided(reply)


def judge_token(reply: Reply, now: datetime, redact: Redact) -> TokenAnswer:
    """Judge the answer of the token endpoint. Without a token the actual request was not sent: no doubt."""
    decided = _decided_by_status(reply, now)
    if decided:
        return decided
    body = parse_object(reply.body)
    if body is not None and reply.status < HTTPStatus.MULTIPLE_CHOICES:
        token = read_token(body)
        if token:
            return token
        errors = _notices(read_notices(body.get("errors")), redact)
        if errors:
            return Misconfigured(f"no token: {_text(errors)}")
    match _undecided(reply):
        case Doubtful(kind, detail) | Unsent(kind, detail):
            return Unsent(kind, f"no token: {detail}")
        case Refused(errors):
            return Misconfigured(f"no token: {_text(errors)}")
        case Misconfigured(detail):
            return Misconfigured(f"no token: {detail}")
        case unreachable:
            assert_never(unreachable)


def judge_presence(reply: Reply, now: datetime) -> PresenceAnswer:
    """Judge by the status alone whether a server is at work behind it: 408, 425, 429 and 5xx say no."""
    decided = _decided_by_status(reply, now)
    if decided:
        return decided
    if reply.status == HTTPStatus.TOO_EARLY:
        return Unsent(FaultKind.TOO_EARLY, f"HTTP {reply.status}")
    doubt = _doubt(reply.status)
    return Doubtful(doubt, f"HTTP {reply.status}") if doubt in _ABSENCE else Answered()


def judge_list(reply: Reply, now: datetime) -> ListAnswer:
    """Judge the answer to a request for a page of the promotion list; its errors are our configuration's.

    The list's own `status` and `validationErrors` count as errors, too; its page shows no sample of one.
    """
    present = judge_presence(reply, now)
    if not isinstance(present, Answered):
        return present
    body = parse_object(reply.body)
    refused = _refused_list(body or {})
    if refused:
        return Misconfigured(refused)
    page = None if body is None or reply.status >= HTTPStatus.MULTIPLE_CHOICES else read_list_page(body)
    if page:
        return page
    match _undecided(reply):
        case Refused(errors):
            return Misconfigured(_text(errors))
        case fault:
            return fault


def _refused_list(body: Json) -> str | None:
    redact = redactor()
    errors = _notices(read_notices(body.get("errors")), redact)
    if errors:
        return _text(errors)
    status = read_status(body)
    if status and not HTTPStatus.OK <= status[0] < HTTPStatus.MULTIPLE_CHOICES:
        return _text([Notice(status[0], redact(status[1]))])
    return "the list's request has validation errors" if body.get("validationErrors") else None


def _decided_by_status(reply: Reply, now: datetime) -> Throttled | Misconfigured | None:
    match reply.status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled(retry_after(reply.headers, now))
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Misconfigured(f"HTTP {reply.status}: the credentials are refused")
        case _:
            return None


def _decided_by_errors(
    reply: Reply, body: Json | None, redact: Redact
) -> CustomerNotFound | Refused | Misconfigured | None:
    errors = _notices(read_notices(_part(body, "errors")), redact)
    codes = {error.code for error in errors}
    if CONNECTED_ORGS_NOT_SET in codes:
        return Misconfigured(_text(errors))
    if CUSTOMER_NOT_FOUND in codes:
        return CustomerNotFound(errors)
    return Refused(errors) if errors and _believed(reply, errors) else None


def _leaves_open(reply: Reply) -> bool:
    return reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in _LEAVES_OPEN


def _believed(reply: Reply, notices: Iterable[Notice]) -> bool:
    return not _leaves_open(reply) or any(notice.code in KNOWN_CODES for notice in notices)


def _undecided(reply: Reply) -> Unsent | Doubtful | Misconfigured | Refused:
    """Judge by the status alone."""
    said = f"HTTP {reply.status}" + (f", {reply.flaw}" if reply.flaw else "")
    if reply.status == HTTPStatus.TOO_EARLY:
        return Unsent(FaultKind.TOO_EARLY, said)
    if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return Refused((Notice(reply.status, "HTTP 422 without an error of the API"),))
    doubt = _doubt(reply.status)
    if doubt:
        return Doubtful(doubt, f"{said}, no usable body" if doubt is FaultKind.MALFORMED else said)
    if reply.status >= HTTPStatus.BAD_REQUEST:
        return Misconfigured(f"{said} without an error of the API")
    return Misconfigured(f"{said}: redirects are not followed")


def _doubt(status: int) -> FaultKind | None:
    match status:
        case HTTPStatus.REQUEST_TIMEOUT:
            return FaultKind.TIMEOUT
        case HTTPStatus.CONFLICT:
            return FaultKind.IN_PROGRESS
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return FaultKind.SERVER_ERROR
        case _ if status < HTTPStatus.MULTIPLE_CHOICES:
            return FaultKind.MALFORMED
        case _:
            return None


def _part(body: Json | None, name: str) -> object:
    return None if body is None else body.get(name)


def _notices(notices: Iterable[WireNotice], redact: Redact) -> tuple[Notice, ...]:
    return tuple(Notice(notice.code, redact(notice.message or "")) for notice in notices)


def _text(notices: Iterable[Notice]) -> str:
    return cut(", ".join(f"{notice.code} {notice.message}".strip() for notice in notices))
