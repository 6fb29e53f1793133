"""Answers as values, and how each ending of a fault looks on the wire."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final, assert_never

from aiohttp import web

from worker.demo.simulator.faults import Ending, RetryAfter, TokenRefusal
from worker.demo.simulator.shapes import Json, error_answer, lookup_answer, not_issued_answer, warning_entry

if TYPE_CHECKING:
    from datetime import datetime

    from worker.demo.simulator.faults import FaultRule

_HTML: Final = "<html><head><title>{0}</title></head><body><h1>{0}</h1><hr>nginx</body></html>"
_GARBAGE: Final = '{"warnings": [], "errors": [], "sideEffects": [{"programId": 4'


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer before it is sent: JSON, or text of another content type. `result` goes into the books."""

    result: str
    body: Json | str
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        """Put the answer into aiohttp's form."""
        text = self.body if isinstance(self.body, str) else json.dumps(self.body, separators=(",", ":"))
        return web.Response(
            body=text.encode(),
            status=self.status,
            content_type=self.content_type,
            headers=self.headers,
        )


def unauthorised() -> Answer:
    """Answer 401; not in the shape of an API error."""
    return Answer(
        result="unauthorised",
        status=401,
        body={"message": "Unauthorized"},
        headers={"WWW-Authenticate": 'Basic realm="capillary"'},
    )


def token_refused(how: TokenRefusal) -> Answer:
    """Answer a token that has ended."""
    match how:
        case TokenRefusal.STATUS_401:
            return unauthorised()
        case TokenRefusal.STATUS_403:
            return replace(_html(403, "403 Forbidden"), result="unauthorised")
        case TokenRefusal.ERROR:
            body = error_answer(999, "Access token is invalid or expired", issue=False)
            return replace(_answer(body), result="unauthorised")


def throttled(now: datetime, until: datetime, style: RetryAfter) -> Answer:
    """Answer 429, with a Retry-After of whole seconds, rounded up."""
    seconds = math.ceil((until - now).total_seconds())
    headers = {}
    if style is RetryAfter.SECONDS:
        headers = {"Retry-After": str(seconds)}
    elif style is RetryAfter.DATE:
        full = until if not until.microsecond else until.replace(microsecond=0) + timedelta(seconds=1)
        headers = {"Retry-After": format_datetime(full, usegmt=True)}
    return Answer(result="throttled", status=429, body={"message": "Too Many Requests"}, headers=headers)


def problem(status: int, title: str, result: str) -> Answer:
    """Answer problem details, as the idempotency-key draft wants them."""
    return Answer(
        result=result,
        status=status,
        body={"title": title, "status": status},
        content_type="application/problem+json",
    )


def fault_answer(
    rule: FaultRule, regular: Answer, now: datetime, *, error_status: int, issue: bool
) -> Answer | None:
    """Turn the regular answer into what the fault lets the client see; None: no answer is sent."""
    seen = _seen(rule, regular, now, error_status=error_status, issue=issue)
    return None if seen is None else replace(seen, result=f"fault:{rule.name}")


def _seen(  # noqa: C901, PLR0911, PLR0912 - one flat case per ending reads best
    rule: FaultRule,
    regular: Answer,
    now: datetime,
    *,
    error_status: int,
    issue: bool,
) -> Answer | None:
    match rule.kind.ending:
        case Ending.RESET | Ending.SILENCE:
            return None
        case Ending.ANSWER:
            return regular
        case Ending.WARNED:
            body = regular.body if isinstance(regular.body, dict) else {}
            return replace(regular, body=body | {"warnings": [warning_entry(rule.code, "simulated warning")]})
        case Ending.EMPTY:
            return _answer({})
        case Ending.GARBAGE:
            return _answer(_GARBAGE)
        case Ending.API_ERROR:
            body = error_answer(rule.code, "simulated error", issue=issue)
            return _answer(body, status=error_status)
        case Ending.API_WARNING:
            nothing = not_issued_answer() if issue else lookup_answer(0, [], total=0, limit=0, offset=0)
            return _answer(nothing | {"warnings": [warning_entry(rule.code, "simulated warning")]})
        case Ending.HTML:
            return _html(rule.status, f"{rule.status} of a proxy")
        case Ending.NO_AUTHORISATION:
            return _answer({"message": "authorization status is unavailable"}, status=503)
        case Ending.NOT_ISSUED:
            return _answer(not_issued_answer())
        case Ending.HTML_200:
            return _html(200, "Scheduled maintenance")
        case Ending.STATUS_302:
            return replace(_html(302, "302 Found"), headers={"Location": "/login"})
        case Ending.STATUS_401:
            return unauthorised()
        case Ending.STATUS_403:
            return _html(403, "403 Forbidden")
        case Ending.STATUS_429:
            return throttled(now, now + timedelta(seconds=rule.seconds), rule.retry_after)
        case Ending.STATUS_500:
            return _answer({"message": "Internal Server Error"}, status=500)
        case Ending.STATUS_502:
            return _html(502, "502 Bad Gateway")
        case Ending.STATUS_503:
            return _html(503, "503 Service Temporarily Unavailable")
        case _:
            assert_never(rule.kind.ending)


def _answer(body: Json | str, *, status: int = 200) -> Answer:
    return Answer(result="", body=body, status=status)


def _html(status: int, title: str) -> Answer:
    return Answer(result="", body=_HTML.format(title), status=status, content_type="text/html")
