"""The client against real HTTP servers in this process."""

import asyncio
import gzip
import json
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from opentelemetry import baggage, context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from worker.capillary.client import CapillaryClient
from worker.capillary.config import Basic, CapillaryConfig, OAuth
from worker.capillary.connections import BODY_LIMIT
from worker.capillary.ports import OpenGate
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    FaultKind,
    Found,
    Issued,
    Misconfigured,
    Notice,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.priority import Priority
from worker.domain.promotions import Identifier, IdentifierName
from worker.enrolment.ports import PromotionsApi

pytestmark = pytest.mark.asyncio

MOBILE = Identifier(IdentifierName.MOBILE, "919812345678", "INSTORE")
EMPTY = {"customerId": 1, "promotions": [], "pageDetails": {"totalEntries": 0}}
ISSUED = {"warnings": [], "errors": [], "sideEffects": [{"programId": 3, "promotionId": 7, "issualId": 11}]}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Stream = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _serving(handler: Handler) -> AsyncIterator[str]:
    """Serve every path with one handler; give the base URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _listening(talk: Stream) -> AsyncIterator[str]:
    """Serve raw connections; give the base URL."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _as_port(client: CapillaryClient) -> PromotionsApi:
    """Let mypy check that the client is what the use case needs."""
    return client


