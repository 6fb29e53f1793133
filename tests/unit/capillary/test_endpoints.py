"""Requests as the pages give them."""

import json

import httpx
import pytest

from worker.capillary.config import ApiVersion, Attribution, Basic, CapillaryConfig, OAuth
from worker.capillary.endpoints import Requests, is_sendable
from worker.domain.promotions import Identifier, IdentifierName

AUTH = ("Authorization", "Basic x")
MOBILE = Identifier(IdentifierName.MOBILE, "919812345678", "INSTORE")


def _requests(
    version: ApiVersion = ApiVersion.V2, scope: str | None = None, orgs: tuple[int, ...] = ()
) -> Requests:
    config = CapillaryConfig(
        base_url="https://host:8443/prefix/",
        credentials=Basic("u", "p"),
        api_version=version,
        data_scope=scope,
        data_scope_orgs=orgs,
        default_source="ECOMMERCE",
    )
    return Requests(config)


def _lookup(made: Requests, identifier: Identifier = MOBILE, *, available: bool = True) -> httpx.Request:
    return made.lookup(identifier, available_to_enrol=available, offset=200, headers=[AUTH])


def _sent(request: httpx.Request) -> httpx.URL:
    """Return the URL that is asked for; the request's own names its endpoint only."""
    assert not request.url.query
    return request.url.copy_with(raw_path=request.extensions["target"])


def test_lookup() -> None:
    """The lookup asks for enrol-and-issue promotions that are still available, a hundred from the offset."""
    request = _lookup(_requests())
    assert request.method == "GET"
    assert (
        _sent(request).copy_with(query=None) == "https://host:8443/prefix/v2/customers/lookup/promotionData"
    )
    assert dict(_sent(request).params) == {
        "identifierName": "mobile",
        "identifierValue": "919812345678",
        "source": "INSTORE",
        "promotionType": "ENROL_AND_ISSUE",
        "promotionStatusForCustomer": "AVAILABLE_TO_ENROL",
        "limit": "100",
        "offset": "200",
    }
    assert (request.headers["host"], request.headers["authorization"]) == ("host:8443", "Basic x")


@pytest.mark.parametrize(
    ("program_ids", "programs"), [((), None), ((469,), "469"), ((469, 3), "469,3"), (tuple(range(101)), None)]
)
def test_lookup_within_programs(program_ids: tuple[int, ...], programs: str | None) -> None:
    """Only our programs are asked for, as far as a URL can name them; a reading for evidence asks for all."""
    config = CapillaryConfig(base_url="https://host", credentials=Basic("u", "p"), program_ids=program_ids)
    made = Requests(config)
    assert _sent(_lookup(made)).params.get("programs") == programs
    assert "programs" not in _sent(_lookup(made, available=False)).params
    config = CapillaryConfig(
        base_url="https://host",
        credentials=Basic("u", "p"),
        api_version=ApiVersion.V2_1,
        program_ids=program_ids,
    )
    assert "programs" not in _sent(_lookup(Requests(config))).params


@pytest.mark.parametrize(("version", "asked"), [(ApiVersion.V2, "true"), (ApiVersion.V2_1, None)])
def test_lookup_with_all_usage(version: ApiVersion, asked: str | None) -> None:
    """Restrictions that are not enabled are shown on request, by v2."""
    made = _requests(version)
    request = made.lookup(MOBILE, available_to_enrol=False, offset=0, headers=[], all_usage=True)
    assert _sent(request).params.get("fetchAllUsage") == asked
    assert "fetchAllUsage" not in _sent(_lookup(made)).params


def test_lookup_of_connected_organisations_in_full() -> None:
    """v2.1 counts alternate currencies to explain an 8890, not to decide whether to ask."""
    made = _requests(ApiVersion.V2_1)
    shared = {"identifierName": "mobile", "identifierValue": "919812345678", "source": "INSTORE"}
    shared |= {"limit": "100", "offset": "200"}
    assert dict(_sent(_lookup(made)).params) == shared | {
        "promotionStatusForCustomer": "AVAILABLE_TO_ENROL",
        "includeAlternateCurrencyUsage": "false",
    }
    assert dict(_sent(_lookup(made, available=False)).params) == shared | {
        "includeAlternateCurrencyUsage": "true"
    }


def test_lookup_for_reconciliation() -> None:
    """Without the status filter promotions that a success has made vanish are shown."""
    assert "promotionStatusForCustomer" not in _sent(_lookup(_requests(), available=False)).params


def test_lookup_of_connected_organisations() -> None:
    """v2.1 has its own path, headers and spelling, and no promotionType."""
    made = _requests(ApiVersion.V2_1, "OTHER", (50405, 50406))
    request = _lookup(made, Identifier(IdentifierName.EXTERNAL_ID, "X1", "WECHAT"))
    assert _sent(request).path == "/prefix/v2.1/customers/lookup/promotionData"
    assert _sent(request).params["identifierName"] == "externalid"
    assert _sent(request).params["source"] == "WECHAT"
    assert "promotionType" not in _sent(request).params
    assert request.headers["data-scope"] == "OTHER"
    assert request.headers["data-scope-org"] == request.headers["data-scope-orgs"] == "50405,50406"
    unscoped = _lookup(_requests(ApiVersion.V2_1)).headers
    assert [name for name in unscoped if name.startswith("data-scope")] == []


