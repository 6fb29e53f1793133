"""What the simulated API accepts and refuses, and with which code."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from worker.demo.simulator.answers import answer_lookup_v2
from worker.demo.simulator.model import OfferType, Promotion
from worker.demo.simulator.queries import (
    CustomerStatus,
    read_issue,
    read_lookup_v2,
    read_lookup_v21,
    read_page,
)
from worker.demo.simulator.reading import GENERIC, Refused
from worker.demo.simulator.world import World

_NOW = datetime(2026, 1, 31, tzinfo=UTC)
_WHO = {"identifierName": "id", "identifierValue": "1", "source": "INSTORE"}
_BODY = {"programId": 469, "promotionId": 11}


def _world() -> World:
    return World.with_customers(
        3,
        Promotion(promotion_id=11),
        Promotion(promotion_id=12, program_id=470, source_type="API"),
        Promotion(promotion_id=13, offer_type=OfferType.LOYALTY),
        Promotion(promotion_id=14, offer_type=OfferType.GENERIC),
        Promotion(promotion_id=15, ends=datetime(2025, 1, 1, tzinfo=UTC)),
        Promotion(promotion_id=16, org_id=200),
    )


def _issue_code(query: dict[str, str], body: object, content_type: str = "application/json") -> int:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refused) as refused:
        read_issue(query.items(), content_type, raw, _world())
    return refused.value.code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"identifierName": "phone"}, 8013),
        ({"identifierName": "externalid"}, 8013),
        ({"source": "MOBILE_APP"}, 8003),
        ({"source": "instore"}, 8003),
        ({"source": "WECHAT"}, 8003),
        ({"source": "ECOMMERCE"}, 8015),
        ({"identifierValue": "4"}, 8015),
        ({"limit": "101"}, GENERIC),
        ({"limit": "-1"}, GENERIC),
        ({"limit": "9" * 5000}, GENERIC),
        ({"offset": "-1"}, GENERIC),
        ({"promotionStatusForCustomer": "AVAILABLE_TO_ENROLL"}, GENERIC),
        ({"promotionType": "LOYALTY_EARNING"}, GENERIC),
        ({"sourceType": "ui"}, GENERIC),
        ({"fetchAllUsage": "yes"}, GENERIC),
        ({"programs": "469,"}, GENERIC),
        ({"includeAlternateCurrencyUsage": "true"}, GENERIC),
    ],
)
def test_v2_lookup_refuses(change: dict[str, str], code: int) -> None:
    """Each deviation from the page's table is refused with its code."""
    with pytest.raises(Refused) as refused:
        read_lookup_v2((_WHO | change).items(), _world())
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("missing", "code"), [("identifierName", 8013), ("source", 8003), ("identifierValue", 8015)]
)
def test_v2_lookup_needs(missing: str, code: int) -> None:
    """The three mandatory parameters have a code each."""
    with pytest.raises(Refused) as refused:
        read_lookup_v2([pair for pair in _WHO.items() if pair[0] != missing], _world())
    assert refused.value.code == code


def test_a_parameter_given_twice_is_refused() -> None:
    """No parameter may be repeated, even with the same value."""
    with pytest.raises(Refused) as refused:
        read_lookup_v2([*_WHO.items(), ("source", "INSTORE")], _world())
    assert refused.value.code == GENERIC


@pytest.mark.parametrize(
    ("change", "listed"),
    [
        ({}, [11, 12, 13, 14, 15]),
        ({"promotionStatusForCustomer": "AVAILABLE_TO_ENROL"}, [12]),
        ({"promotionStatusForCustomer": "AVAILABLE_TO_EARN"}, [11, 13]),
        ({"promotionStatusForCustomer": "AVAILABLE_TO_REDEEM"}, [11, 14]),
        ({"promotionStatusForCustomer": "EXPIRED"}, [15]),
        ({"promotionType": "ENROL_AND_ISSUE"}, [11, 12, 15]),
        ({"promotionType": "DIRECT_ISSUE"}, [13]),
        ({"programs": "470, 471"}, [12]),
        ({"sourceType": "API"}, [12]),
        ({"offset": "1", "limit": "2"}, [12, 13]),
        ({"limit": "0"}, []),
    ],
)
def test_v2_lookup_lists(change: dict[str, str], listed: list[int]) -> None:
    """Filters and the start index choose among the own organisation's promotions."""
    world = _world()
    world.promotions[11] = Promotion(promotion_id=11, limit_per_customer=1)
    world.enrol_elsewhere(1, 11, at=_NOW, earned=1)
    answer = answer_lookup_v2(read_lookup_v2((_WHO | change).items(), world), world, _NOW)
    promotions = answer["promotions"]
    assert isinstance(promotions, list)
    assert [promotion["promotionId"] for promotion in promotions] == listed


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"DATA-SCOPE": "ALL"},
        {"DATA-SCOPE": "BOTH", "DATA-SCOPE-ORG": "100"},
        {"DATA-SCOPE": "ALL", "DATA-SCOPE-ORG": "100,300"},
        {"DATA-SCOPE": "ALL", "DATA-SCOPE-ORG": "hundred"},
        {"DATA-SCOPE": "ALL", "DATA-SCOPE-ORGS": "100,300"},
        {"DATA-SCOPE": "ALL", "DATA-SCOPE-ORG": "100", "DATA-SCOPE-ORGS": "200"},
    ],
)
def test_v21_lookup_needs_connected_organisations(headers: dict[str, str]) -> None:
    """Missing, malformed and unconnected scopes are 310144, before anything else is looked at."""
    with pytest.raises(Refused) as refused:
        read_lookup_v21([], headers, _world(), (200,))
    assert refused.value.code == 310144


