"""One request with credentials, span and metrics around it."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode

from worker.capillary import codes
from worker.capillary.auth import Authenticator, Header
from worker.capillary.catalogue_wire import ListPage
from worker.capillary.connections import always
from worker.capillary.dates import written_at
from worker.capillary.failures import broken
from worker.capillary.ports import Endpoint, Gate, RequestObserver
from worker.capillary.reply import Reply
from worker.capillary.results import result_of
from worker.capillary.transport import Transport
from worker.capillary.verdict import Answer
from worker.capillary.wire import Page
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    Fault,
    FaultKind,
    Issued,
    Misconfigured,
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.priority import Priority
from worker.signs import alive
from worker.telemetry import names, semantic
from worker.telemetry.semantic import Attributes
from worker.telemetry.spans import Spans, trace_headers
from worker.telemetry.tracing import warning_code

_SERVED = Page | ListPage | Issued | NotIssued | CustomerNotFound
_MOST_CODES = 1000
_FAILED = Unsent | Doubtful | Throttled | Misconfigured | Refused

A = TypeVar("A", bound=Answer)

Build = Callable[[list[Header]], httpx.Request]
"""Makes the request with these headers added: credentials and trace context."""


class Exchange:
    """Sends requests and has their replies judged, each under a client span; tells the observer of each."""

    def __init__(
        self,
        transport: Transport,
        observer: RequestObserver,
        spans: Spans,
        gate: Gate,
        timer: Callable[[], float] = time.perf_counter,
        *,
        date_heard: Callable[[datetime], None] | None = None,
    ) -> None:
        self._transport = transport
        self._observer = observer
        self._spans = spans
        self._gate = gate
        self._timer = timer
        self._of_events: set[int] = set()
        """Codes of errors that no token mends."""
        self._of_posts: set[int] = set()
        """Codes of errors that a POST was refused by."""
        self._date_heard = date_heard

    async def authenticated(
        self,
        target: "Target",
        auth: Authenticator,
        build: Build,
        judge: Callable[[Reply], A],
        resend_count: int,
        may_send: Callable[[], bool] = always,
        *,
        about: Attributes | None = None,
    ) -> A | Fault:
        """Send with credentials. A reading that they may be refused for is repeated once with renewed ones.

        A POST is never repeated here: whoever refused it may not know what became of it. Its caller reads
        first, with a new token. `about` is what the span says of the request beyond its target.
        """
        replies: list[int] = []

        def noting(reply: Reply) -> A:
            replies.append(reply.status)
            return judge(reply)

        header = await auth.header()
        if not isinstance(header, tuple):
            return header
        answer = await self.once(target, build, noting, resend_count, header, may_send, about=about)
        status = replies[-1] if replies else None
        if isinstance(answer, _SERVED):
            auth.served(header)
            return answer
        is_refusal = status == HTTPStatus.UNAUTHORIZED
        is_post = target.method == "POST"
        may_be = is_refusal or self._may_be_refusal(status, answer)
        if not may_be or (is_post and self._came_before(answer)):
            return answer
        if not auth.rejected(header, certainly=is_refusal) or is_post:
            return answer
        header = await auth.header()
        if not isinstance(header, tuple):
            return header
        again = await self.once(target, build, judge, resend_count + 1, header, may_send, about=about)
        if isinstance(again, _SERVED):
            auth.served(header)
        elif isinstance(again, Refused) and len(self._of_events) < _MOST_CODES:
            self._of_events.update(error.code for error in again.errors)
        return again

    def _came_before(self, answer: Answer) -> bool:
        """Whether a POST was refused by these codes before, which cost a token then.

        If it is the token all the same, the next reading shows it.
        """
        if not isinstance(answer, Refused):
            return False
        said = {error.code for error in answer.errors}
        if said <= self._of_posts:
            return True
        if len(self._of_posts) < _MOST_CODES:
            self._of_posts |= said
        return False

    def _may_be_refusal(self, status: int | None, answer: Answer) -> bool:
        """Whether an answer may stand for an expired token: 403, a login page, an error that no page lists.

        An error that comes again with a new token is the event's own.
        """
        match answer:
            case Misconfigured() | Doubtful(FaultKind.MISCONFIGURED):
                return status is not None and (
                    status == HTTPStatus.FORBIDDEN or status < HTTPStatus.NOT_FOUND
                )
            case Doubtful(FaultKind.MALFORMED):
                return status is not None and status < HTTPStatus.BAD_REQUEST
            case Refused(errors):
                return not any(error.code in codes.KNOWN or error.code in self._of_events for error in errors)
            case _:
                return False

    async def once(
        self,
        target: "Target",
        build: Build,
        judge: Callable[[Reply], A],
        resend_count: int = 0,
        credentials: Header | None = None,
        may_send: Callable[[], bool] = always,
        *,
        about: Attributes | None = None,
    ) -> A | Unsent | Doubtful:
        """Send it once, when it is its turn.

        The span holds no query, the propagated context no baggage: it leaves the house.
        """
        entered_at = await self._gate.enter(target.priority)
        fault: Fault | None = None
        started = self._timer()
        span = self._spans.start(target.method, SpanKind.CLIENT, lambda: _asked(target, about, resend_count))
        try:
            headers = trace_headers(span)
            if credentials:
                headers.append(credentials)
            reply, answer = await self._asked(headers, build, judge, may_send)
            fault = answer if isinstance(answer, Fault) and target.sets_pace else None
            result = result_of(answer)
            if span.is_recording():
                _describe(span, _seen(reply, answer, result), answer, result)
        except BaseException as error:
            # Cancelled, or a fault of ours; the exception itself may hold the URL.
            span.set_attribute(names.ERROR_TYPE, type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()
            self._gate.leave(entered_at, fault)
        alive()
        seconds = self._timer() - started
        if semantic.is_on():
            attributes = target.attributes | _seen(reply, answer, result)
            semantic.requested(attributes, seconds, trace.set_span_in_context(span, Context()))
        self._observer.request_finished(target.endpoint, result, seconds)
        return answer

    async def _asked(
        self,
        headers: list[Header],
        build: Build,
        judge: Callable[[Reply], A],
        may_send: Callable[[], bool],
    ) -> tuple[Reply | Unsent | Doubtful, A | Unsent | Doubtful]:
        """Return the reply, and what it comes to; an exception of ours is a fault as others."""
        try:
            request = build(headers)
        except Exception as error:  # noqa: BLE001 - see above
            unsent = broken(error, connected=False)
            return unsent, unsent
        reply = await self._transport.send(request, may_send)
        if not isinstance(reply, Reply):
            return reply, reply
        try:
            self._hear_date(reply)
            answer: A | Doubtful | Unsent = judge(reply)
        except Exception as error:  # noqa: BLE001 - see above
            answer = broken(error, connected=True)
        return reply, replace(answer, request_id=reply.request_id)

    def _hear_date(self, reply: Reply) -> None:
        date = written_at(reply.headers) if self._date_heard else None
        if self._date_heard and date is not None:
            self._date_heard(date)


class Target:
    """An endpoint's method and its attributes, the same for each of its spans."""

    __slots__ = ("attributes", "endpoint", "method", "priority", "sets_pace")

    def __init__(
        self, endpoint: Endpoint, method: str, url: str, priority: Priority, *, sets_pace: bool = True
    ) -> None:
        """Let requests pass the gate by this priority.

        One that does not set the pace may be throttled by a quota of its own.
        """
        self.sets_pace = sets_pace
        self.endpoint = endpoint
        self.priority = priority
        self.method = method
        parts = urlsplit(url)
        self.attributes: Attributes = {
            names.HTTP_REQUEST_METHOD: method,
            names.SERVER_ADDRESS: parts.hostname or "",
            names.SERVER_PORT: parts.port or (443 if parts.scheme == "https" else 80),
            names.URL_FULL: url,
        }


