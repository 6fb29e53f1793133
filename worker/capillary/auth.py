"""Proves who we are: Basic, or OAuth tokens that are renewed before they expire, once for all callers."""

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from worker.capillary.config import Basic
from worker.capillary.failures import place_of
from worker.capillary.verdict import TokenAnswer
from worker.capillary.wire import TokenGrant
from worker.domain.answers import Doubtful, Fault, FaultKind, Unsent
from worker.signs import Sign, waiting_for
from worker.timing import Clock

OAUTH_HEADER = "X-CAP-API-OAUTH-TOKEN"

Header = tuple[str, str]

_DEFAULT_TTL_SECONDS = 300.0
_STALE_SHARE = 0.2
_INVALID_SHARE = 0.05
_PAUSE_AFTER_FAILURE = timedelta(seconds=5)


class Authenticator(Protocol):
    """Adds credentials to requests."""

    async def header(self) -> Header | Fault:
        """Return the header to send; a fault if it cannot be had (nothing was sent then). May wait."""
        ...

    def served(self, header: Header) -> None:
        """Hear that the API served a request with this header."""
        ...

    def rejected(self, header: Header, *, certainly: bool = True) -> bool:
        """Hear that the API refused this header, or perhaps did; return whether another one may do better."""
        ...

    async def aclose(self) -> None:
        """Stop what works in the background."""
        ...


class BasicAuthenticator:
    """The same header always."""

    def __init__(self, credentials: Basic) -> None:
        pair = f"{credentials.username}:{credentials.password}".encode()
        self._header = ("Authorization", f"Basic {base64.b64encode(pair).decode()}")

    async def header(self) -> Header | Fault:
        """Return the header; never waits."""
        return self._header

    def served(self, header: Header) -> None:
        """Do nothing: the header does not change."""

    def rejected(self, header: Header, *, certainly: bool = True) -> bool:  # noqa: ARG002 - the protocol's
        """Return False: there is no other header."""
        return False

    async def aclose(self) -> None:
        """Do nothing."""


class TokenState(Enum):
    """The states of google-auth: https://googleapis.dev/python/google-auth/latest/reference/google.auth.credentials.html."""

    FRESH = auto()
    """Good."""
    STALE = auto()
    """Still good, and to be renewed in the background."""
    INVALID = auto()
    """None, expired, about to expire, or refused: callers wait for a new one."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token in use; `stale_at` and `invalid_at` lie before its expiry."""

    header: Header
    stale_at: datetime
    invalid_at: datetime

    @classmethod
    def of(cls, grant: TokenGrant, asked_at: datetime) -> "Token":
        """Reckon from the moment of asking: the server's clock may have started any time after it."""
        ttl = grant.ttl_seconds or _DEFAULT_TTL_SECONDS
        return cls(
            (OAUTH_HEADER, grant.access_token),
            asked_at + timedelta(seconds=ttl * (1 - _STALE_SHARE)),
            asked_at + timedelta(seconds=ttl * (1 - _INVALID_SHARE)),
        )

    def __repr__(self) -> str:
        return f"Token(stale_at={self.stale_at}, invalid_at={self.invalid_at})"


class OAuthAuthenticator:
    """Holds one token. `fetch` asks for a new one and does not raise for what network or server do."""

    def __init__(self, fetch: Callable[[], Awaitable[TokenAnswer]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._token: Token | None = None
        self._refresh: asyncio.Task[Token | Fault] | None = None
        self._not_before: datetime | None = None
        self._has_served = False
        self._sign = Sign()

    @property
    def state(self) -> TokenState:
        """The state of the token now."""
        if self._token is None or self._clock() >= self._token.invalid_at:
            return TokenState.INVALID
        return TokenState.STALE if self._clock() >= self._token.stale_at else TokenState.FRESH

    async def header(self) -> Header | Fault:
        """Return the token's header; waits for the one refresh under way if the token is invalid."""
        state = self.state
        if self._token and state is not TokenState.INVALID:
            if state is TokenState.STALE and self._may_renew_early():
                self._refreshing()
            return self._token.header
        # A caller that gives up must not take the others' refresh with it.
        with waiting_for(self._sign.silent_seconds):
            renewed = await asyncio.shield(self._refreshing())
        return renewed.header if isinstance(renewed, Token) else renewed

    def served(self, header: Header) -> None:
        """Note that the token in use is good, or was."""
        if self._token is not None and self._token.header == header:
            self._has_served = True

    def rejected(self, header: Header, *, certainly: bool = True) -> bool:
        """Drop the token unless it has been replaced meanwhile; return whether the next one may do better.

        What only perhaps refuses the token does so to one that has served before, and may have ended early. A
        new one would fare no better than one that was just renewed.
        """
        if self._token is None or self._token.header != header:
            return True
        if not (certainly or self._has_served or self._clock() >= self._token.stale_at):
            return False
        self._token = None
        return True

    async def aclose(self) -> None:
        """Cancel a refresh under way and wait for its end."""
        if self._refresh and not self._refresh.done():
            self._refresh.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refresh

    def _may_renew_early(self) -> bool:
        """Tell whether to try now; after a failure the endpoint gets a pause, the old token still serves."""
        return self._not_before is None or self._clock() >= self._not_before

    def _refreshing(self) -> "asyncio.Task[Token | Fault]":
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.get_running_loop().create_task(self._renew(), name="oauth-refresh")
        return self._refresh

    async def _renew(self) -> Token | Fault:
        asked_at = self._clock()
        try:
            with self._sign.covers():
                self._sign.alive()
                answer = await self._fetch()
        except Exception as error:  # noqa: BLE001 - a fault of ours is no caller's
            answer = Unsent(FaultKind.INTERNAL, f"no token: {place_of(error)}")
        if not isinstance(answer, TokenGrant):
            self._not_before = self._clock() + _PAUSE_AFTER_FAILURE
            # Whatever became of the request for a token: the one that waits for it was not sent.
            return (
                Unsent(answer.kind, f"no token: {answer.detail}", request_id=answer.request_id)
                if isinstance(answer, Doubtful)
                else answer
            )
        self._not_before = None
        self._token = Token.of(answer, asked_at)
        self._has_served = False
        return self._token
