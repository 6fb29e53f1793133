"""The Capillary API as the use case sees it."""

import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from opentelemetry.trace import Tracer

from worker.capillary.auth import Authenticator, BasicAuthenticator, Header, OAuthAuthenticator
from worker.capillary.config import Basic, CapillaryConfig, OAuth
from worker.capillary.connections import always
from worker.capillary.endpoints import Requests, is_sendable
from worker.capillary.exchange import Exchange, Target
from worker.capillary.failures import place_of
from worker.capillary.list_paging import ListReader
from worker.capillary.paging import read_all
from worker.capillary.ports import Endpoint, Gate, NoObserver, OpenGate, RequestObserver
from worker.capillary.reply import Reply
from worker.capillary.transport import Transport
from worker.capillary.verdict import (
    ListAnswer,
    PageAnswer,
    TokenAnswer,
    judge_issue,
    judge_list,
    judge_page,
    judge_presence,
    judge_token,
)
from worker.domain.answers import (
    CatalogueAnswer,
    Doubtful,
    FaultKind,
    IssueAnswer,
    LookupAnswer,
    Notice,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.priority import Priority
from worker.domain.promotions import Identifier, IdentifierName
from worker.telemetry import names
from worker.telemetry.redaction import Redact, redactor
from worker.telemetry.spans import Spans
from worker.telemetry.tracing import record_in_work
from worker.timing import Clock, utc_now

A = TypeVar("A")

_LONGEST_ID = 20
"""Digits; one of more is no customer's."""

_UNSENDABLE = Refused(
    (Notice(422, "identifier value is blank, too long or not printable; nothing was sent"),), unsent=True
)


def _id_of(identifier: Identifier) -> int | None:
    """Return Capillary's own id if the customer is asked for by it."""
    is_id = identifier.name is IdentifierName.CUSTOMER_ID and identifier.value.isdecimal()
    return int(identifier.value[:_LONGEST_ID]) if is_id else None


async def _guarded(asked: Coroutine[Any, Any, A]) -> A | Doubtful:
    """Await a call; an exception that nobody expected is a fault of ours, and the request may have left."""
    try:
        return await asked
    except Exception as error:  # noqa: BLE001 - see above
        return Doubtful(FaultKind.INTERNAL, place_of(error))


@dataclass(frozen=True, slots=True)
class Sounding:
    """What the API answered to a read for nobody, when, and its `Date` header; None if it sent none."""

    answer: PageAnswer
    at: datetime
    date: str | None


class CapillaryClient:
    """Implements `worker.enrolment.ports.PromotionsApi`; an async context manager, or close it with `aclose`.

    Safe for any number of concurrent calls on one event loop. Each request (a page, an issue, a token) is
    one client span and one `request_finished`. Identifiers appear in no answer, span, log line or exception.
    """

    def __init__(  # noqa: PLR0913 - what the client is made of
        self,
        config: CapillaryConfig,
        *,
        clock: Clock = utc_now,
        observer: RequestObserver | None = None,
        tracer: Tracer | None = None,
        gate: Gate | None = None,
        date_heard: Callable[[datetime], None] | None = None,
        timer: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`date_heard` is told the `Date` of each answer that has one.

        `timer` counts seconds and only grows; by it and `jitter` connections age.
        """
        self._clock = clock
        self._transport = Transport(config, timer, jitter)
        self._exchange = Exchange(
            self._transport,
            observer or NoObserver(),
            Spans(tracer),
            gate or OpenGate(),
            date_heard=date_heard,
        )
        self._requests = Requests(config)
        lookup_url, list_url = self._requests.lookup_url, self._requests.catalogue_url
        self._lookups = {each: Target(Endpoint.LOOKUP, "GET", lookup_url, each) for each in Priority}
        self._issue = Target(Endpoint.ISSUE, "POST", self._requests.issue_url, Priority.BEGUN)
        self._catalogue = Target(Endpoint.CATALOGUE, "GET", list_url, Priority.LIVE, sets_pace=False)
        # It goes first: what it says may save the requests that it would wait behind.
        self._live = Target(Endpoint.CATALOGUE, "GET", list_url, Priority.BEGUN, sets_pace=False)
        self._token = Target(Endpoint.TOKEN, "POST", self._requests.token_url, Priority.BEGUN)
        self._auth = self._authenticator(config.credentials)
        self._list = ListReader(self._read_list_page)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; requests under way fail."""
        await self._auth.aclose()
        await self._transport.aclose()

    async def lookup(
        self,
        identifier: Identifier,
        *,
        available_to_enrol: bool = True,
        resend_count: int = 0,
        priority: Priority = Priority.LIVE,
        all_usage: bool = False,
    ) -> LookupAnswer:
        """Read all pages of the customer's promotions, see `PromotionsApi`; a page's fault is the answer.

        With `all_usage` v2 also shows the redemption restrictions that are not enabled, their limit -1.
        """
        if not is_sendable(identifier):
            return _UNSENDABLE
        redact = _redactor(identifier)
        customer_id = _id_of(identifier)
        target = self._lookups[priority if available_to_enrol else Priority.BEGUN]

        async def read(offset: int) -> PageAnswer:
            return await self._exchange.authenticated(
                target,
                self._auth,
                lambda headers: self._requests.lookup(
                    identifier,
                    available_to_enrol=available_to_enrol,
                    offset=offset,
                    headers=headers,
                    all_usage=all_usage,
                ),
                lambda reply: judge_page(reply, self._clock(), redact, customer_id),
                resend_count,
            )

        return await _guarded(read_all(read))

    async def issue(
        self,
        identifier: Identifier,
        program_id: int,
        promotion_id: int,
        idempotency_key: str,
        *,
        resend_count: int = 0,
        may_send: Callable[[], bool] = always,
    ) -> IssueAnswer:
        """Enrol the customer, once; see `PromotionsApi`."""
        if not is_sendable(identifier):
            return _UNSENDABLE
        redact = _redactor(identifier)
        asked = self._exchange.authenticated(
            self._issue,
            self._auth,
            lambda headers: self._requests.issue(
                identifier, program_id, promotion_id, idempotency_key, headers
            ),
            lambda reply: judge_issue(
                reply, self._clock(), redact, program_id=program_id, promotion_id=promotion_id
            ),
            resend_count,
            may_send,
            about={
                names.ENROLMENT_PROGRAM_ID: program_id,
                names.ENROLMENT_PROMOTION_ID: promotion_id,
                names.ENROLMENT_IDEMPOTENCY_KEY: idempotency_key,
            },
        )
        return await _guarded(asked)

    async def live_promotions(self) -> CatalogueAnswer:
        """Read all pages of the organisation's live promotions; see `PromotionList`."""
        return await _guarded(self._list.read_all())

    async def serves(self) -> bool:
        """Ask for one entry of the promotion list; see `PromotionsApi`."""
        asked = self._exchange.authenticated(
            self._catalogue,
            self._auth,
            self._requests.presence,
            lambda reply: judge_presence(reply, self._clock()),
            resend_count=0,
        )
        answer = await _guarded(asked)
        return not isinstance(answer, Unsent | Doubtful | Throttled)

    async def _read_list_page(self, page: int) -> ListAnswer:
        return await self._exchange.authenticated(
            self._live,
            self._auth,
            lambda headers: self._requests.live_promotions(page, headers),
            lambda reply: judge_list(reply, self._clock()),
            resend_count=0,
        )

    async def sound_out(self) -> Sounding:
        """Read one page as the worker does, for a customer that there is not; changes nothing."""
        nobody = Identifier(IdentifierName.CUSTOMER_ID, "0")
        heard: list[tuple[datetime, str | None]] = []

        def judge(reply: Reply) -> PageAnswer:
            heard.append((self._clock(), reply.headers.get("date")))
            return judge_page(reply, self._clock(), _redactor(nobody))

        answer = await self._exchange.authenticated(
            self._lookups[Priority.LIVE],
            self._auth,
            lambda headers: self._requests.lookup(nobody, available_to_enrol=True, offset=0, headers=headers),
            judge,
            resend_count=0,
        )
        return Sounding(answer, *(heard[-1] if heard else (self._clock(), None)))

    def _authenticator(self, credentials: Basic | OAuth) -> Authenticator:
        if isinstance(credentials, Basic):
            return BasicAuthenticator(credentials)
        redact = redactor(credentials.client_key, credentials.client_secret)

        def build(headers: list[Header]) -> httpx.Request:
            return self._requests.token(credentials, headers)

        async def fetch() -> TokenAnswer:
            return await self._exchange.once(
                self._token, build, lambda reply: judge_token(reply, self._clock(), redact)
            )

        return OAuthAuthenticator(fetch, self._clock)


def _redactor(identifier: Identifier) -> Redact:
    """Mask what was asked for, and whatever else the event in work calls its customer."""
    asked = () if identifier.name is IdentifierName.CUSTOMER_ID else (identifier.value,)
    return redactor(*asked, record=record_in_work())