def _asked(target: Target, about: Attributes | None, resend_count: int) -> Attributes:
    """Return what the span says of the request before it is answered."""
    attributes = target.attributes | (about or {})
    if resend_count:
        attributes[names.HTTP_REQUEST_RESEND_COUNT] = resend_count
    return attributes


def _seen(reply: Reply | Unsent | Doubtful, answer: Answer, result: str) -> Attributes:
    """Return the attributes of the answer that spans and metrics share."""
    seen: Attributes = {}
    error_type = result
    if isinstance(reply, Reply):
        seen[names.HTTP_RESPONSE_STATUS_CODE] = reply.status
        if reply.status >= HTTPStatus.BAD_REQUEST:
            error_type = str(reply.status)
    if isinstance(answer, _FAILED):
        seen[names.ERROR_TYPE] = error_type
    return seen


def _describe(span: Span, seen: Attributes, answer: Answer, result: str) -> None:
    """Write the answer on the span. A warning, an exhausted limit for one, is an event and not an error."""
    span.set_attributes(seen)
    if answer.request_id is not None:
        span.set_attribute(names.CAPILLARY_REQUEST_ID, answer.request_id)
    codes = [warning.code for warning in answer.warnings] if isinstance(answer, Issued | NotIssued) else []
    for code in codes:
        span.add_event(names.ENROLMENT_WARNING, {names.ENROLMENT_WARNING_CODE: code})
    shown = warning_code(codes)
    if shown is not None:
        span.set_attribute(names.ENROLMENT_WARNING_CODE, shown)
    if isinstance(answer, _FAILED):
        detail = answer.detail if isinstance(answer, Unsent | Doubtful | Misconfigured) else result
        span.set_status(StatusCode.ERROR, detail)