def _client(base_url: str, timeout_seconds: float = 5.0, **options: Any) -> CapillaryClient:  # noqa: ANN401 - passed on
    connections = options.pop("max_connections", 16)
    credentials = options.pop("credentials", Basic("user", "hush"))
    config = CapillaryConfig(
        base_url=base_url,
        credentials=credentials,
        timeout_seconds=timeout_seconds,
        max_connections=connections,
    )
    return CapillaryClient(config, **options)


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(h[15:]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


@pytest.mark.parametrize("value", ["+91 98", "a+b@example.com", "x&y=z#1/%41%", "é—ü", "a%20b;c", "' OR 1=1"])
async def test_identifiers_arrive_as_they_are(value: str) -> None:
    """Whatever an identifier holds, the server reads the same value and the same query."""
    seen: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(dict(request.query))
        return web.json_response(EMPTY if request.method == "GET" else ISSUED)

    identifier = Identifier(IdentifierName.EXTERNAL_ID, value)
    async with _serving(handler) as url, _client(url) as client:
        assert isinstance(await client.lookup(identifier), Found)
        assert await client.issue(identifier, 3, 7, "key") == Issued(11, ())
    customer = {"identifierName": "externalId", "identifierValue": value, "source": "INSTORE"}
    assert seen == [
        customer
        | {"promotionType": "ENROL_AND_ISSUE", "promotionStatusForCustomer": "AVAILABLE_TO_ENROL"}
        | {"limit": "100", "offset": "0"},
        customer,
    ]


async def test_issue_on_the_wire() -> None:
    """The issue's path, body, key and credentials arrive as the page wants them."""
    seen: list[tuple[str, object, str | None, str | None, str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        headers = request.headers
        seen.append(
            (
                request.path,
                await request.json(),
                headers.get("Idempotency-Key"),
                headers.get("Authorization"),
                headers.get("Cookie"),
            )
        )
        return web.json_response(ISSUED, headers={"Set-Cookie": "session=1"})

    # A name: cookies of bare addresses would not come back anyway.
    async with (
        _serving(handler) as url,
        _client(url.replace("127.0.0.1", "localhost") + "/prefix/") as client,
    ):
        for _ in range(2):
            await client.issue(MOBILE, 3, 7, "d7f4")
    expected = (
        "/prefix/v2/promotion/issue",
        {"programId": 3, "promotionId": 7},
        '"d7f4"',
        "Basic dXNlcjpodXNo",
        None,
    )
    assert seen == [expected, expected]


async def test_all_pages_of_a_compressed_lookup() -> None:
    """169 promotions arrive once each, in two compressed pages."""

    async def handler(request: web.Request) -> web.Response:
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        entries = [{"promotionId": n, "programId": 1} for n in range(169)]
        page = {
            "customerId": 1,
            "promotions": entries[offset : offset + limit],
            "pageDetails": {"totalEntries": 169},
        }
        packed = gzip.compress(json.dumps(page).encode())
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with _serving(handler) as url, _client(url) as client:
        answer = await client.lookup(MOBILE)
    assert isinstance(answer, Found)
    assert [p.promotion_id for p in answer.customer.promotions] == list(range(169))


class _OAuthServer:
    """Hands out tokens and accepts only the latest `good` one."""

    def __init__(self, *, accepting: bool = True) -> None:
        self.tokens = 0
        self.requests: list[str | None] = []
        self.good = "t1" if accepting else ""

    async def handle(self, request: web.Request) -> web.Response:
        if request.path == "/v3/oauth/token/generate":
            assert await request.json() == {"key": "key", "secret": "hush"}
            self.tokens += 1
            await asyncio.sleep(0.02)
            return web.json_response(
                {"data": {"accessToken": f"t{self.tokens}", "ttlSeconds": 300}, "errors": None}
            )
        token = request.headers.get("X-CAP-API-OAUTH-TOKEN")
        self.requests.append(token)
        return web.json_response(EMPTY) if token == self.good else web.Response(status=401)


async def test_oauth_token_is_fetched_once_and_renewed_after_a_401() -> None:
    """Twenty callers share one token, and one refresh when the server has dropped it."""
    server = _OAuthServer()
    async with _serving(server.handle) as url, _client(url, credentials=OAuth("key", "hush")) as client:
        answers = await asyncio.gather(*(client.lookup(MOBILE) for _ in range(20)))
        assert (server.tokens, all(isinstance(a, Found) for a in answers)) == (1, True)
        server.good = "t2"
        answers = await asyncio.gather(*(client.lookup(MOBILE) for _ in range(20)))
        assert (server.tokens, all(isinstance(a, Found) for a in answers)) == (2, True)


async def test_oauth_gives_up_after_the_second_401() -> None:
    """A 401 is repeated once with a new token; the second one is a fault of configuration."""
    server = _OAuthServer(accepting=False)
    async with _serving(server.handle) as url, _client(url, credentials=OAuth("key", "hush")) as client:
        assert isinstance(await client.lookup(MOBILE), Misconfigured)
    assert server.requests == ["t1", "t2"]


async def test_how_urgent_each_request_is() -> None:
    """A lookup is what its caller says; what goes on with an event goes first all the same."""
    passed: list[Priority] = []

    class Gate(OpenGate):
        async def enter(self, priority: Priority) -> float:
            passed.append(priority)
            return 0.0

    async def handler(request: web.Request) -> web.Response:
        if "token" in request.path:
            return web.json_response({"data": {"accessToken": "t", "ttlSeconds": 300}, "errors": None})
        return web.json_response(EMPTY if request.method == "GET" else ISSUED)

    async with _serving(handler) as url, _client(url, credentials=OAuth("k", "s"), gate=Gate()) as client:
        for priority in (Priority.BACKLOG, Priority.LIVE):
            await client.lookup(MOBILE, priority=priority)
            await client.lookup(MOBILE, available_to_enrol=False, priority=priority)
        await client.lookup(MOBILE)
        await client.issue(MOBILE, 3, 7, "key")
        await client.serves()
    begun = Priority.BEGUN
    expected = [begun, Priority.BACKLOG, begun, Priority.LIVE, begun, Priority.LIVE, begun, Priority.LIVE]
    assert passed == expected


async def test_an_enrolment_is_not_repeated_for_a_token() -> None:
    """What became of it is for its caller to read, with the new token."""
    server = _OAuthServer(accepting=False)
    async with _serving(server.handle) as url, _client(url, credentials=OAuth("key", "hush")) as client:
        assert isinstance(await client.issue(MOBILE, 3, 7, "key"), Doubtful)
        await client.lookup(MOBILE)
    assert server.requests == ["t1", "t2", "t3"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {}),
        (200, {"errors": [{"code": 999, "message": "Invalid access token"}]}),
        (200, {"errors": [{"code": 4711, "message": "sorry"}]}),
        (200, {"message": "token expired"}),
        (302, {}),
    ],
)
async def test_a_token_that_served_and_may_have_ended_is_renewed_once(status: int, body: object) -> None:
    """It is repeated once; the answer to a token that was just renewed is what it says."""
    tokens: list[str | None] = []
    good = {"t1", "t2"}

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/v3/oauth/token/generate":
            number = len({*tokens}) + 1
            return web.json_response({"data": {"accessToken": f"t{number}", "ttlSeconds": 300}})
        token = request.headers.get("X-CAP-API-OAUTH-TOKEN")
        tokens.append(token)
        return web.json_response(EMPTY) if token in good else web.json_response(body, status=status)

    async with _serving(handler) as url, _client(url, credentials=OAuth("key", "hush")) as client:
        assert isinstance(await client.lookup(MOBILE), Found)
        good.remove("t1")
        assert isinstance(await client.lookup(MOBILE), Found)
        good.remove("t2")
        for _ in range(3):
            assert not isinstance(await client.lookup(MOBILE), Found)
    assert tokens == ["t1", "t1", "t2", "t2", "t3", "t3", "t3"]


async def test_an_error_that_a_new_token_does_not_mend_asks_for_no_more_tokens() -> None:
    """A code that no page lists, of some customers alone: one token is asked for, once."""
    server = _OAuthServer()

    async def handler(request: web.Request) -> web.Response:
        answer = await server.handle(request)
        server.good = f"t{server.tokens}"
        if request.query.get("identifierValue") == "5":
            return web.json_response({"errors": [{"code": 4711, "message": "sorry"}]})
        return web.json_response(EMPTY) if request.path.startswith("/v2") else answer

    someone = Identifier(IdentifierName.EXTERNAL_ID, "5")
    async with _serving(handler) as url, _client(url, credentials=OAuth("key", "hush")) as client:
        for _ in range(5):
            assert isinstance(await client.lookup(MOBILE), Found)
            assert await client.lookup(someone) == Refused((Notice(4711, "sorry"),))
    assert server.tokens == 2


async def test_a_refused_enrolment_asks_for_no_more_tokens() -> None:
    """A code that no page lists, of one promotion for everybody: one token is asked for, once."""
    server = _OAuthServer()

    async def handler(request: web.Request) -> web.Response:
        answer = await server.handle(request)
        server.good = f"t{server.tokens}"
        if request.path == "/v2/promotion/issue":
            return web.json_response({"errors": [{"code": 4711, "message": "sorry"}]})
        return answer

    async with _serving(handler) as url, _client(url, credentials=OAuth("key", "hush")) as client:
        for _ in range(5):
            assert isinstance(await client.lookup(MOBILE), Found)
            assert await client.issue(MOBILE, 3, 7, "key") == Refused((Notice(4711, "sorry"),))
    assert server.tokens == 2


@pytest.mark.parametrize(
    "ttl", [1e300, float("inf"), float("nan"), -5, 0, "1e308", "soon", None, [], 10**400]
)
async def test_no_life_of_a_token_is_a_fault(ttl: object) -> None:
    """However it is told, the token is used."""

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/v3/oauth/token/generate":
            return web.json_response({"data": {"accessToken": "t", "ttlSeconds": ttl}})
        return web.json_response(EMPTY)

    async with _serving(handler) as url, _client(url, credentials=OAuth("key", "hush")) as client:
        assert isinstance(await client.lookup(MOBILE), Found)


@pytest.mark.parametrize("where", ["build", "send", "judge", "token", "pages"])
async def test_a_fault_of_our_own_code_is_no_events(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told by its type and place; an enrolment that may have left is in doubt."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError(MOBILE.value)

    async def broken_reading(_: object) -> None:
        raise KeyError(MOBILE.value)

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/v3/oauth/token/generate":
            return web.json_response({"data": {"accessToken": "t", "ttlSeconds": 300}})
        return web.json_response(EMPTY)

    names = {
        "build": "worker.capillary.transport.URL",
        "send": "worker.capillary.transport._read",
        "judge": "worker.capillary.verdict.notices_of",
        "token": "worker.capillary.client.judge_token",
        "pages": "worker.capillary.client.read_all",
    }
    credentials = OAuth("key", "hush") if where == "token" else Basic("user", "hush")
    async with _serving(handler) as url, _client(url, credentials=credentials) as client:
        monkeypatch.setattr(names[where], broken_reading if where == "pages" else broken)
        read, issued = await client.lookup(MOBILE), await client.issue(MOBILE, 3, 7, "key")
    for answer in (read, issued) if where != "pages" else (read,):
        assert isinstance(answer, Unsent | Doubtful)
        assert answer.kind is FaultKind.INTERNAL
        assert "KeyError at test_capillary_http.py" in answer.detail
        assert MOBILE.value not in answer.detail
    assert isinstance(issued, Unsent if where in ("build", "token") else Doubtful)


@pytest.mark.parametrize("location", ["/elsewhere", "http://[::1", "http://other.example/x"])
async def test_redirects_are_not_followed(location: str) -> None:
    """Credentials go nowhere else; a redirect is a fault of configuration, and leaves an enrolment open."""
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=302, headers={"Location": location})

    async with _serving(handler) as url, _client(url) as client:
        answer = await client.issue(MOBILE, 3, 7, "key")
        read = await client.lookup(MOBILE)
    said = "HTTP 302: redirects are not followed"
    assert (answer, len(paths)) == (Doubtful(FaultKind.MISCONFIGURED, said), 2)
    assert read == Misconfigured(said)


async def test_throttling() -> None:
    """A 429 tells how long to wait."""

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "9"}, text="slow down")

    async with _serving(handler) as url, _client(url) as client:
        assert await _as_port(client).lookup(MOBILE) == Throttled(9.0)


