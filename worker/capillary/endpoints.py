"""The API's requests: paths, parameters, headers and bodies, as the pages give them for each version."""

import json
from urllib.parse import quote_plus

import httpx

from worker.capillary.auth import Header
from worker.capillary.config import ISSUE_SOURCES, LOOKUP_SOURCES, ApiVersion, CapillaryConfig, OAuth
from worker.capillary.transport import TARGET
from worker.domain.promotions import Identifier, IdentifierName

PAGE_SIZE = 100
"""The lookup's largest `limit`."""

MOST_PROGRAMS = 100
"""Programs that a URL is to name; of more than these the answers are filtered here alone."""

LONGEST_IDENTIFIER = 512
"""Characters. Longer ones make URLs that servers refuse in ways that look like a fault of configuration."""

_V2_1_NAMES = {IdentifierName.EXTERNAL_ID: "externalid"}


def is_sendable(identifier: Identifier) -> bool:
    """Tell whether the value can stand in a URL: not blank, not over-long, printable (no lone surrogate)."""
    value = identifier.value
    return bool(value.strip()) and len(value) <= LONGEST_IDENTIFIER and value.isprintable()


class _Endpoint:
    """Method, URL and headers that all requests to an endpoint have, made once."""

    def __init__(self, method: str, url: str, headers: list[Header]) -> None:
        self.url = url
        self._method = method
        self._parsed = httpx.URL(url)
        self._path = self._parsed.raw_path
        self._headers = _encoded(headers)

    def request(self, query: str, headers: list[Header], body: bytes = b"") -> httpx.Request:
        """Return a request whose query is in its target alone: `request.url` names nobody."""
        return httpx.Request(
            self._method,
            self._parsed,
            headers=self._headers + _encoded(headers),
            stream=httpx.ByteStream(body),
            extensions={TARGET: b"%b?%b" % (self._path, query.encode("ascii")) if query else self._path},
        )