def test_attribution() -> None:
    """Every request says which till or store it is booked to, if the operator says so, and else none does."""
    given = {"x-cap-api-attribution-entity-type": "STORE_NAME"}
    given |= {"x-cap-api-attribution-entity-code": "High Street 1"}
    for attribution, expected in ((Attribution("STORE_NAME", "High Street 1"), given), (None, {})):
        config = CapillaryConfig(
            base_url="https://host", credentials=Basic("u", "p"), attribution=attribution
        )
        made = Requests(config)
        requests = [
            _lookup(made),
            made.issue(MOBILE, 1, 2, "k", [AUTH]),
            made.presence([AUTH]),
            made.live_promotions(1, [AUTH]),
            made.token(OAuth("key", "hush"), []),
        ]
        for request in requests:
            sent = {name: value for name, value in request.headers.items() if "attribution" in name}
            assert sent == expected


def test_issue() -> None:
    """The issue names promotion and program in its body and carries the key as a quoted string."""
    request = _requests().issue(MOBILE, 469, 65777, "a-key", [AUTH])
    assert (request.method, _sent(request).path) == ("POST", "/prefix/v2/promotion/issue")
    assert dict(_sent(request).params) == {
        "identifierName": "mobile",
        "identifierValue": "919812345678",
        "source": "INSTORE",
    }
    assert json.loads(request.read()) == {"programId": 469, "promotionId": 65777}
    assert request.headers["idempotency-key"] == '"a-key"'
    assert request.headers["content-type"] == "application/json"
    assert "data-scope" not in _requests(ApiVersion.V2_1, "ALL").issue(MOBILE, 1, 2, "k", []).headers


def test_token() -> None:
    """Key and secret travel in the body."""
    request = _requests().token(OAuth("key", "hush"), [])
    assert _sent(request) == "https://host:8443/prefix/v3/oauth/token/generate"
    assert json.loads(request.read()) == {"key": "key", "secret": "hush"}


def test_presence() -> None:
    """The cheapest request of the promotion list has what its page demands, and names nobody."""
    request = _requests(ApiVersion.V2_1, "OTHER", (50405,)).presence([AUTH])
    assert request.method == "GET"
    assert _sent(request) == (
        "https://host:8443/prefix/api_gateway/loyalty/v1/programs/promotions/list?limit=1&offset=1"
    )
    assert request.headers["authorization"] == "Basic x"
    assert "data-scope" not in request.headers


@pytest.mark.parametrize(("program_ids", "program"), [((), {}), ((469,), {"program": "469"}), ((469, 3), {})])
def test_live_promotions(program_ids: tuple[int, ...], program: dict[str, str]) -> None:
    """The list's offset is a page number; of several programs it cannot name more than one."""
    config = CapillaryConfig(base_url="https://host", credentials=Basic("u", "p"), program_ids=program_ids)
    request = Requests(config).live_promotions(2, [AUTH])
    assert request.method == "GET"
    assert _sent(request).path == "/api_gateway/loyalty/v1/programs/promotions/list"
    assert dict(_sent(request).params) == {"limit": "100", "offset": "2", "status": "LIVE"} | program


@pytest.mark.parametrize(
    ("source", "version", "at_lookup", "at_issue"),
    [
        ("INSTORE", ApiVersion.V2, "INSTORE", "INSTORE"),
        ("MOBILE_APP", ApiVersion.V2, "ECOMMERCE", "MOBILE_APP"),
        ("ALL", ApiVersion.V2, "ALL", "ECOMMERCE"),
        ("WECHAT", ApiVersion.V2, "ECOMMERCE", "ECOMMERCE"),
        ("WECHAT", ApiVersion.V2_1, "WECHAT", "ECOMMERCE"),
        ("LOYALTY_DESK", ApiVersion.V2, "ECOMMERCE", "ECOMMERCE"),
        (None, ApiVersion.V2, "ECOMMERCE", "ECOMMERCE"),
    ],
)
def test_sources(source: str | None, version: ApiVersion, at_lookup: str, at_issue: str) -> None:
    """The identifier's own source is used where the endpoint allows it, else the default."""
    made = _requests(version)
    identifier = Identifier(IdentifierName.MOBILE, "1", source)
    assert _sent(_lookup(made, identifier)).params["source"] == at_lookup
    assert _sent(made.issue(identifier, 1, 2, "k", [])).params["source"] == at_issue


@pytest.mark.parametrize(
    ("value", "sendable"),
    [
        ("a+b&c=d@example.com", True),
        ("é 1", True),
        ("x" * 512, True),
        ("x" * 513, False),
        ("", False),
        ("  ", False),
        ("a\nb", False),
        ("a\x00b", False),
        ("\ud800", False),
    ],
)
def test_values_that_can_be_sent(value: str, sendable: bool) -> None:  # noqa: FBT001 - a table
    """Poison in an event's identifier never becomes a request."""
    assert is_sendable(Identifier(IdentifierName.EXTERNAL_ID, value)) is sendable


@pytest.mark.parametrize(
    ("source", "account", "sent"),
    [
        ("LINE", "L 1&x=2", "L 1&x=2"),
        ("LINE", None, None),
        ("TILL", "L", None),
        (None, "L", None),
        ("LINE", "L\x00", None),
    ],
)
def test_an_account_goes_along_with_its_own_source_alone(
    source: str | None, account: str | None, sent: str | None
) -> None:
    """To the lookup and to the issue; where another source stands in, the account would be wrong."""
    made = _requests(ApiVersion.V2)
    who = Identifier(IdentifierName.MOBILE, "1", source, account)
    for request in (_lookup(made, who), made.issue(who, 1, 2, "k", [])):
        assert _sent(request).params.get("accountId") == sent