@pytest.mark.parametrize(
    ("status", "serves"),
    [
        (200, True),
        (302, True),
        (400, True),
        (401, True),
        (404, True),
        (408, False),
        (425, False),
        (429, False),
        (500, False),
        (503, False),
    ],
)
async def test_whether_the_api_serves(status: int, serves: bool) -> None:  # noqa: FBT001 - a table
    """Any answer shows a server at work, except those that stand for its absence or its overload."""
    observer = _Observer()

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="<html/>")

    async with _serving(handler) as url, _client(url, observer=observer) as client:
        assert await _as_port(client).serves() is serves
    assert [endpoint for endpoint, _ in observer.seen] == ["catalogue"]


@pytest.mark.parametrize("talk", ["silence", "reset", "noise"])
async def test_an_api_that_does_not_serve(talk: str) -> None:
    """Silence, a reset and an answer that is not HTTP show nobody at work; so does a refused connection."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read_request(reader)
        if talk == "noise":
            writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        elif talk == "silence":
            await reader.read()

    async with _listening(connection) as url, _client(url, 0.3) as client:
        assert await client.serves() is False
    async with _client(url, 0.3) as client:
        assert await client.serves() is False


@pytest.mark.parametrize(("status", "serves"), [(401, True), (503, False)])
async def test_whether_the_api_serves_without_a_token(status: int, serves: bool) -> None:  # noqa: FBT001 - a table
    """A token endpoint that refuses us is an API at work; one that fails is not."""

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    async with _serving(handler) as url, _client(url, credentials=OAuth("key", "hush")) as client:
        assert await client.serves() is serves


async def test_nobody_listens() -> None:
    """A refused connection means that nothing was sent."""
    async with _listening(_read_forever) as url:
        pass
    async with _client(url) as client:
        answer = await client.issue(MOBILE, 3, 7, "key")
    assert isinstance(answer, Unsent)
    assert (answer.kind, "Refused" in answer.detail) == (FaultKind.NOT_CONNECTED, True)


async def _read_forever(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_unknown_host() -> None:
    """A name that does not resolve means that nothing was sent."""
    async with _client("http://no-such-host.invalid") as client:
        answer = await client.issue(MOBILE, 3, 7, "key")
    assert isinstance(answer, Unsent)


async def test_time_out_while_waiting_for_a_connection() -> None:
    """With all connections busy a request was never sent; the one that keeps them busy is in doubt."""
    async with _listening(_read_forever) as url, _client(url, 0.6, max_connections=1) as client:
        busy = asyncio.create_task(client.issue(MOBILE, 3, 7, "key"))
        await asyncio.sleep(0.1)
        # The later one gives up earlier, so that the connection does not come free for it.
        client._transport._seconds = 0.1
        assert await client.issue(MOBILE, 3, 7, "key") == Unsent(FaultKind.NOT_CONNECTED, "TimeoutError")
        assert await busy == Doubtful(FaultKind.TIMEOUT, "TimeoutError")


async def test_time_out_while_connecting() -> None:
    """A server that never answers the TLS handshake was sent nothing."""
    async with _listening(_read_forever) as url, _client(url.replace("http:", "https:"), 0.2) as client:
        answer = await client.issue(MOBILE, 3, 7, "key")
    assert isinstance(answer, Unsent)


async def test_time_out_bounds_the_whole_request() -> None:
    """A server that keeps dripping bytes does not hold a request beyond its time-out."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with _listening(drip) as url, _client(url, 0.4) as client:
        started = time.monotonic()
        answer = await client.issue(MOBILE, 3, 7, "key")
        assert time.monotonic() - started < 2
    assert answer == Doubtful(FaultKind.TIMEOUT, "TimeoutError")


