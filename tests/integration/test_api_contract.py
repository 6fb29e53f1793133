"""Each endpoint's answers, over HTTP and through the use case, to the outcomes of the contract."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.use_case.played_api import OWN_ORG, PlayedApi, tell
from worker.capillary.config import ApiVersion, Attribution
from worker.domain.answers import CatalogueRead, Misconfigured
from worker.domain.catalogue import Expiry, ListedPromotion

pytestmark = pytest.mark.asyncio

BODIES = Path(__file__).parents[1] / "fixtures" / "contract"
ISSUE = "/v2/promotion/issue"
LIST = "/api_gateway/loyalty/v1/programs/promotions/list"
VERSIONS = [ApiVersion.V2, ApiVersion.V2_1]
CUSTOMER = 740021855
EFFECT = {"issualId": 9131, "type": "Points promotion"}
ISSUED = {"warnings": [], "errors": [], "sideEffects": [EFFECT]}


def _body(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((BODIES / name).read_text())
    return body


def _lookup(version: ApiVersion, **changes: object) -> dict[str, Any]:
    """Return the version's lookup with its one promotion changed; it is open to enrol into."""
    body = _body("lookup_v2.json" if version is ApiVersion.V2 else "lookup_v2_1.json")
    if version is ApiVersion.V2:
        body["promotions"][0]["customerPromotionTimelines"] = []
    body["promotions"][0] |= changes
    return body


def _said(code: int) -> dict[str, object]:
    return {"status": False, "code": code, "message": "said so"}


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("code", "outcome", "severity"),
    [
        (8015, "CUSTOMER_NOT_FOUND", "warning"),
        (8013, "REJECTED", "error"),
        (8003, "REJECTED", "error"),
    ],
)
async def test_codes_of_the_lookup(
    version: ApiVersion, status: int, code: int, outcome: str, severity: str
) -> None:
    """Each documented code of the lookup is final, under whatever status it comes."""
    api = PlayedApi({"lookup": [(status, {"errors": [_said(code)]})]}, version)
    told = (await tell(api)).only
    assert (told["outcome"], told["severity"]) == (outcome, severity)
    assert told["errors"] == [{"code": code, "message": "said so"}]
    assert api.paths == [api.lookup_path]


@pytest.mark.parametrize("status", [200, 400])
async def test_connected_organisations_that_are_not_set(status: int) -> None:
    """310144 is a fault of configuration: the event waits, and is enrolled once it is mended."""
    refused = (status, {"errors": [_said(310144)]})
    api = PlayedApi(
        {"lookup": [refused, refused, (200, _lookup(ApiVersion.V2_1))], ISSUE: [(200, ISSUED)]},
        ApiVersion.V2_1,
    )
    story = await tell(api)
    assert story.only["outcome"] == "ENROLLED"
    assert story.waits == [("lookup", Misconfigured("310144 said so"))] * 2


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("code", "outcome", "severity"),
    [
        (8015, "CUSTOMER_NOT_FOUND", "warning"),
        *((code, "REJECTED", "error") for code in (11013, 1212, 8874, 1101)),
    ],
)
async def test_codes_of_the_issue(
    version: ApiVersion, status: int, code: int, outcome: str, severity: str
) -> None:
    """Each documented error of the issue is final for its promotion, under whatever status it comes."""
    answers = {
        "lookup": [(200, _lookup(version))],
        ISSUE: [(status, {"warnings": [], "errors": [_said(code)]})],
    }
    api = PlayedApi(answers, version)
    told = (await tell(api)).only
    assert (told["outcome"], told["severity"], told["attempts"]) == (outcome, severity, 1)
    assert told["errors"] == [{"code": code, "message": "said so"}]
    assert api.paths == [api.lookup_path, ISSUE]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("limit_on", "reason"), [("CUSTOMER", "CUSTOMER_LIMIT"), ("PROMOTION", "PROMOTION_LIMIT")]
)
async def test_8890(version: ApiVersion, limit_on: str, reason: str) -> None:
    """The warning 8890 ends as an exhausted limit, which a reading without the status filter names."""
    spent = {"kpi": "A_NEW_KPI", "limitOn": limit_on, "maxLimit": "3", "currentCustomerUsage": "3"}
    after = _lookup(version, promotionRestriction={"issualRestrictions": [spent]})
    refused = {"warnings": [_said(8890)], "errors": [], "sideEffects": []}
    api = PlayedApi({"lookup": [(200, _lookup(version)), (200, after)], ISSUE: [(200, refused)]}, version)
    told = (await tell(api)).only
    assert (told["outcome"], told["severity"], told["reason"]) == ("LIMIT_EXHAUSTED", "warning", reason)
    assert told["restriction"] == {
        "kpi": "A_NEW_KPI",
        "limitOn": limit_on,
        "maxLimit": 3,
        "currentCustomerUsage": 3,
    }
    assert told["warnings"] == [{"code": 8890, "message": "said so"}]
    first, _, second = api.asked
    assert first.query["promotionStatusForCustomer"] == "AVAILABLE_TO_ENROL"
    assert "promotionStatusForCustomer" not in second.query


