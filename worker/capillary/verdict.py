"""Judges the API's answers: status, headers and body in, a typed answer out. Pure.

The body decides when it speaks the API's language, the status when it does not; 401, 403 and 429 decide
before what a body says, but for "try after some time" and for what an enrolment's body says was applied.

An enrolment's answer says that nothing was applied only in the API's own words: an error, or a warning and
no side effect. Every other answer leaves open what became of the request, whatever its status says.
"""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import assert_never

from worker.capillary import codes
from worker.capillary.catalogue_wire import ListPage, read_list_page, read_status
from worker.capillary.reply import (
    Reply,
    busy,
    doubt_of,
    is_believed,
    judged_at_once,
    judged_at_the_door,
    judged_by_status,
    leaves_open,
    notices_of,
    part_of,
    refusal,
    tells_of_a_merge,
    told,
)
from worker.capillary.wire import (
    Json,
    Page,
    TokenGrant,
    parse_object,
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
    Traced,
    Unsent,
)
from worker.domain.settlement import LIMIT_WARNING
from worker.telemetry.redaction import Redact, redactor

PageAnswer = Page | CustomerNotFound | Refused | Fault
TokenAnswer = TokenGrant | Fault


@dataclass(frozen=True, slots=True)
class Answered(Traced):
    """The server said something of its own, whatever it was."""


PresenceAnswer = Answered | Fault
ListAnswer = ListPage | Fault
Answer = PageAnswer | IssueAnswer | TokenAnswer | PresenceAnswer | ListAnswer

_ABSENCE = (FaultKind.TIMEOUT, FaultKind.SERVER_ERROR)


def judge_page(reply: Reply, now: datetime, redact: Redact, customer_id: int | None = None) -> PageAnswer:  # noqa: PLR0911 - one for each kind of answer
    """Judge the answer to a lookup's request for one page; asked for by id, another customer is no answer."""
    body = parse_object(reply.body)
    if (decided := judged_at_once(reply, body, now)) is not None:
        return decided
    errors = notices_of(body, "errors", redact)
    said = {error.code for error in errors}
    if said & codes.MISCONFIGURED_LOOKUP:
        return Misconfigured(told(errors))
    if said & codes.NOT_FOUND_IN_LOOKUP:
        return CustomerNotFound(errors)
    if errors and is_believed(reply, errors):
        return refusal(errors, body)
    page = None if body is None or leaves_open(reply) else read_page(body, reply.request_id)
    if page is None:
        return judged_by_status(reply)
    if customer_id not in (None, page.customer_id) and not tells_of_a_merge(body):
        return Doubtful(FaultKind.MALFORMED, "a lookup's answer names another customer than was asked for")
    return page


def judge_issue(  # noqa: PLR0911 - one for each kind of answer
    reply: Reply, now: datetime, redact: Redact, *, program_id: int, promotion_id: int
) -> IssueAnswer:
    """Judge the answer to an issue of the given promotion. A side effect wins over all else."""
    body = parse_object(reply.body)
    applied = part_of(body, "sideEffects")
    warnings = notices_of(body, "warnings", redact)
    for effect in read_side_effects(applied):
        if effect.promotion_id == promotion_id and effect.program_id in (None, program_id):
            return Issued(effect.issual_id, warnings)
    if applied:
        return Doubtful(FaultKind.MALFORMED, "side effects, and none names the promotion asked for")
    if (decided := judged_at_once(reply, body, now)) is not None:
        return _open(decided)
    errors = notices_of(body, "errors", redact)
    said = {error.code for error in errors}
    if said & codes.MISCONFIGURED:
        return Misconfigured(told(errors))
    if codes.CUSTOMER_NOT_FOUND in said:
        return CustomerNotFound(errors)
    if errors and is_believed(reply, errors):
        return NotIssued(errors) if said == {LIMIT_WARNING} else refusal(errors, body)
    if warnings and not errors and is_believed(reply, warnings):
        return NotIssued(warnings)
    return _open(judged_by_status(reply))


def _open(verdict: Fault | Refused) -> Fault:
    """Leave open what became of an enrolment that was not answered in the API's own words.

    A portal, a firewall or a server error page may answer for a request that was carried out.
    """
    match verdict:
        case Misconfigured(detail):
            return Doubtful(FaultKind.MISCONFIGURED, detail)
        case Refused(errors):
            return Doubtful(FaultKind.UNPROCESSABLE, told(errors))
        case Unsent(kind, detail) if kind is not FaultKind.BUSY:
            return Doubtful(kind, detail)
        case Throttled(retry_after):
            return Throttled(retry_after, may_be_applied=True)
        case Unsent() | Doubtful():
            return verdict


def judge_token(reply: Reply, now: datetime, redact: Redact) -> TokenAnswer:
    """Judge the answer of the token endpoint. Without a token the actual request was not sent: no doubt."""
    body = parse_object(reply.body)
    if (at_the_door := judged_at_the_door(reply, now)) is not None:
        return at_the_door
    if body is not None and reply.status < HTTPStatus.MULTIPLE_CHOICES and busy(body) is None:
        token = read_token(body)
        if token:
            return token
        errors = notices_of(body, "errors", redact)
        if errors:
            return Misconfigured(f"no token: {told(errors)}")
    match busy(body) or judged_by_status(reply):
        case Doubtful(kind, detail) | Unsent(kind, detail):
            return Unsent(kind, f"no token: {detail}")
        case Refused(errors):
            return Misconfigured(f"no token: {told(errors)}")
        case Misconfigured(detail):
            return Misconfigured(f"no token: {detail}")
        case unreachable:
            assert_never(unreachable)


def judge_presence(reply: Reply, now: datetime) -> PresenceAnswer:
    """Judge by the status alone whether a server is at work behind it: 408, 425, 429 and 5xx say no."""
    decided = judged_at_the_door(reply, now)
    if decided:
        return decided
    if reply.status == HTTPStatus.TOO_EARLY:
        return Unsent(FaultKind.TOO_EARLY, f"HTTP {reply.status}")
    doubt = doubt_of(reply.status)
    return Doubtful(doubt, f"HTTP {reply.status}") if doubt in _ABSENCE else Answered()


def judge_list(reply: Reply, now: datetime) -> ListAnswer:
    """Judge the answer to a request for a page of the promotion list; its errors are our configuration's.

    The list's own `status` and `validationErrors` count as errors, too; its page shows no sample of one.
    """
    body = parse_object(reply.body)
    if (waits := busy(body)) is not None:
        return waits
    present = judge_presence(reply, now)
    if not isinstance(present, Answered):
        return present
    refused = _refused_list(body or {})
    if refused:
        return Misconfigured(refused)
    page = None if body is None or reply.status >= HTTPStatus.MULTIPLE_CHOICES else read_list_page(body)
    if page:
        return page
    match judged_by_status(reply):
        case Refused(errors):
            return Misconfigured(told(errors))
        case fault:
            return fault


def _refused_list(body: Json) -> str | None:
    redact = redactor()
    errors = notices_of(body, "errors", redact)
    if errors:
        return told(errors)
    status = read_status(body)
    if status and not HTTPStatus.OK <= status[0] < HTTPStatus.MULTIPLE_CHOICES:
        return told([Notice(status[0], redact(status[1]))])
    return "the list's request has validation errors" if body.get("validationErrors") else None
