"""How to reach the API; built by the composition root out of the settings."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

import httpx

_EVERYWHERE = frozenset(
    {"FACEBOOK", "WEB_ENGAGE", "INSTORE", "MARTJACK", "TMALL", "TAOBAO", "JD", "ECOMMERCE", "WEBSITE", "LINE"}
)
_DATA_SCOPES = frozenset({"SELF", "OTHER", "ALL"})


class ApiVersion(StrEnum):
    """Which lookup is used: v2.1 serves connected organisations."""

    V2 = "v2"
    V2_1 = "v2.1"


LOOKUP_SOURCES = {
    ApiVersion.V2: _EVERYWHERE | {"ALL"},
    ApiVersion.V2_1: _EVERYWHERE | {"ALL", "WECHAT"},
}
"""Values of `source` that each lookup page lists."""

ISSUE_SOURCES = _EVERYWHERE | {"MOBILE_APP"}
"""Values of `source` that the issue page lists."""


@dataclass(frozen=True, slots=True)
class Basic:
    """Credentials of `Authorization: Basic`, taken as configured (the password may be an MD5)."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OAuth:
    """Credentials for which `/v3/oauth/token/generate` hands out short-lived tokens."""

    client_key: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attribution:
    """The till or store that writes are booked to: `X-CAP-API-ATTRIBUTION-ENTITY-TYPE` and `-CODE`."""

    entity_type: str
    entity_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapillaryConfig:
    """Address, credentials and bounds; raises ValueError with one line if a value cannot work."""

    base_url: str
    """http or https, a host, perhaps a port and a path prefix; a trailing slash makes no difference."""
    credentials: Basic | OAuth
    api_version: ApiVersion = ApiVersion.V2
    data_scope: str | None = None
    """`DATA-SCOPE` of v2.1: SELF, OTHER or ALL; None sends no header."""
    data_scope_orgs: tuple[int, ...] = ()
    """`DATA-SCOPE-ORG` and `DATA-SCOPE-ORGS` of v2.1; empty sends neither."""
    attribution: Attribution | None = None
    """None leaves it to the credentials."""
    program_ids: tuple[int, ...] = ()
    """The programs to ask for; empty asks for all."""
    default_source: str = "INSTORE"
    """`source` if the identifier has none that the endpoint allows; both endpoints must allow it."""
    timeout_seconds: float = 10.0
    """Of one whole request: waiting for a connection, connecting, sending, reading the whole answer."""
    idempotency_header: str = "Idempotency-Key"
    max_connections: int = 256
    """At most this many connections; a further request waits, which counts against its time-out."""
    keepalive_seconds: float = 15.0
    """Idle connections are closed after this. Keep it below the server's own: a POST that meets a closing
    connection is in doubt and costs a reconciliation."""
    user_agent: str = "enrolment-worker"

    def __post_init__(self) -> None:
        """Check what would otherwise fail request by request."""
        object.__setattr__(self, "base_url", _checked_base_url(self.base_url))
        object.__setattr__(self, "api_version", ApiVersion(self.api_version))
        if self.default_source not in LOOKUP_SOURCES[self.api_version] & ISSUE_SOURCES:
            allowed = ", ".join(sorted(LOOKUP_SOURCES[self.api_version] & ISSUE_SOURCES))
            raise ValueError(
                f"default source {self.default_source!r} is not one that lookup and issue allow: {allowed}"
            )
        if self.data_scope is not None and self.data_scope not in _DATA_SCOPES:
            raise ValueError(f"data scope {self.data_scope!r} is none of {', '.join(sorted(_DATA_SCOPES))}")
        if (self.data_scope or self.data_scope_orgs) and self.api_version is not ApiVersion.V2_1:
            raise ValueError("data scope and its organisations need API version v2.1")
        if self.timeout_seconds <= 0 or self.keepalive_seconds <= 0 or self.max_connections < 1:
            raise ValueError("time-outs and the number of connections must be above 0")
        if not self.idempotency_header.replace("-", "").isalnum() or not self.idempotency_header.isascii():
            raise ValueError("the idempotency header's name may hold letters, digits and hyphens only")
        _check_header_values(self)


def _checked_base_url(text: str) -> str:
    """Return the URL without trailing slashes; no message repeats the URL, it may hold a password."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        httpx.URL(text.strip())
    except (ValueError, httpx.InvalidURL):
        raise ValueError("the API's base URL is not a URL") from None
    if parts.scheme not in {"http", "https"}:
        raise ValueError("the API's base URL must begin with http:// or https://")
    if not parts.hostname or port == 0:
        raise ValueError("the API's base URL names no host, or port 0")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the API's base URL must not hold credentials")
    if "?" in text or "#" in text:
        raise ValueError("the API's base URL must not hold a query or a fragment")
    if any(c.isspace() or not c.isprintable() for c in text.strip()):
        raise ValueError("the API's base URL must not hold blanks or control characters")
    return text.strip().rstrip("/")


def _check_header_values(config: CapillaryConfig) -> None:
    """Raise if a text that goes into a header could break out of it."""
    if not config.user_agent.isascii() or not config.user_agent.isprintable():
        raise ValueError("the user agent must be printable ASCII")
    match config.credentials:
        case Basic(username, password):
            usable = bool(username and password) and ":" not in username
        case OAuth(client_key, client_secret):
            usable = bool(client_key and client_secret)
    booked_to = config.attribution
    if booked_to is not None and not (_is_text(booked_to.entity_type) and _is_text(booked_to.entity_code)):
        raise ValueError("the attribution's type and code must be printable ASCII, without blanks around")
    if not usable:
        raise ValueError("credentials must not be empty, and a user name must not hold a colon")


def _is_text(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable() and value == value.strip()