@pytest.mark.parametrize("version", VERSIONS)
async def test_unknown_codes(version: ApiVersion) -> None:
    """Unknown errors are final, unknown warnings beside a side effect are kept."""
    lookup = {"lookup": [(200, _lookup(version))]}
    warned = ISSUED | {"warnings": [_said(70707)]}
    enrolled = (await tell(PlayedApi(lookup | {ISSUE: [(200, warned)]}, version))).only
    assert (enrolled["outcome"], enrolled["warnings"]) == (
        "ENROLLED",
        [{"code": 70707, "message": "said so"}],
    )
    refused = {"warnings": [], "errors": [_said(70708)], "sideEffects": []}
    rejected = (await tell(PlayedApi(lookup | {ISSUE: [(200, refused)]}, version))).only
    assert (rejected["outcome"], rejected["errors"][0]["code"]) == ("REJECTED", 70708)
    rejected = (await tell(PlayedApi({"lookup": [(200, {"errors": [_said(70709)]})]}, version))).only
    assert (rejected["outcome"], rejected["errors"][0]["code"]) == ("REJECTED", 70709)


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_enrolment(version: ApiVersion) -> None:
    """What lookup and issue say reaches the outcome, and the issue asks for what the lookup showed."""
    api = PlayedApi({"lookup": [(200, _lookup(version))], ISSUE: [(200, ISSUED)]}, version)
    told = (await tell(api)).only
    shown = _lookup(version)["promotions"][0]
    assert told["outcome"] == "ENROLLED"
    assert (told["customerId"], told["orgId"], told["issualId"]) == (CUSTOMER, OWN_ORG, 9131)
    assert (told["programId"], told["promotionId"]) == (shown["programId"], shown["promotionId"])
    assert told["promotionName"] == shown["promotionName"].strip()
    lookup, issue = api.asked
    assert issue.query == {"identifierName": "id", "identifierValue": str(CUSTOMER), "source": "INSTORE"}
    assert await issue.json() == {"programId": shown["programId"], "promotionId": shown["promotionId"]}
    assert issue.headers["Idempotency-Key"] == f'"{told["idempotencyKey"]}"'
    named = ("DATA-SCOPE", "DATA-SCOPE-ORG", "DATA-SCOPE-ORGS")
    orgs = "60711,60712"
    scope = tuple(lookup.headers.get(name) for name in named)
    assert scope == ((None,) * 3 if version is ApiVersion.V2 else ("ALL", orgs, orgs))
    assert not set(named) & set(issue.headers)
    assert told["apiRequestId"] == "call-2"


@pytest.mark.parametrize("version", VERSIONS)
async def test_whom_writes_are_booked_to(version: ApiVersion) -> None:
    """Each request names the till or store that the operator chose, by both headers; else none does."""
    names = ["X-CAP-API-ATTRIBUTION-ENTITY-TYPE", "X-CAP-API-ATTRIBUTION-ENTITY-CODE"]
    for attribution, expected in ((Attribution("TILL", "till.001"), ["TILL", "till.001"]), (None, [])):
        api = PlayedApi({"lookup": [(200, _lookup(version))], ISSUE: [(200, ISSUED)]}, version)
        await tell(api, attribution=attribution)
        assert api.paths == [api.lookup_path, ISSUE]
        for request in api.asked:
            assert [request.headers[name] for name in names if name in request.headers] == expected


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("limit", "usage", "outcome"),
    [
        ("4", "4", "LIMIT_EXHAUSTED"),
        ("4.000", 5, "LIMIT_EXHAUSTED"),
        ("5", "4", "ENROLLED"),
        ("-1", "4", "ENROLLED"),
        ("0", "4", "ENROLLED"),
        ("4", None, "ENROLLED"),
    ],
)
async def test_used_up_restrictions(version: ApiVersion, limit: str, usage: object, outcome: str) -> None:
    """A listed promotion whose restriction is used up costs no request; -1 and 0 set no limit."""
    restriction = {"kpi": "K", "limitOn": "CUSTOMER", "maxLimit": limit, "currentCustomerUsage": usage}
    lookup = _lookup(version, promotionRestriction={"issualRestrictions": [restriction]})
    api = PlayedApi({"lookup": [(200, lookup)], ISSUE: [(200, ISSUED)]}, version)
    assert (await tell(api)).only["outcome"] == outcome
    assert (ISSUE in api.paths) is (outcome == "ENROLLED")


