"""Raw servers: answers that nobody asked for, answers without end, and connections that age."""

import asyncio
import gzip
import json
import socket
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from worker.capillary.client import CapillaryClient
from worker.capillary.config import Basic, CapillaryConfig
from worker.capillary.connections import BODY_LIMIT
from worker.domain.answers import Doubtful, FaultKind, Found, IssueAnswer, Issued
from worker.domain.promotions import Identifier, IdentifierName

pytestmark = pytest.mark.asyncio

TWO = Identifier(IdentifierName.CUSTOMER_ID, "2")
SOMEONE = Identifier(IdentifierName.MOBILE, "919812345678")

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _page(customer_id: int) -> bytes:
    return _answer({"customerId": customer_id, "promotions": [], "pageDetails": {"totalEntries": 0}})


def _issued(issual_id: int) -> bytes:
    effect = {"programId": 3, "promotionId": 7, "issualId": issual_id}
    return _answer({"warnings": [], "errors": [], "sideEffects": [effect]})


def _answer(body: object) -> bytes:
    raw = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(raw), raw)


async def _request(reader: asyncio.StreamReader) -> bytes:
    """Read one request; empty where the client has closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(length[0][15:])) if length else b"")


@asynccontextmanager
async def _raw(talk: Talk) -> AsyncIterator[tuple[str, list[int]]]:
    """Serve raw connections; give the base URL and the list of the connections so far."""
    connections: list[int] = []

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(len(connections))
        try:
            await talk(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections


def _client(url: str, seconds: float = 5.0, timer: Callable[[], float] = time.monotonic) -> CapillaryClient:
    config = CapillaryConfig(base_url=url, credentials=Basic("user", "hush"), timeout_seconds=seconds)
    return CapillaryClient(config, timer=timer, jitter=lambda: 0.5)


async def _issue(client: CapillaryClient) -> IssueAnswer:
    return await client.issue(TWO, 3, 7, "key")


@pytest.mark.parametrize("pause", [0.0, 0.05])
@pytest.mark.parametrize("at_once", [True, False])
async def test_an_answer_that_nobody_asked_for_is_no_requests(pause: float, at_once: bool) -> None:  # noqa: FBT001 - a case
    """In one packet with the answer before it, or on the idle connection: 777's is not customer 2's."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await _request(reader):
            good, other = (_page(2), _page(777)) if request.startswith(b"GET") else (_issued(2), _issued(777))
            writer.write(good + other if at_once else good)
            await writer.drain()
            if not at_once:
                await asyncio.sleep(0.01)
                writer.write(other)

    async with _raw(talk) as (url, connections), _client(url) as client:
        for _ in range(3):
            assert isinstance(answer := await client.lookup(TWO), Found)
            assert answer.customer.customer_id == 2
            await asyncio.sleep(0.03 + pause)
            assert await _issue(client) == Issued(2, ())
            await asyncio.sleep(0.03 + pause)
    assert len(connections) == 6


@pytest.mark.parametrize("ask", ["lookup", "issue"])
async def test_what_lies_unread_on_a_connection_is_seen_before_it_is_used(ask: str) -> None:
    """Also by a loop that had no time to read it: the socket itself is asked."""
    writers: list[asyncio.StreamWriter] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while request := await _request(reader):
            writer.write(_page(2) if request.startswith(b"GET") else _issued(2))

    async with _raw(talk) as (url, connections), _client(url) as client:
        assert isinstance(await client.lookup(SOMEONE), Found)
        transport = writers[0].transport
        # Past asyncio, and with no turn of the loop in between.
        with socket.socket(fileno=socket.dup(transport.get_extra_info("socket").fileno())) as raw:
            raw.send(_page(777) if ask == "lookup" else _issued(777))
            time.sleep(0.05)  # noqa: ASYNC251 - see above
            answer = await (client.lookup(SOMEONE) if ask == "lookup" else _issue(client))
    told = answer.customer.customer_id if isinstance(answer, Found) else answer
    assert told == (2 if ask == "lookup" else Issued(2, ()))
    assert len(connections) == 2


