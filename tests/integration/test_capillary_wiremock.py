"""The client against WireMock: HTTP faults made by software that nobody here wrote."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.support.tools.wiremock import (
    ISSUE,
    LOOKUP,
    TOKEN,
    WireMock,
    html_answer,
    json_answer,
    running_wiremock,
)
from worker.capillary.client import CapillaryClient
from worker.capillary.config import ApiVersion, Attribution, Basic, CapillaryConfig, OAuth
from worker.domain.answers import (
    Doubtful,
    FaultKind,
    Found,
    IssueAnswer,
    Issued,
    LookupAnswer,
    Misconfigured,
    NotIssued,
    Throttled,
    Unsent,
)
from worker.domain.promotions import Identifier, IdentifierName

pytestmark = pytest.mark.asyncio

SAMPLES = Path(__file__).parents[1] / "fixtures" / "capillary"
NO_ERROR = "HTTP 404 without an error of the API"
REFUSED = "HTTP 401: the credentials are refused"
MOBILE = Identifier(IdentifierName.MOBILE, "919812345678", "INSTORE")


@pytest.fixture(scope="module")
def wiremock_url() -> Iterator[str]:
    """Run WireMock for this module."""
    with running_wiremock() as url:
        yield url


@pytest_asyncio.fixture
async def wiremock(wiremock_url: str) -> AsyncIterator[WireMock]:
    """Give a WireMock without stubs and without memory."""
    async with aiohttp.ClientSession() as admin:
        wiremock = WireMock(wiremock_url, admin)
        await wiremock.reset()
        yield wiremock


def _client(url: str, timeout_seconds: float = 5.0) -> CapillaryClient:
    return CapillaryClient(
        CapillaryConfig(base_url=url, credentials=Basic("user", "hush"), timeout_seconds=timeout_seconds)
    )


async def _issue(
    wiremock: WireMock, response: dict[str, object], timeout_seconds: float = 5.0
) -> IssueAnswer:
    """Issue once against that response; whatever comes of it, one POST must have arrived."""
    await wiremock.answers(ISSUE, response)
    async with _client(wiremock.url, timeout_seconds) as client:
        answer = await client.issue(MOBILE, 469, 57099, "a-key")
    assert len(await wiremock.received(ISSUE)) == 1
    return answer


async def _look_up(wiremock: WireMock, response: Mapping[str, object]) -> object:
    """Look up once against that response; whatever comes of it, one request must have arrived."""
    await wiremock.answers(LOOKUP, response)
    async with _client(wiremock.url, 0.5) as client:
        answer = await client.lookup(MOBILE)
    assert len(await wiremock.received(LOOKUP)) == 1
    return answer


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("CONNECTION_RESET_BY_PEER", {FaultKind.DISCONNECTED}),
        ("EMPTY_RESPONSE", {FaultKind.DISCONNECTED}),
        # Where head and garbage arrive apart, aiohttp 3.14 leaves the body hanging until the time-out.
        ("MALFORMED_RESPONSE_CHUNK", {FaultKind.DISCONNECTED, FaultKind.MALFORMED, FaultKind.TIMEOUT}),
        ("RANDOM_DATA_THEN_CLOSE", {FaultKind.DISCONNECTED, FaultKind.MALFORMED}),
    ],
)
async def test_broken_answers_leave_an_issue_in_doubt(
    wiremock: WireMock, fault: str, kinds: set[FaultKind]
) -> None:
    """However the connection breaks after the request, the issue is in doubt and is not sent twice."""
    answer = await _issue(wiremock, {"fault": fault})
    assert isinstance(answer, Doubtful)
    assert answer.kind in kinds


async def test_a_late_answer_is_in_doubt(wiremock: WireMock) -> None:
    """An answer after the time-out counts for nothing: the issue is in doubt."""
    late = json_answer({"sideEffects": [{"issualId": 1}]}, fixedDelayMilliseconds=1500)
    assert await _issue(wiremock, late, 0.3) == Doubtful(FaultKind.TIMEOUT, "TimeoutError")


async def test_a_dribbling_answer_is_in_doubt(wiremock: WireMock) -> None:
    """An answer that dribbles beyond the time-out is in doubt."""
    dribble = {"numberOfChunks": 10, "totalDuration": 3000}
    answer = await _issue(wiremock, json_answer({"sideEffects": []}, chunkedDribbleDelay=dribble), 0.5)
    assert answer == Doubtful(FaultKind.TIMEOUT, "TimeoutError")


@pytest.mark.parametrize(
    ("status", "issued", "read"),
    [
        (502, *[Doubtful(FaultKind.SERVER_ERROR, "HTTP 502")] * 2),
        (200, *[Doubtful(FaultKind.MALFORMED, "HTTP 200, no usable body")] * 2),
        (404, Doubtful(FaultKind.MISCONFIGURED, NO_ERROR), Misconfigured(NO_ERROR)),
    ],
)
async def test_answers_of_proxies(
    wiremock: WireMock, status: int, issued: IssueAnswer, read: LookupAnswer
) -> None:
    """HTML leaves an enrolment open under any status; under 404 it is a fault of configuration, too."""
    assert await _issue(wiremock, html_answer(status)) == issued
    assert await _look_up(wiremock, html_answer(status)) == read


@pytest.mark.parametrize(
    "response",
    [
        {"fault": "CONNECTION_RESET_BY_PEER"},
        {"fault": "EMPTY_RESPONSE"},
        {"fault": "MALFORMED_RESPONSE_CHUNK"},
        {"fault": "RANDOM_DATA_THEN_CLOSE"},
        json_answer({}, fixedDelayMilliseconds=1500),
        json_answer({}, chunkedDribbleDelay={"numberOfChunks": 10, "totalDuration": 3000}),
        {"status": 200},
        {"status": 500},
    ],
    ids=["reset", "empty", "malformed", "random", "slow", "trickled", "no body", "500"],
)
async def test_a_lookup_without_an_answer(wiremock: WireMock, response: dict[str, object]) -> None:
    """However a lookup fails, that is the answer, after one request; repeating it is for others to decide."""
    assert isinstance(await _look_up(wiremock, response), Doubtful)


async def test_a_storm_of_500s(wiremock: WireMock) -> None:
    """Each of many calls gets its fault, one request each, and the client works as before when it is over."""
    await wiremock.answers(LOOKUP, {"status": 500})
    async with _client(wiremock.url) as client:
        stormy = await asyncio.gather(*(client.lookup(MOBILE) for _ in range(20)))
        await wiremock.answers(LOOKUP, _sample("lookup_enrolled"))
        calm = await client.lookup(MOBILE)
    assert stormy == [Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")] * 20
    assert isinstance(calm, Found)
    assert len(await wiremock.received(LOOKUP)) == 21


async def test_redirects_stay_where_they_are(wiremock: WireMock) -> None:
    """A redirect is a fault of configuration and leaves an enrolment open; its target sees nothing of us."""
    await wiremock.answers({"urlPath": "/elsewhere"}, {"status": 200})
    answer = await _issue(wiremock, {"status": 302, "headers": {"Location": f"{wiremock.url}/elsewhere"}})
    assert answer == Doubtful(FaultKind.MISCONFIGURED, "HTTP 302: redirects are not followed")
    assert await wiremock.received({"urlPath": "/elsewhere"}) == []


async def test_throttling(wiremock: WireMock) -> None:
    """A 429 tells the wait in seconds or as a date, or leaves it open; a lookup's like an issue's."""
    assert await _issue(wiremock, _throttled("4")) == Throttled(4.0, may_be_applied=True)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    answer = await _look_up(wiremock, _throttled(date))
    assert isinstance(answer, Throttled)
    assert answer.retry_after is not None
    assert 27 < answer.retry_after <= 30


async def test_wrong_credentials(wiremock: WireMock) -> None:
    """A 401 on a fixed password is a fault of configuration at once: nothing could be renewed."""
    assert await _issue(wiremock, html_answer(401)) == Doubtful(FaultKind.MISCONFIGURED, REFUSED)
    assert isinstance(await _look_up(wiremock, json_answer({}, 403)), Misconfigured)


@pytest.mark.parametrize("status", [200, 400, 401])
async def test_wrong_client_secret(wiremock: WireMock, status: int) -> None:
    """Without a token nothing is sent, and the reason is one of configuration."""
    await wiremock.answers(TOKEN, json_answer({"errors": [{"code": 1, "message": "no such key"}]}, status))
    async with _oauth_client(wiremock.url) as client:
        assert isinstance(await client.issue(MOBILE, 469, 57099, "a-key"), Misconfigured)
    assert await wiremock.received(ISSUE) == []


async def test_no_token_for_now(wiremock: WireMock) -> None:
    """While the token endpoint is out of order the issue is unsent, not in doubt."""
    await wiremock.answers(TOKEN, html_answer(502))
    async with _oauth_client(wiremock.url) as client:
        answer = await client.issue(MOBILE, 469, 57099, "a-key")
    assert answer == Unsent(FaultKind.SERVER_ERROR, "no token: HTTP 502")


async def test_an_expired_token_is_renewed_once(wiremock: WireMock) -> None:
    """Behind a 401 the issue is left open, for a reading, and the next request has a new token."""
    await wiremock.answers_in_turn("tokens", TOKEN, [_token("old"), _token("new")])
    await wiremock.answers(_with_token("old"), {"status": 401})
    await wiremock.answers(_with_token("new"), _sample("issue_issued"))
    async with _oauth_client(wiremock.url) as client:
        refused = await client.issue(MOBILE, 469, 57099, "a-key")
        assert refused == Doubtful(FaultKind.MISCONFIGURED, REFUSED)
        assert await client.issue(MOBILE, 469, 57099, "a-key") == Issued(3, ())
    requests = await wiremock.received(ISSUE)
    assert {request["headers"]["idempotency-key"] for request in requests} == {'"a-key"'}
    assert (len(requests), len(await wiremock.received(TOKEN))) == (2, 2)


async def test_a_second_401_is_a_fault_of_configuration(wiremock: WireMock) -> None:
    """A lookup whose new token is refused as well is not repeated again."""
    await wiremock.answers_in_turn("tokens", TOKEN, [_token("old"), _token("new")])
    await wiremock.answers(LOOKUP, {"status": 401})
    async with _oauth_client(wiremock.url) as client:
        answer = await client.lookup(MOBILE)
    assert answer == Misconfigured(REFUSED)
    assert (len(await wiremock.received(LOOKUP)), len(await wiremock.received(TOKEN))) == (2, 2)


def _throttled(retry_after: str) -> dict[str, object]:
    return {"status": 429, "headers": {"Retry-After": retry_after}}


def _oauth_client(url: str) -> CapillaryClient:
    return CapillaryClient(CapillaryConfig(base_url=url, credentials=OAuth("key", "hush")))


def _token(token: str) -> dict[str, object]:
    return json_answer({"data": {"accessToken": token, "ttlSeconds": 300}})


def _with_token(token: str) -> dict[str, object]:
    return ISSUE | {"headers": {"X-CAP-API-OAUTH-TOKEN": {"equalTo": token}}}


def _sample(name: str) -> dict[str, object]:
    return json_answer(json.loads((SAMPLES / f"{name}.json").read_text()))


@pytest.mark.parametrize("status", [200, 400])
async def test_sample_of_an_exhausted_limit(wiremock: WireMock, status: int) -> None:
    """The page's sample of an 8890 is understood under any status."""
    limit = json.loads((SAMPLES / "issue_limit.json").read_text())
    answer = await _issue(wiremock, json_answer(limit, status))
    assert isinstance(answer, NotIssued)
    assert [warning.code for warning in answer.warnings] == [8890]