@pytest.mark.parametrize(("scope", "orgs"), [("SELF", {100}), ("OTHER", {200}), ("ALL", {100, 200})])
def test_v21_scope(scope: str, orgs: set[int]) -> None:
    """The scope chooses among the organisations, which the API's pages name by either header."""
    for names in (["DATA-SCOPE-ORG"], ["DATA-SCOPE-ORGS"], ["DATA-SCOPE-ORG", "DATA-SCOPE-ORGS"]):
        headers = {"DATA-SCOPE": scope} | dict.fromkeys(names, "100, 200")
        assert read_lookup_v21(_WHO.items(), headers, _world(), (200,)).orgs == orgs


def test_v21_identifier_and_source_names() -> None:
    """v2.1 spells externalid in lower case, knows WECHAT, and neither cuid nor v2's filters."""
    headers = {"DATA-SCOPE": "SELF", "DATA-SCOPE-ORG": "100"}
    found = _WHO | {"identifierName": "externalid", "identifierValue": "000000000002"}
    assert read_lookup_v21(found.items(), headers, _world(), ()).customer.customer_id == 2
    for change, code in (
        ({"identifierName": "externalId"}, 8013),
        ({"identifierName": "cuid"}, 8013),
        ({"source": "WECHAT"}, 8015),
        ({"promotionType": "GENERIC"}, GENERIC),
    ):
        with pytest.raises(Refused) as refused:
            read_lookup_v21((_WHO | change).items(), headers, _world(), ())
        assert refused.value.code == code


def test_issue_reads_what_the_page_allows() -> None:
    """A full query and the two body fields name customer and promotion."""
    query = _WHO | {"type": "CUSTOMER", "accountId": "x"}
    asked = read_issue(query.items(), "application/json", json.dumps(_BODY).encode(), _world())
    assert (asked.customer.customer_id, asked.promotion.promotion_id) == (1, 11)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"identifierValue": ""}, 11013),
        ({"identifierName": ""}, 11013),
        ({"source": ""}, 11013),
        ({"type": "CARD"}, 1212),
        ({"identifierName": "cuid"}, 8013),
        ({"source": "ALL"}, 8003),
        ({"identifierValue": "4"}, 8015),
        ({"limit": "1"}, GENERIC),
    ],
)
def test_issue_refuses_queries(change: dict[str, str], code: int) -> None:
    """Each deviation of the query is refused with its code."""
    assert _issue_code(_WHO | change, _BODY) == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", GENERIC),
        (b"[1]", GENERIC),
        (b'{"programId":469,"programId":469,"promotionId":11}', GENERIC),
        (_BODY | {"source": "INSTORE"}, GENERIC),
        ({"promotionId": 11}, 1101),
        ({"programId": 469}, 8874),
        ({"programId": "469", "promotionId": 11}, 1101),
        ({"programId": 469, "promotionId": "11"}, 8874),
        ({"programId": 469, "promotionId": True}, 8874),
        ({"programId": 999, "promotionId": 11}, 1101),
        ({"programId": 470, "promotionId": 11}, 8874),
        ({"programId": 469, "promotionId": 13}, 8874),
        ({"programId": 469, "promotionId": 16}, 8874),
    ],
)
def test_issue_refuses_bodies(body: object, code: int) -> None:
    """Malformed bodies, quoted ids, foreign and not enrollable promotions are refused with their codes."""
    assert _issue_code(_WHO, body) == code


def test_issue_must_be_json() -> None:
    """Another content type is refused."""
    assert _issue_code(_WHO, _BODY, "application/x-www-form-urlencoded") == GENERIC


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": "5"}, 4054),
        ({"offset": "1"}, 4054),
        ({"limit": "5", "offset": "1", "startDate": "2024-04-04T00:00Z"}, 4053),
        ({"limit": "5", "offset": "1", "startDate": "2024-04-04", "endDate": "2024-04-27T23:59:59Z"}, 4057),
        (
            {"limit": "5", "offset": "1", "startDate": "2024-13-04T00:00Z", "endDate": "2024-04-27T23:59Z"},
            4057,
        ),
        ({"limit": "5", "offset": "1", "program": "1"}, 2010),
        ({"limit": "5", "offset": "1", "program": "x"}, 2010),
        ({"limit": "5", "offset": "1", "status": "ACTIVE"}, GENERIC),
        ({"limit": "5", "offset": "1", "activity": "TRANSACTIONADD"}, GENERIC),
        ({"limit": "5", "offset": "1", "promotionStatus": "LIVE"}, GENERIC),
        ({"limit": "5", "offset": "0"}, GENERIC),
    ],
)
def test_list_refuses(query: dict[str, str], code: int) -> None:
    """Each deviation of the list's query is refused with its code."""
    with pytest.raises(Refused) as refused:
        read_page(query.items(), _world(), first_page=1)
    assert refused.value.code == code


def test_list_reads_dates_with_and_without_seconds() -> None:
    """Both forms of the page's examples are dates, and a pair of them is a window."""
    query = {"limit": "5", "offset": "1", "startDate": "2024-04-04T00:00Z", "endDate": "2024-04-27T23:59:59Z"}
    assert read_page(query.items(), _world(), first_page=0).window == (
        datetime(2024, 4, 4, tzinfo=UTC),
        datetime(2024, 4, 27, 23, 59, 59, tzinfo=UTC),
    )


def test_every_status_has_its_word() -> None:
    """The page's four words are the four statuses."""
    for status in CustomerStatus:
        query = _WHO | {"promotionStatusForCustomer": status.value}
        assert read_lookup_v2(query.items(), _world()).status is status