async def test_an_enrolment_in_the_timeline() -> None:
    """v2's timeline is enough to know that the customer is enrolled."""
    told = (await tell(PlayedApi({"lookup": [(200, _body("lookup_v2.json"))]}))).only
    assert (told["outcome"], told["enrollmentId"]) == ("ALREADY_ENROLLED", 9107)


@pytest.mark.parametrize("spelling", ["orgId", "orgID"])
async def test_a_promotion_of_another_organisation(spelling: str) -> None:
    """v2.1: a promotion of an organisation that the credentials are not for is rejected unasked."""
    lookup = _lookup(ApiVersion.V2_1)
    del lookup["promotions"][0]["orgId"]
    lookup["promotions"][0][spelling] = 60712
    api = PlayedApi({"lookup": [(200, lookup)]}, ApiVersion.V2_1)
    told = (await tell(api)).only
    assert (told["outcome"], told["severity"]) == ("REJECTED", "error")
    assert (told["reason"], told["orgId"]) == ("OTHER_ORGANISATION", 60712)
    assert api.paths == [api.lookup_path]


@pytest.mark.parametrize(
    ("usage", "outcome", "issues"), [("3", "ENROLLED", 1), ("2", "ENROLLED", 2), (None, "DEAD_LETTERED", 1)]
)
async def test_reconciliation_without_timelines(usage: str | None, outcome: str, issues: int) -> None:
    """v2.1: after a doubtful issue the usage count tells; without one nothing is sent again."""
    before, after = _lookup(ApiVersion.V2_1), _lookup(ApiVersion.V2_1)
    for page, count in ((before, "2"), (after, usage)):
        restriction = page["promotions"][0]["promotionRestriction"]["issualRestrictions"][0]
        restriction["currentCustomerUsage"] = count
    answers = {"lookup": [(200, before), (200, after)], ISSUE: [(502, {}), (200, ISSUED)]}
    api = PlayedApi(answers, ApiVersion.V2_1)
    told = (await tell(api)).only
    assert (told["outcome"], told.get("reconciled", False)) == (
        outcome,
        outcome == "ENROLLED" and issues == 1,
    )
    assert api.paths.count(ISSUE) == issues
    keys = {request.headers["Idempotency-Key"] for request in api.asked if request.path == ISSUE}
    assert len(keys) == 1


async def test_the_list() -> None:
    """The list is asked for live promotions, and what it says of each is read."""
    api = PlayedApi({LIST: [(200, _body("list.json"))]})
    async with api.client(program_ids=(612,)) as client:
        answer = await client.live_promotions()
    assert answer == CatalogueRead(
        (
            ListedPromotion(
                promotion_id=88231,
                program_id=612,
                name="Spring tea tasting",
                status="LIVE",
                offer_type="LOYALTY_EARNING",
                starts_at=datetime(2026, 1, 15, tzinfo=UTC),
                ends_at=datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC),
                capped=True,
                expiries=(Expiry("ISSUAL_PROMOTION_EXPIRY_BASED_ON", "CUSTOM", 7),),
            ),
        )
    )
    (request,) = api.asked
    assert request.query == {"limit": "100", "offset": "0", "status": "LIVE", "program": "612"}


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("code", [4054, 4053, 4057, 2010])
async def test_codes_of_the_list(code: int, status: int) -> None:
    """Each documented code of the list is a fault of our configuration, and no catalogue."""
    api = PlayedApi({LIST: [(status, {"errors": [_said(code)]})]})
    async with api.client() as client:
        assert await client.live_promotions() == Misconfigured(f"{code} said so")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("page_size", "pages"), [(100, 2), (10, 17)])
async def test_a_customer_with_169_promotions(version: ApiVersion, page_size: int, pages: int) -> None:
    """However small the server's pages are, each promotion is considered once, by one request a page."""
    shown = _lookup(version)["promotions"][0]
    everything = [shown | {"promotionId": 500 + number} for number in range(169)]

    class Paged(PlayedApi):
        async def handle(self, request: web.Request) -> web.Response:
            if request.path == self.lookup_path:
                self.asked.append(request)
                offset, limit = int(request.query["offset"]), int(request.query["limit"])
                page = everything[offset : offset + min(limit, page_size)]
                details = {"totalEntries": 169, "pageSize": min(limit, page_size)}
                return web.json_response({"customerId": CUSTOMER, "promotions": page, "pageDetails": details})
            return await super().handle(request)

    api = Paged({ISSUE: [(200, ISSUED)]}, version)
    story = await tell(api)
    assert [told["promotionId"] for told in story.outcomes] == [one["promotionId"] for one in everything]
    assert {told["outcome"] for told in story.outcomes} == {"ENROLLED"}
    assert (api.paths.count(api.lookup_path), api.paths.count(ISSUE)) == (pages, 169)