async def test_what_wiremock_accepts_as_an_issue(wiremock: WireMock) -> None:
    """Another HTTP implementation reads query, headers, credentials and body as the page describes them."""
    strict = ISSUE | {
        "queryParameters": {
            "identifierName": {"equalTo": "mobile"},
            "identifierValue": {"equalTo": MOBILE.value},
            "source": {"equalTo": "INSTORE"},
        },
        "headers": {
            "Idempotency-Key": {"equalTo": '"a-key"'},
            "Content-Type": {"equalTo": "application/json"},
        },
        "basicAuthCredentials": {"username": "user", "password": "hush"},
        "bodyPatterns": [{"equalToJson": {"programId": 469, "promotionId": 57099}}],
    }
    issued = json.loads((SAMPLES / "issue_issued.json").read_text())
    await wiremock.answers(strict, json_answer(issued))
    async with _client(wiremock.url) as client:
        assert await client.issue(MOBILE, 469, 57099, "a-key") == Issued(3, ())


async def test_in_whose_name_is_asked_and_what_it_is_traced_by(wiremock: WireMock) -> None:
    """Another HTTP implementation finds scope and attribution under the documented names, and tells an id."""
    attribution = {
        "X-CAP-API-ATTRIBUTION-ENTITY-TYPE": {"equalTo": "STORE_NAME"},
        "X-CAP-API-ATTRIBUTION-ENTITY-CODE": {"equalTo": "High Street 1"},
    }
    scope = {
        "DATA-SCOPE": {"equalTo": "ALL"},
        "DATA-SCOPE-ORG": {"equalTo": "50405,50406"},
        "DATA-SCOPE-ORGS": {"equalTo": "50405,50406"},
    }
    lookup = LOOKUP | {"urlPath": "/v2.1/customers/lookup/promotionData", "headers": attribution | scope}
    sample = json.loads((SAMPLES / "lookup_v2_1.json").read_text())
    issued = json.loads((SAMPLES / "issue_issued.json").read_text())
    traced = {"headers": {"X-CAP-REQUEST-ID": "a63f9c30427bd4ce9843d599df00cef7"}}
    await wiremock.answers(lookup, json_answer(sample) | traced)
    await wiremock.answers(ISSUE | {"headers": attribution}, json_answer(issued) | traced)
    config = CapillaryConfig(
        base_url=wiremock.url,
        credentials=Basic("user", "hush"),
        api_version=ApiVersion.V2_1,
        data_scope="ALL",
        data_scope_orgs=(50405, 50406),
        attribution=Attribution("STORE_NAME", "High Street 1"),
    )
    async with CapillaryClient(config) as client:
        found, enrolled = await client.lookup(MOBILE), await client.issue(MOBILE, 469, 57099, "a-key")
    assert isinstance(found, Found)
    assert isinstance(enrolled, Issued)
    assert found.customer.request_id == enrolled.request_id == "a63f9c30427bd4ce9843d599df00cef7"


async def test_a_sample_of_lookup(wiremock: WireMock) -> None:
    """The page's sample is read through WireMock, which compresses it."""
    sample = json.loads((SAMPLES / "lookup_enrolled.json").read_text())
    await wiremock.answers(LOOKUP, json_answer(sample))
    async with _client(wiremock.url) as client:
        answer = await client.lookup(MOBILE)
    assert isinstance(answer, Found)
    assert answer.customer.find(1085, 1119990) is not None


async def test_many_requests_over_few_connections(wiremock: WireMock) -> None:
    """More requests than connections all get through, in turn."""
    issued = json.loads((SAMPLES / "issue_issued.json").read_text())
    await wiremock.answers(ISSUE, json_answer(issued, fixedDelayMilliseconds=5))
    config = CapillaryConfig(base_url=wiremock.url, credentials=Basic("user", "hush"), max_connections=4)
    async with CapillaryClient(config) as client:
        answers = await asyncio.gather(*(client.issue(MOBILE, 469, 57099, f"key-{n}") for n in range(100)))
    assert answers == [Issued(3, ())] * 100