class Requests:
    """Builds requests; what does not change from one to the next is made once."""

    def __init__(self, config: CapillaryConfig) -> None:
        base: list[Header] = [
            ("Host", httpx.URL(config.base_url).netloc.decode("ascii")),
            ("Accept", "application/json"),
            ("Accept-Encoding", "gzip"),
            ("User-Agent", config.user_agent),
            *_attribution(config),
        ]
        posted = [*base, ("Content-Type", "application/json")]
        self._config = config
        self._lookup = _Endpoint(
            "GET",
            f"{config.base_url}/{config.api_version}/customers/lookup/promotionData",
            [*base, *_data_scope(config)],
        )
        self._catalogue = _Endpoint(
            "GET", f"{config.base_url}/api_gateway/loyalty/v1/programs/promotions/list", base
        )
        self._issue = _Endpoint("POST", f"{config.base_url}/v2/promotion/issue", posted)
        self._token = _Endpoint("POST", f"{config.base_url}/v3/oauth/token/generate", posted)
        self.lookup_url, self.catalogue_url = self._lookup.url, self._catalogue.url
        self.issue_url, self.token_url = self._issue.url, self._token.url
        self._lookup_sources = LOOKUP_SOURCES[config.api_version]
        self._is_v2 = config.api_version is ApiVersion.V2
        self._available, self._all = _filters(config)

    def lookup(
        self,
        identifier: Identifier,
        *,
        available_to_enrol: bool,
        offset: int,
        headers: list[Header],
        all_usage: bool = False,
    ) -> httpx.Request:
        """Ask for one page that begins with entry `offset`, counted from 0.

        What the customer can still enrol into is asked for as narrowly as the page allows. The readings
        without that filter find out what became of an attempt: they are not narrowed by settings that may
        have changed since it was planned.
        """
        name = identifier.name if self._is_v2 else _V2_1_NAMES.get(identifier.name, identifier.name)
        query = self._customer(name, identifier, self._lookup_sources)
        query += self._available if available_to_enrol else self._all
        if all_usage and self._is_v2:
            query += "&fetchAllUsage=true"
        return self._lookup.request(f"{query}&limit={PAGE_SIZE}&offset={offset}", headers)

    def issue(
        self,
        identifier: Identifier,
        program_id: int,
        promotion_id: int,
        idempotency_key: str,
        headers: list[Header],
    ) -> httpx.Request:
        """Enrol the customer; the key is sent as an RFC 8941 string."""
        query = self._customer(identifier.name, identifier, ISSUE_SOURCES)
        key = idempotency_key.replace("\\", "\\\\").replace('"', '\\"')
        return self._issue.request(
            query,
            [(self._config.idempotency_header, f'"{key}"'), *headers],
            b'{"programId":%d,"promotionId":%d}' % (program_id, promotion_id),
        )

    def presence(self, headers: list[Header]) -> httpx.Request:
        """Ask for a single entry of the organisation's promotion list: the cheapest valid request."""
        return self._catalogue.request("limit=1&offset=1", headers)

    def live_promotions(self, page: int, headers: list[Header]) -> httpx.Request:
        """Ask for one page of the live promotions; of one program if only one is ours."""
        query = f"limit={PAGE_SIZE}&offset={page}&status=LIVE"
        if len(self._config.program_ids) == 1:
            query += f"&program={self._config.program_ids[0]}"
        return self._catalogue.request(query, headers)

    def token(self, credentials: OAuth, headers: list[Header]) -> httpx.Request:
        """Ask for a token."""
        body = {"key": credentials.client_key, "secret": credentials.client_secret}
        return self._token.request("", headers, json.dumps(body).encode())

    def _customer(self, name: str, identifier: Identifier, allowed: frozenset[str]) -> str:
        """Name the customer; the account goes along with the source that it is of, and with no other."""
        is_allowed = identifier.source in allowed
        source = identifier.source if is_allowed else self._config.default_source
        query = f"identifierName={name}&identifierValue={quote_plus(identifier.value)}&source={source}"
        if is_allowed and identifier.account is not None and identifier.account.isprintable():
            query += f"&accountId={quote_plus(identifier.account)}"
        return query


def _encoded(headers: list[Header]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers]


def _filters(config: CapillaryConfig) -> tuple[str, str]:
    """Return the parameters that choose promotions: those available to enrol, and all that can be evidence.

    v2.1 has neither `promotionType` nor `programs`. `sourceType` is not sent: any source will do.
    Usage in alternate currencies may explain why nothing was issued; it does not keep us from asking for what
    the API lists as available without it.
    """
    available = "&promotionStatusForCustomer=AVAILABLE_TO_ENROL"
    if config.api_version is ApiVersion.V2_1:
        return f"{available}&includeAlternateCurrencyUsage=false", "&includeAlternateCurrencyUsage=true"
    ours = "&promotionType=ENROL_AND_ISSUE"
    narrowed = ours + available
    if 0 < len(config.program_ids) <= MOST_PROGRAMS:
        narrowed += f"&programs={','.join(map(str, config.program_ids))}"
    return narrowed, ours


def _attribution(config: CapillaryConfig) -> list[Header]:
    booked_to = config.attribution
    if booked_to is None:
        return []
    return [
        ("X-CAP-API-ATTRIBUTION-ENTITY-TYPE", booked_to.entity_type),
        ("X-CAP-API-ATTRIBUTION-ENTITY-CODE", booked_to.entity_code),
    ]


def _data_scope(config: CapillaryConfig) -> list[Header]:
    """Return whose promotions to look up; the API's pages call the organisations by two names."""
    headers: list[Header] = []
    if config.data_scope:
        headers.append(("DATA-SCOPE", config.data_scope))
    if config.data_scope_orgs:
        organisations = ",".join(map(str, config.data_scope_orgs))
        headers += [("DATA-SCOPE-ORG", organisations), ("DATA-SCOPE-ORGS", organisations)]
    return headers