async def test_a_kept_alive_connection_that_closes_leaves_an_issue_in_doubt() -> None:
    """The server may have read the request before it closed: in doubt, and not sent again behind our back."""
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await _read_request(reader))
        body = json.dumps(ISSUED).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        received.append(await _read_request(reader))

    async with _listening(talk) as url, _client(url) as client:
        assert await client.issue(MOBILE, 3, 7, "key") == Issued(11, ())
        second = await client.issue(MOBILE, 3, 7, "key")
    assert second == Doubtful(FaultKind.DISCONNECTED, "ServerDisconnectedError")
    assert len(received) == 2


@pytest.mark.parametrize(
    ("headers", "body", "flaw"),
    [
        ({}, b" " * (BODY_LIMIT + 1), f"more than {BODY_LIMIT} bytes"),
        (
            {"Content-Encoding": "gzip"},
            gzip.compress(b" " * (40 * BODY_LIMIT)),
            f"more than {BODY_LIMIT} bytes",
        ),
        ({"Content-Encoding": "gzip"}, b"no gzip at all", "damaged compression"),
    ],
)
async def test_bodies_are_bounded(headers: dict[str, str], body: bytes, flaw: str) -> None:
    """An endless, exploding or damaged body is a malformed answer, memory stays small, the client goes on."""
    answers = [web.Response(body=body, headers=headers), web.json_response(ISSUED)]

    async def handler(_request: web.Request) -> web.Response:
        return answers.pop(0)

    async with _serving(handler) as url, _client(url) as client:
        tracemalloc.start()
        first = await client.issue(MOBILE, 3, 7, "key")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        second = await client.issue(MOBILE, 3, 7, "key")
    assert peak < 6 * BODY_LIMIT, peak
    assert first == Doubtful(FaultKind.MALFORMED, f"HTTP 200, {flaw}, no usable body")
    assert second == Issued(11, ())


