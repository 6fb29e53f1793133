"""Who may ask: Basic credentials, and short-lived OAuth tokens."""

from __future__ import annotations

import base64
import hmac
import json
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from worker.demo.simulator.shapes import Json

TOKEN_HEADER: Final = "X-CAP-API-OAUTH-TOKEN"  # noqa: S105 - a header's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What is accepted; an empty user name or key closes that way in, both empty let everybody in."""

    username: str
    password: str
    client_key: str
    client_secret: str
    token_lasts: timedelta
    token_ends: timedelta
    """When it really ends."""


class Doorman:
    """Checks requests and gives out tokens."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials: Final = credentials
        self._tokens: Final[dict[str, datetime]] = {}
        self._oldest_first: Final[deque[str]] = deque()
        self._numbers: Final = count(1)
        self.tokens_given = 0

    def admits(self, headers: Mapping[str, str], now: datetime) -> bool:
        """Whether a request carries a live token or the right user and password."""
        known = self._credentials
        if not (known.username or known.client_key):
            return True
        if TOKEN_HEADER in headers:
            expires = self._tokens.get(headers[TOKEN_HEADER])
            return expires is not None and now < expires
        pair = f"{known.username}:{known.password}".encode()
        wanted = b"Basic " + base64.b64encode(pair)
        given = headers.get("Authorization", "").encode()
        return bool(known.username) and hmac.compare_digest(given, wanted)

    def give_token(self, body: bytes, now: datetime) -> Json | None:
        """Answer a token request; None if key or secret are wrong."""
        known = self._credentials
        try:
            given = json.loads(body)
        except ValueError:
            return None
        if not known.client_key or given != {"key": known.client_key, "secret": known.client_secret}:
            return None
        self._forget_expired(now)
        self.tokens_given += 1
        token = _token_text(next(self._numbers))
        self._tokens[token] = now + known.token_ends
        self._oldest_first.append(token)
        seconds = int(known.token_lasts.total_seconds())
        return {"data": {"accessToken": token, "ttlSeconds": seconds}, "errors": None}

    def revoke(self) -> int:
        """Let no token given so far pass any more, and return how many were alive."""
        alive = len(self._tokens)
        self._tokens.clear()
        self._oldest_first.clear()
        return alive

    def _forget_expired(self, now: datetime) -> None:
        while self._oldest_first and self._tokens[self._oldest_first[0]] <= now:
            del self._tokens[self._oldest_first.popleft()]


def _token_text(number: int) -> str:
    """Make a text with a JWT's three parts that nobody signed."""
    parts = ({"alg": "none", "typ": "JWT"}, {"jti": number, "iss": "simulator"})
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts) + ".unsigned"
    )