async def test_another_customer_than_was_asked_for_by_id_is_no_answer() -> None:
    """However the server mixed it up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await _request(reader):
            writer.write(_page(777))

    async with _raw(talk) as (url, _), _client(url) as client:
        answer = await client.lookup(TWO)
        assert isinstance(await client.lookup(SOMEONE), Found)
    assert isinstance(answer, Doubtful)
    assert answer.kind is FaultKind.MALFORMED


ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 200),
    "100-continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 200),
    "a header line": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 8000),
    "a status line": (b"HTTP/1.1 200 ", b"x" * 8000),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Many: 1\r\n" * 700),
    "a chunk's extension": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x=" * 4000),
    "chunk extensions": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        (b"1;" + b"x" * 4000 + b"\r\n{\r\n"),
    ),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 4096 + b"\r\n"),
    "trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
        b"X-Trailer: 1\r\n" * 600,
    ),
    "a body without a length": (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536),
    "a body longer than told": (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", b" " * 65536),
    "empty gzip members": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        gzip.compress(b"") * 3000,
    ),
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_no_answer_goes_on_without_end(what: str) -> None:
    """Bounded in bytes, long before the time-out; the next request is answered."""
    first, more = ENDLESS[what]
    sent = 0
    asked = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent, asked
        while await _request(reader):
            asked += 1
            if asked > 1:
                writer.write(_issued(2))
                continue
            writer.write(first)
            while not writer.transport.is_closing():
                writer.write(more)
                sent += len(more)
                await writer.drain()
                await asyncio.sleep(0)

    async with _raw(talk) as (url, _), _client(url, 20.0) as client:
        tracemalloc.start()
        began = time.monotonic()
        answer = await _issue(client)
        seconds = time.monotonic() - began
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert await _issue(client) == Issued(2, ())
    assert isinstance(answer, Doubtful)
    assert (answer.kind, peak < 6 * BODY_LIMIT, seconds < 15) == (FaultKind.MALFORMED, True, True), (
        answer,
        peak,
    )
    # What the kernel holds for either side comes on top.
    assert sent < BODY_LIMIT * 9 / 8 + 12 * 1024 * 1024


BODY = json.dumps({"sideEffects": [{"programId": 3, "promotionId": 7, "issualId": 2}]}).encode()
BOMB = gzip.compress(b" " * (4 * BODY_LIMIT))
MANY = gzip.compress(b" " * BODY_LIMIT) * 3


@pytest.mark.parametrize(
    ("encoding", "body", "is_read"),
    [
        ("identity", BODY, True),
        ("", BODY, True),
        ("gzip", gzip.compress(BODY), True),
        ("x-gzip", gzip.compress(BODY), True),
        ("GZip", gzip.compress(BODY), True),
        ("identity, gzip", gzip.compress(BODY), True),
        ("deflate", zlib.compress(BODY), True),
        ("gzip", gzip.compress(BODY[:20]) + gzip.compress(BODY[20:]), True),
        ("gzip", gzip.compress(BODY)[:-9], False),
        ("gzip", gzip.compress(BODY) + b"more", False),
        ("gzip", BODY, False),
        ("gzip", b"", False),
        ("gzip", BOMB, False),
        ("gzip", MANY, False),
        ("gzip, gzip", gzip.compress(BOMB), False),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY)), False),
        ("br", b"\x0b\x02\x80{}\x03", False),
        ("zstd", b"\x28\xb5\x2f\xfd", False),
        ("gzip, br", gzip.compress(BODY), False),
        ("unknown", BODY, False),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else str(value),
)
async def test_bodies_whose_size_is_hidden(encoding: str, body: bytes, is_read: bool) -> None:  # noqa: FBT001 - a table
    """What was asked for is read, once compressed; all else is a malformed answer, and small in memory."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await _request(reader):
            writer.write(head % (encoding.encode(), len(body)) + body)

    async with _raw(talk) as (url, _), _client(url) as client:
        tracemalloc.start()
        answer = await _issue(client)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * BODY_LIMIT
    if is_read:
        assert answer == Issued(2, ())
    else:
        assert isinstance(answer, Doubtful)
        assert answer.kind is FaultKind.MALFORMED


@pytest.mark.parametrize("length", [0, 5, 10_000])
async def test_a_length_that_is_not_the_bodys(length: int) -> None:
    """Too short is a damaged body and its rest no answer; too long is cut off by the time-out."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await _request(reader):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (length, BODY))

    async with _raw(talk) as (url, _), _client(url, 0.4) as client:
        answers = [await _issue(client) for _ in range(2)]
    assert all(isinstance(answer, Doubtful) for answer in answers)


async def test_a_connection_ages_under_load() -> None:
    """It is closed when it becomes idle at half to all of the longest age: a changed DNS answer is taken."""
    now = 0.0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await _request(reader):
            writer.write(_page(2))

    async with (
        _raw(talk) as (url, connections),
        _client(url, timer=lambda: now) as client,
    ):
        seen = []
        for _ in range(37):
            assert isinstance(await client.lookup(TWO), Found)
            seen.append(len(connections))
            now += 10.0
    # 90 seconds each: used at 0 to 80, and closed before it is used at 90.
    assert seen == [1 + second // 9 for second in range(37)]