class _Observer:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def request_finished(self, endpoint: str, result: str, seconds: float) -> None:
        assert 0 <= seconds < 5
        self.seen.append((endpoint, result))


async def test_what_telemetry_sees(caplog: pytest.LogCaptureFixture) -> None:
    """Each request is one client span and one observation; none of them, and no log, holds the identifier."""
    caplog.set_level(logging.DEBUG)
    exporter, observer = InMemorySpanExporter(), _Observer()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    parents: list[tuple[str | None, str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        parents.append((request.headers.get("traceparent"), request.headers.get("baggage")))
        message = {"code": 8015, "message": f"nobody has {MOBILE.value}"}
        status, body = (200, {"errors": [message]}) if request.method == "GET" else (502, {})
        return web.json_response(body, status=status)

    marker = context.attach(baggage.set_baggage("mobile", MOBILE.value))
    tracer = provider.get_tracer("test")
    async with _serving(handler) as url, _client(url, tracer=tracer, observer=observer) as client:
        lookup = await client.lookup(MOBILE)
        issue = await client.issue(MOBILE, 3, 7, "key", resend_count=2)
    context.detach(marker)
    assert lookup == CustomerNotFound((Notice(8015, "nobody has ***"),))
    assert issue == Doubtful(FaultKind.SERVER_ERROR, "HTTP 502")
    assert observer.seen == [("lookup", "customer_not_found"), ("issue", "server_error")]

    first, second = exporter.get_finished_spans()
    port = int(url.rpartition(":")[2])
    assert first.attributes == {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.full": f"{url}/v2/customers/lookup/promotionData",
        "http.response.status_code": 200,
    }
    assert second.attributes == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.full": f"{url}/v2/promotion/issue",
        "enrolment.program.id": 3,
        "enrolment.promotion.id": 7,
        "enrolment.idempotency_key": "key",
        "http.response.status_code": 502,
        "http.request.resend_count": 2,
        "error.type": "502",
    }
    assert (first.status.status_code, second.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert [f"{s.context.trace_id:032x}-{s.context.span_id:016x}" for s in (first, second)] == [
        (parent or "")[3:52] for parent, _ in parents
    ]
    assert [bag for _, bag in parents] == [None, None]
    assert MOBILE.value not in caplog.text + first.to_json() + second.to_json()


async def test_a_cancelled_request_ends_its_span() -> None:
    """A drain that gives up on a request leaves no span open and no connection in use."""
    exporter, observer = InMemorySpanExporter(), _Observer()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    arrived = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await _read_request(reader)
        arrived.set()
        await reader.read()

    tracer = provider.get_tracer("test")
    async with _listening(stall) as url, _client(url, tracer=tracer, observer=observer) as client:
        task = asyncio.create_task(client.issue(MOBILE, 3, 7, "key"))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert (span.attributes["error.type"], observer.seen) == ("CancelledError", [])
