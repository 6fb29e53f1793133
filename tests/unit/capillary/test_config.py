"""What a configuration refuses."""

from dataclasses import replace
from typing import Any

import pytest

from worker.capillary.config import ApiVersion, Attribution, Basic, CapillaryConfig, OAuth

BASIC = Basic("user", "hush")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://eu.api.capillarytech.com", "https://eu.api.capillarytech.com"),
        ("https://eu.api.capillarytech.com/", "https://eu.api.capillarytech.com"),
        (" http://[::1]:8080//", "http://[::1]:8080"),
        ("http://gateway/capillary/", "http://gateway/capillary"),
    ],
)
def test_base_url(given: str, kept: str) -> None:
    """Trailing slashes and blanks around go, a path prefix stays."""
    assert CapillaryConfig(base_url=given, credentials=BASIC).base_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "eu.api.capillarytech.com",
        "ftp://host",
        "file:///etc",
        "http://",
        "http://:80",
        "http://host:99999",
        "http://host:0",
        "http://host:x",
        "http://user:hush@host",
        "http://@host",
        "http://host?x=1",
        "http://host#x",
        "http://host/a b",
        "http://[::1",
        "http://a\u2260b",
    ],
)
def test_wrong_base_url(url: str) -> None:
    """A base URL that cannot work, or holds credentials, is refused in one line that does not repeat it."""
    with pytest.raises(ValueError, match=r"^the API's base URL [^\n]*$") as refused:
        CapillaryConfig(base_url=url, credentials=BASIC)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"credentials": Basic("", "p")},
        {"credentials": Basic("u", "")},
        {"credentials": Basic("a:b", "p")},
        {"credentials": OAuth("", "s")},
        {"api_version": "v3"},
        {"default_source": "ALL"},
        {"default_source": "MOBILE_APP"},
        {"default_source": "instore"},
        {"default_source": "WECHAT", "api_version": "v2.1"},
        {"data_scope": "ALL"},
        {"data_scope_orgs": (1,)},
        {"data_scope": "MINE", "api_version": "v2.1"},
        {"timeout_seconds": 0},
        {"max_connections": 0},
        {"keepalive_seconds": -1},
        {"idempotency_header": "Idempotency Key"},
        {"idempotency_header": ""},
        {"user_agent": "x\r\ny"},
        {"attribution": Attribution("", "till.001")},
        {"attribution": Attribution("TILL", "")},
        {"attribution": Attribution("TILL", " till.001")},
        {"attribution": Attribution("TILL", "a\r\nb")},
        {"attribution": Attribution("TILL", "Zürich")},
        {"attribution": Attribution("TI\nLL", "till.001")},
    ],
)
def test_wrong_values(wrong: dict[str, Any]) -> None:
    """What would fail request by request fails at once."""
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        replace(CapillaryConfig(base_url="http://host", credentials=BASIC), **wrong)


def test_connected_organisations() -> None:
    """v2.1 takes a data scope; its version may be given as text."""
    config = CapillaryConfig(
        base_url="http://host",
        credentials=BASIC,
        api_version=ApiVersion("v2.1"),
        data_scope="OTHER",
        data_scope_orgs=(1, 2),
    )
    assert config.api_version is ApiVersion.V2_1


def test_secrets_stay_out_of_reprs() -> None:
    """No secret shows in a repr, which may end in a log."""
    config = CapillaryConfig(base_url="http://host", credentials=OAuth("key", "hush"))
    assert "hush" not in repr(config) + repr(BASIC)
