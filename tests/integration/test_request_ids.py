"""What Capillary traces a call by: on the answer, on the span, in the log and in the outcome."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.use_case.played_api import PlayedApi, tell
from worker.capillary.client import CapillaryClient
from worker.capillary.config import Basic, CapillaryConfig, OAuth
from worker.domain.answers import (
    CatalogueAnswer,
    CustomerNotFound,
    Doubtful,
    Fault,
    Found,
    IssueAnswer,
    Issued,
    LookupAnswer,
    Misconfigured,
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.promotions import Identifier, IdentifierName

pytestmark = pytest.mark.asyncio

LOOKUP = "/v2/customers/lookup/promotionData"
ISSUE = "/v2/promotion/issue"
TOKEN = "/v3/oauth/token/generate"  # noqa: S105 - a path
WHO = Identifier(IdentifierName.CUSTOMER_ID, "740021855", "INSTORE")
EFFECT = {"issualId": 9131}
ISSUED = (200, {"warnings": [], "errors": [], "sideEffects": [EFFECT]})
LIMIT = (200, {"warnings": [{"code": 8890, "message": "no"}], "errors": [], "sideEffects": []})


def _error(code: int) -> dict[str, object]:
    return {"errors": [{"status": False, "code": code, "message": "said so"}]}


def _page(*promotions: dict[str, Any], total: int | None = None) -> tuple[int, dict[str, Any]]:
    details = {} if total is None else {"pageDetails": {"totalEntries": total, "pageSize": 100}}
    listed = {"customerId": 740021855, "promotions": list(promotions)}
    return 200, listed | (details or {"pageDetails": {"totalEntries": len(promotions)}})


def _promotion(number: int = 7, *enrolments: int, **more: object) -> dict[str, Any]:
    timeline = [{"enrollmentId": each} for each in enrolments]
    kept = {"promotionId": number, "programId": 3, "promotionName": "P", "active": True}
    return kept | {"pointsOfferType": "LOYALTY_EARNING", "customerPromotionTimelines": timeline} | more


class _Api:
    """Answers all requests alike, the n-th under the id `call-<n>` unless another is given."""

    def __init__(self, status: int, body: object, told: str | None = None) -> None:
        self.status, self.body, self.told, self.numbers = status, body, told, count(1)

    async def handle(self, _: web.Request) -> web.Response:
        number = next(self.numbers)
        told = {"X-CAP-REQUEST-ID": f"call-{number}" if self.told is None else self.told}
        if isinstance(self.body, bytes):
            return web.Response(body=self.body, status=self.status, headers=told)
        return web.json_response(self.body, status=self.status, headers=told)

    @asynccontextmanager
    async def client(self, credentials: Basic | OAuth | None = None) -> AsyncIterator[CapillaryClient]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.spans = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        config = CapillaryConfig(base_url=url, credentials=credentials or Basic("user", "hush"))
        try:
            async with CapillaryClient(config, tracer=provider.get_tracer("test")) as client:
                yield client
        finally:
            await runner.cleanup()

    @property
    def traced(self) -> list[object]:
        """The ids on the spans."""
        spans = self.spans.get_finished_spans()
        return [(span.attributes or {}).get("capillary.request_id") for span in spans]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, _error(8015), CustomerNotFound),
        (400, _error(8013), Refused),
        (200, _error(310144), Misconfigured),
        (200, _error(521), Unsent),
        (401, b"", Misconfigured),
        (403, b"<html>", Misconfigured),
        (302, b"", Misconfigured),
        (422, b"", Refused),
        (425, b"", Unsent),
        (429, b"", Throttled),
        (500, _error(1), Doubtful),
        (502, b"<html>Bad Gateway</html>", Doubtful),
        (200, b"not JSON", Doubtful),
        (200, {"customerId": 1, "promotions": [], "pageDetails": {"totalEntries": 0}}, Doubtful),
    ],
)
async def test_every_answer_to_a_lookup(status: int, body: object, kind: type[LookupAnswer]) -> None:
    """Above all a call that failed must be told to Capillary by its id, whoever answered and however."""
    api = _Api(status, body)
    async with api.client() as client:
        answer = await client.lookup(WHO)
    assert isinstance(answer, kind)
    assert not isinstance(answer, Found)
    assert (answer.request_id, api.traced) == ("call-1", ["call-1"])


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"sideEffects": [{"programId": 3, "promotionId": 7, "issualId": 1}]}, Issued),
        (*LIMIT, NotIssued),
        (400, _error(8015), CustomerNotFound),
        (400, _error(8874), Refused),
        (401, b"", Doubtful),
        (422, b"", Doubtful),
        (429, b"", Throttled),
        (503, b"<html>", Doubtful),
        (200, {"warnings": [], "errors": [], "sideEffects": []}, Doubtful),
        (200, {"sideEffects": [{"programId": 3, "promotionId": 8, "issualId": 1}]}, Doubtful),
        (200, _error(461), Unsent),
    ],
)
async def test_every_answer_to_an_enrolment(status: int, body: object, kind: type[IssueAnswer]) -> None:
    """Also one that leaves open what became of it: Capillary can tell by the id."""
    api = _Api(status, body)
    async with api.client() as client:
        answer = await client.issue(WHO, 3, 7, "key")
    assert isinstance(answer, kind)
    assert (answer.request_id, api.traced) == ("call-1", ["call-1"])


async def test_the_promotion_list() -> None:
    """A reading of several pages that comes to nothing is traced by the last of them."""
    api = _Api(200, {"data": [], "pageNumber": 0, "totalEntries": 5})
    async with api.client() as client:
        answer: CatalogueAnswer = await client.live_promotions()
    assert isinstance(answer, Fault)
    assert answer.request_id == api.traced[-1] == f"call-{len(api.traced)}"


@pytest.mark.parametrize(("status", "body"), [(500, b""), (401, b""), (429, b""), (200, b"nonsense")])
async def test_a_token_that_is_not_given(status: int, body: bytes) -> None:
    """The call that waits for a token was not sent: what failed is the request for the token."""
    api = _Api(status, body)
    async with api.client(OAuth("key", "hush")) as client:
        answer = await client.issue(WHO, 3, 7, "key")
    assert isinstance(answer, Fault)
    assert (answer.request_id, api.traced) == ("call-1", ["call-1"])


async def test_nobody_answers() -> None:
    """A call without an answer has no id, and neither has its span."""
    client = CapillaryClient(CapillaryConfig(base_url="http://127.0.0.1:1", credentials=Basic("u", "p")))
    async with client:
        answer = await client.lookup(WHO)
    assert isinstance(answer, Unsent)
    assert answer.request_id is None


async def test_an_answer_that_only_our_own_fault_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our code fails on an answer, the answer's id is what both sides can look for."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("worker.capillary.verdict.read_page", fails)
    api = _Api(200, {"customerId": 740021855, "promotions": []})
    async with api.client() as client:
        answer = await client.lookup(WHO)
    assert isinstance(answer, Doubtful)
    assert (answer.request_id, api.traced) == ("call-1", ["call-1"])


async def test_a_token_that_only_our_own_fault_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is for the call that waits for the token."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("worker.capillary.verdict.read_token", fails)
    api = _Api(200, {"data": {"accessToken": "a-token"}})
    async with api.client(OAuth("key", "hush")) as client:
        answer = await client.lookup(WHO)
    assert isinstance(answer, Unsent)
    assert answer.request_id == "call-1"


@pytest.mark.parametrize("told", ["", "a\x1b[31mb", "x" * 5000, "919845012345", "jane@example.com"])
async def test_an_id_that_is_not_fit_to_be_told(told: str) -> None:
    """Whatever a server or a proxy writes there, nothing of it goes on if it is not an id."""
    api = _Api(502, b"", told)
    async with api.client() as client:
        answer = await client.lookup(WHO)
    assert isinstance(answer, Doubtful)
    assert (answer.request_id, api.traced) == (None, [None])


_ALL = {f"page-{number}": _promotion(number) for number in range(1, 101)}


@pytest.mark.parametrize(
    ("answers", "outcomes"),
    [
        pytest.param(
            {"lookup": [_page(_promotion())], ISSUE: [ISSUED]}, [("ENROLLED", "call-2")], id="enrolled"
        ),
        pytest.param(
            {"lookup": [_page(_promotion(7), _promotion(8))], ISSUE: [ISSUED]},
            [("ENROLLED", "call-2"), ("ENROLLED", "call-3")],
            id="two promotions",
        ),
        pytest.param(
            {"lookup": [_page(_promotion())], ISSUE: [(200, _error(521)), ISSUED]},
            [("ENROLLED", "call-3")],
            id="enrolled at the second try",
        ),
        pytest.param(
            {"lookup": [_page(_promotion()), _page(_promotion(7, 12))], ISSUE: [(502, {})]},
            [("ENROLLED", "call-3")],
            id="reconciled",
        ),
        pytest.param(
            {"lookup": [_page(_promotion())], ISSUE: [(502, {}), ISSUED]},
            [("ENROLLED", "call-5")],
            id="sent again after it did not show",
        ),
        pytest.param(
            {"lookup": [_page(_promotion(7, 12))]}, [("ALREADY_ENROLLED", "call-1")], id="already enrolled"
        ),
        pytest.param(
            {"lookup": [_page(_promotion())], ISSUE: [LIMIT]}, [("LIMIT_EXHAUSTED", "call-2")], id="8890"
        ),
        pytest.param(
            {
                "lookup": [
                    _page(
                        _promotion(
                            promotionRestriction={
                                "issualRestrictions": [
                                    {"kpi": "K", "limitOn": "CUSTOMER", "maxLimit": 1}
                                    | {"currentCustomerUsage": 1}
                                ]
                            }
                        )
                    )
                ]
            },
            [("LIMIT_EXHAUSTED", "call-1")],
            id="used up",
        ),
        pytest.param({"lookup": [_page()]}, [("NO_PROMOTION_AVAILABLE", "call-1")], id="nothing"),
        pytest.param(
            {"lookup": [_page(_promotion(pointsOfferType="GENERIC"))]},
            [("NO_PROMOTION_AVAILABLE", "call-1")],
            id="nothing of ours",
        ),
        pytest.param(
            {"lookup": [(503, {}), (200, _error(8015))]}, [("CUSTOMER_NOT_FOUND", "call-2")], id="unknown"
        ),
        pytest.param({"lookup": [(200, _error(8013))]}, [("REJECTED", "call-1")], id="lookup refused"),
        pytest.param(
            {"lookup": [_page(_promotion())], ISSUE: [(200, _error(8874))]},
            [("REJECTED", "call-2")],
            id="issue refused",
        ),
        pytest.param(
            {"lookup": [_page(_promotion())], ISSUE: [(200, _error(8015))]},
            [("CUSTOMER_NOT_FOUND", "call-2")],
            id="unknown to the issue",
        ),
        pytest.param(
            {"lookup": [_page(_promotion())], ISSUE: [(422, {})]},
            [("REJECTED", "call-2")],
            id="422, and it did not show",
        ),
        pytest.param(
            {
                "lookup": [
                    _page(*_ALL.values(), total=102),
                    _page(_promotion(101, 12), _promotion(102, 13), total=102),
                ],
                ISSUE: [ISSUED],
            },
            [*(("ENROLLED", f"call-{number + 2}") for number in range(1, 101))]
            + [("ALREADY_ENROLLED", "call-2")] * 2,
            id="shown on the second page",
        ),
    ],
)
async def test_the_answer_that_settles_it(
    answers: dict[str, list[tuple[int, object]]], outcomes: list[tuple[str, str]]
) -> None:
    """The outcome names the one request that Capillary must look at, of all that the event led to."""
    story = await tell(PlayedApi(answers))
    assert [(told["outcome"], told.get("apiRequestId")) for told in story.outcomes] == outcomes


@pytest.mark.parametrize(
    ("answers", "outcome", "last"),
    [
        ({"lookup": [(500, {})]}, "DEFERRED", "lookup"),
        ({"lookup": [_page(_promotion())], ISSUE: [(200, _error(521))]}, "DEFERRED", ISSUE),
        ({"lookup": [_page(_promotion())], ISSUE: [(500, {})]}, "DEFERRED", ISSUE),
        ({"lookup": [_page(_promotion()), (500, {})], ISSUE: [(500, {})]}, "DEFERRED", "lookup"),
        (
            {"lookup": [_page(_promotion(7) | {"customerPromotionTimelines": None})], ISSUE: [(500, {})]},
            "DEAD_LETTERED",
            "lookup",
        ),
        ({"lookup": [_page(_promotion()), _page()], ISSUE: [(500, {})]}, "DEAD_LETTERED", "lookup"),
    ],
)
async def test_the_answer_that_settled_nothing(
    answers: dict[str, list[tuple[int, object]]], outcome: str, last: str
) -> None:
    """What is put off or given up names the last answer that was no use."""
    api = PlayedApi(answers)
    told = (await tell(api)).only
    path = api.lookup_path if last == "lookup" else last
    number = max(number for number, each in enumerate(api.paths, 1) if each == path)
    assert (told["outcome"], told["apiRequestId"]) == (outcome, f"call-{number}")


async def test_calls_that_are_repeated() -> None:
    """Each failure is told under its own answer's id, not under that of the answer before or after."""
    api = PlayedApi(
        {"lookup": [(502, {}), (401, {}), _page(_promotion())], ISSUE: [(200, _error(461)), ISSUED]}
    )
    story = await tell(api)
    told = [(where, fault.request_id) for where, fault in story.waits if isinstance(fault, Fault)]
    assert told == [("lookup", "call-1"), ("lookup", "call-2"), ("issue", "call-4")]
    assert story.only["apiRequestId"] == "call-5"
