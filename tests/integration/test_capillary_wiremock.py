"""The client against WireMock: HTTP faults made by software that nobody here wrote."""

import asyncio
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import aiohttp
import pytest
import pytest_asyncio

from worker.capillary.client import CapillaryClient
from worker.capillary.config import Basic, CapillaryConfig
from worker.demo.errors import BrokerUnavailable
from worker.demo.java import Java, find_java
from worker.demo.kafka_jars import Jar, cache_folder, fetch_from_maven
from worker.demo.processes import Household
from worker.domain.answers import (
    Doubtful,
    FaultKind,
    Found,
    IssueAnswer,
    Issued,
    Misconfigured,
    NotIssued,
    Throttled,
)
from worker.domain.promotions import Identifier, IdentifierName

pytestmark = pytest.mark.asyncio

WIREMOCK = Jar(
    "d097b19bd483c5038479b13a5c71e9faf8f2f5106584f0c120a7770ab0bdb367",
    19530671,
    "org.wiremock:wiremock-standalone:3.13.2",
)
START_SECONDS = 30.0
SAMPLES = Path(__file__).parents[1] / "fixtures" / "capillary"
MOBILE = Identifier(IdentifierName.MOBILE, "919812345678", "INSTORE")
ISSUE = {"method": "POST", "urlPath": "/v2/promotion/issue"}
LOOKUP = {"method": "GET", "urlPath": "/v2/customers/lookup/promotionData"}

pytest.importorskip("jgo", reason="WireMock's jar is fetched with jgo, which the demo extra brings")


@pytest.fixture(scope="module")
def wiremock_url() -> Iterator[str]:
    """Run WireMock for this module; skipped by name where Java or the jar cannot be had."""
    try:
        java, jar = find_java(), _wiremock_jar()
    except (BrokerUnavailable, OSError, RuntimeError) as reason:
        _skip(f"no WireMock: {reason}")
    with Household("wiremock-") as household:
        yield _started(household, java, jar)


def _skip(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _wiremock_jar() -> Path:
    """Return the pinned jar out of the user's cache, downloaded before where it is missing."""
    cached = cache_folder().parent / "wiremock" / WIREMOCK.file_name
    if not cached.exists() or hashlib.sha256(cached.read_bytes()).hexdigest() != WIREMOCK.sha256:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as staging:
            fetched = fetch_from_maven(WIREMOCK, Path(staging))
            if hashlib.sha256(fetched.read_bytes()).hexdigest() != WIREMOCK.sha256:
                raise RuntimeError(f"{WIREMOCK.file_name} differs from its pinned SHA-256")
            fetched.replace(cached)
    return cached


def _started(household: Household, java: Java, jar: Path) -> str:
    """Start WireMock on a port of its own choosing and return its base URL."""
    process = household.start(
        "wiremock", [java.path, "-Xmx256m", "-jar", jar, "--port", "0", "--bind-address", "127.0.0.1"]
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        port = re.search(r"^port:\s+(\d+)", process.log_tail(100), re.MULTILINE)
        if port:
            return f"http://127.0.0.1:{port[1]}"
        time.sleep(0.05)
    pytest.fail(f"WireMock did not start:\n{process.log_tail()}", pytrace=False)


@dataclass(frozen=True)
class WireMock:
    """Tells WireMock what to answer, and asks it what it got."""

    url: str
    admin: aiohttp.ClientSession

    async def answers(self, request: Mapping[str, object], response: Mapping[str, object]) -> None:
        mapping = {"request": request, "response": response}
        async with self.admin.post(f"{self.url}/__admin/mappings", json=mapping) as answer:
            answer.raise_for_status()

    async def received(self, request: Mapping[str, object]) -> int:
        async with self.admin.post(f"{self.url}/__admin/requests/count", json=request) as answer:
            counted = await answer.json()
        return int(counted["count"])


@pytest_asyncio.fixture
async def wiremock(wiremock_url: str) -> AsyncIterator[WireMock]:
    """Give a WireMock without stubs and without memory."""
    async with aiohttp.ClientSession() as admin:
        async with admin.post(f"{wiremock_url}/__admin/reset") as answer:
            answer.raise_for_status()
        yield WireMock(wiremock_url, admin)


def _client(url: str, timeout_seconds: float = 5.0) -> CapillaryClient:
    return CapillaryClient(CapillaryConfig(url, Basic("user", "hush"), timeout_seconds=timeout_seconds))


def _json(body: object, status: int = 200, **more: object) -> dict[str, object]:
    return {"status": status, "jsonBody": body, "headers": {"Content-Type": "application/json"}} | more


async def _issue(
    wiremock: WireMock, response: dict[str, object], timeout_seconds: float = 5.0
) -> IssueAnswer:
    """Issue once against that response; whatever comes of it, one POST must have arrived."""
    await wiremock.answers(ISSUE, response)
    async with _client(wiremock.url, timeout_seconds) as client:
        answer = await client.issue(MOBILE, 469, 57099, "a-key")
    assert await wiremock.received(ISSUE) == 1
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
    late = _json({"sideEffects": [{"issualId": 1}]}, fixedDelayMilliseconds=1500)
    assert await _issue(wiremock, late, 0.3) == Doubtful(FaultKind.TIMEOUT, "TimeoutError")


async def test_a_dribbling_answer_is_in_doubt(wiremock: WireMock) -> None:
    """An answer that dribbles beyond the time-out is in doubt."""
    dribble = {"numberOfChunks": 10, "totalDuration": 3000}
    answer = await _issue(wiremock, _json({"sideEffects": []}, chunkedDribbleDelay=dribble), 0.5)
    assert answer == Doubtful(FaultKind.TIMEOUT, "TimeoutError")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (502, Doubtful(FaultKind.SERVER_ERROR, "HTTP 502")),
        (404, Misconfigured("HTTP 404 without an error of the API")),
    ],
)
async def test_answers_of_proxies(wiremock: WireMock, status: int, expected: IssueAnswer) -> None:
    """HTML under 502 is a server's fault, under 404 a fault of configuration."""
    html = {"status": status, "body": "<html>Sorry</html>", "headers": {"Content-Type": "text/html"}}
    assert await _issue(wiremock, html) == expected


