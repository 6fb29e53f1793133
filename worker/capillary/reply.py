"""An answer as it is whatever was asked: its status, and a body in the API's language. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from worker.capillary import codes
from worker.capillary.catalogue_wire import read_status
from worker.capillary.retry_after import retry_after
from worker.capillary.wire import Json, cut, read_notices, read_survivor
from worker.domain.answers import (
    UNPROCESSABLE,
    Doubtful,
    FaultKind,
    Misconfigured,
    Notice,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.faults import MERGED_CODES, is_merged
from worker.telemetry.redaction import Redact

_LEAVES_OPEN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})

_OF_CREDENTIALS: Final = re.compile(
    r"\b(unauthori[sz]ed|authentication|credentials?|session (has )?expired"
    r"|(access|auth|oauth|bearer|expired|invalid|revoked|missing) (\w+ )?token"
    r"|token\b.{0,40}\b(expired|invalid|revoked|missing|not valid))\b",
    re.IGNORECASE,
)
_REFUSED_CREDENTIALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""Statuses, and codes of an error body, that refuse credentials."""
_OF_AUTHORISATION: Final = re.compile(rb"authori[sz]ation", re.IGNORECASE)
_NO_AUTHORISATION: Final = (
    "HTTP 503 about authorization: an outage of the API, "
    "or the access group of the API user lacks the endpoint"
)
_READ_OF_A_503: Final = 4096

_REQUEST_ID: Final = "x-cap-request-id"
_LONGEST_REQUEST_ID: Final = 128
_TELLABLE: Final = re.compile(rf"(?!\+?\d{{8,15}}\Z)[A-Za-z0-9._:/+=~-]{{1,{_LONGEST_REQUEST_ID}}}")
"""What may be told as it came: not endless, no blanks or controls, no telephone number or e-mail address."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer whose body was read within its bounds, or could not be (`flaw` says why, body empty)."""

    status: int
    headers: Mapping[str, str]
    """Looks names up in any case."""
    body: bytes
    flaw: str | None = None

    @property
    def request_id(self) -> str | None:
        """What Capillary traces the request by; None if the answer tells nothing that is fit to be told.

        A proxy may have joined several headers into one: the first of them counts.
        """
        told = self.headers.get(_REQUEST_ID)
        found = told and _TELLABLE.fullmatch(told.partition(",")[0].strip())
        return found[0] if found else None


def judged_at_once(
    reply: Reply, body: Json | None, now: datetime
) -> Throttled | Unsent | Misconfigured | None:
    """Judge what is the same for every endpoint, and goes before all else that a body may say."""
    at_the_door = judged_at_the_door(reply, now)
    if isinstance(at_the_door, Throttled):
        return at_the_door
    return busy(body) or at_the_door or _credentials_refused(reply, body)


def judged_at_the_door(reply: Reply, now: datetime) -> Throttled | Misconfigured | None:
    """Judge by the statuses of those who stand in front of the application, None for any other."""
    if reply.status in _REFUSED_CREDENTIALS:
        return Misconfigured(f"HTTP {reply.status}: the credentials are refused")
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(retry_after(reply.headers, now))
    return None


def busy(body: Json | None) -> Unsent | None:
    """Read "try after some time", as an error, as a warning, or as the body's own status."""
    said = {notice.code for name in ("errors", "warnings") for notice in read_notices(part_of(body, name))}
    status = read_status(body or {})
    found = sorted((said | ({status[0]} if status else set())) & codes.BUSY)
    return Unsent(FaultKind.BUSY, f"busy: {found[0]}, try after some time") if found else None


def _credentials_refused(reply: Reply, body: Json | None) -> Misconfigured | None:
    """Read an error that no page lists and that speaks of credentials: perhaps a token's end."""
    errors = read_notices(part_of(body, "errors"))
    if leaves_open(reply) or any(error.code in codes.KNOWN for error in errors):
        return None
    for error in errors:
        if error.code in _REFUSED_CREDENTIALS or _OF_CREDENTIALS.search(error.message or ""):
            return Misconfigured(f"error {error.code}: the credentials are refused")
    return None


def refusal(errors: tuple[Notice, ...], body: Json | None) -> Refused:
    """Return the final answer, with whom a merged customer was merged into, if the body tells."""
    refused = Refused(errors)
    return Refused(errors, survivor_id=read_survivor(body or {})) if is_merged(refused) else refused


def tells_of_a_merge(body: Json | None) -> bool:
    """Whether a warning says that the customer asked for is another by now."""
    return any(notice.code in MERGED_CODES for notice in read_notices(part_of(body, "warnings")))


def leaves_open(reply: Reply) -> bool:
    """Whether the status says nothing of what was done, whoever speaks."""
    is_redirect = HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST
    return is_redirect or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in _LEAVES_OPEN


def is_believed(reply: Reply, notices: Iterable[Notice]) -> bool:
    """Whether the codes are the API's word: a gateway may wrap its outage in an error body."""
    return not leaves_open(reply) or any(notice.code in codes.KNOWN for notice in notices)


def judged_by_status(reply: Reply) -> Unsent | Doubtful | Misconfigured | Refused:
    """Judge by the status alone."""
    said = f"HTTP {reply.status}" + (f", {reply.flaw}" if reply.flaw else "")
    if reply.status == HTTPStatus.TOO_EARLY:
        return Unsent(FaultKind.TOO_EARLY, said)
    if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return Refused((UNPROCESSABLE,))
    if reply.status == HTTPStatus.SERVICE_UNAVAILABLE and _OF_AUTHORISATION.search(
        reply.body[:_READ_OF_A_503]
    ):
        return Doubtful(FaultKind.SERVER_ERROR, _NO_AUTHORISATION)
    doubt = doubt_of(reply.status)
    if doubt:
        return Doubtful(doubt, f"{said}, no usable body" if doubt is FaultKind.MALFORMED else said)
    if reply.status >= HTTPStatus.BAD_REQUEST:
        return Misconfigured(f"{said} without an error of the API")
    return Misconfigured(f"{said}: redirects are not followed")


def doubt_of(status: int) -> FaultKind | None:
    """Return what a status leaves in doubt, None if the request was refused."""
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


def part_of(body: Json | None, name: str) -> object:
    """Return a field of the body, None if there is none."""
    return None if body is None else body.get(name)


def notices_of(body: Json | None, name: str, redact: Redact) -> tuple[Notice, ...]:
    """Read `errors` or `warnings`, fit for outcomes."""
    notices = read_notices(part_of(body, name))
    return tuple(Notice(notice.code, redact(notice.message or "")) for notice in notices)


def told(notices: Iterable[Notice]) -> str:
    """Return codes and messages as one text, for logs."""
    return cut(", ".join(f"{notice.code} {notice.message}".strip() for notice in notices))