async def test_redirects_stay_where_they_are(wiremock: WireMock) -> None:
    """A redirect is answered as a fault of configuration; its target sees nothing of us."""
    await wiremock.answers({"urlPath": "/elsewhere"}, {"status": 200})
    answer = await _issue(wiremock, {"status": 302, "headers": {"Location": f"{wiremock.url}/elsewhere"}})
    assert answer == Misconfigured("HTTP 302: redirects are not followed")
    assert await wiremock.received({"urlPath": "/elsewhere"}) == 0


async def test_throttling(wiremock: WireMock) -> None:
    """WireMock's 429 with a wait is read as such."""
    answer = await _issue(wiremock, {"status": 429, "headers": {"Retry-After": "4"}})
    assert answer == Throttled(4.0)


@pytest.mark.parametrize("status", [200, 400])
async def test_sample_of_an_exhausted_limit(wiremock: WireMock, status: int) -> None:
    """The page's sample of an 8890 is understood under any status."""
    limit = json.loads((SAMPLES / "issue_limit.json").read_text())
    answer = await _issue(wiremock, _json(limit, status))
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
    await wiremock.answers(strict, _json(issued))
    async with _client(wiremock.url) as client:
        assert await client.issue(MOBILE, 469, 57099, "a-key") == Issued(3, ())


async def test_a_sample_of_lookup(wiremock: WireMock) -> None:
    """The page's sample is read through WireMock, which compresses it."""
    sample = json.loads((SAMPLES / "lookup_enrolled.json").read_text())
    await wiremock.answers(LOOKUP, _json(sample))
    async with _client(wiremock.url) as client:
        answer = await client.lookup(MOBILE)
    assert isinstance(answer, Found)
    assert answer.customer.find(1085, 1119990) is not None


async def test_many_requests_over_few_connections(wiremock: WireMock) -> None:
    """More requests than connections all get through, in turn."""
    issued = json.loads((SAMPLES / "issue_issued.json").read_text())
    await wiremock.answers(ISSUE, _json(issued, fixedDelayMilliseconds=5))
    config = CapillaryConfig(wiremock.url, Basic("user", "hush"), max_connections=4)
    async with CapillaryClient(config) as client:
        answers = await asyncio.gather(*(client.issue(MOBILE, 469, 57099, f"key-{n}") for n in range(100)))
    assert answers == [Issued(3, ())] * 100
