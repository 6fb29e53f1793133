"""One HTTP exchange, bounded in time, connections and bytes; what the network does is a value.

Works on httpx's transport, one step below `httpx.AsyncClient`. What the client adds is all unwanted here:
redirects, cookies, authentication flows, environment proxies, and a log line per request that holds the URL
and so the identifier. It costs a quarter of the CPU of a request.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from worker.capillary.config import CapillaryConfig
from worker.capillary.failures import FAILURES, translate
from worker.capillary.verdict import Reply
from worker.domain.answers import Doubtful, FaultKind, Unsent

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.client import ClientTimeout
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of an answer after decompression; 100 promotions of a real page are below 1 MiB."""

_CONNECT_SECONDS = 5.0


def always() -> bool:
    """Let a request go."""
    return True


class _Attempt:
    """Whether one request got its connection, and who has the last word on sending it."""

    __slots__ = ("connected", "may_send", "withheld")

    def __init__(self, may_send: Callable[[], bool]) -> None:
        self.connected = False
        self.may_send = may_send
        self.withheld = False


_ATTEMPT: ContextVar[_Attempt] = ContextVar("_ATTEMPT")


class _Connector(aiohttp.TCPConnector):
    """Tells the attempt when it has its connection, pooled or new: from then on bytes may have left."""

    async def connect(
        self,
        req: "ClientRequest",
        traces: "list[Trace]",
        timeout: "ClientTimeout",  # noqa: ASYNC109 - aiohttp's name
    ) -> "Connection":
        connection = await super().connect(req, traces, timeout)
        _ATTEMPT.get().connected = True
        return connection


class _Request(aiohttp.ClientRequest):
    """Asks whether it may go right before it does: its head waits for the body, and both leave at once.

    aiohttp writes in a task of its own, a turn of the loop after `connect`. A process that is frozen in
    between must find out when it wakes up.
    """

    async def write_bytes(
        self,
        writer: "AbstractStreamWriter",
        conn: "Connection",
        content_length: int | None = None,
    ) -> None:
        attempt = _ATTEMPT.get()
        if attempt.may_send():
            await super().write_bytes(writer, conn, content_length)
            return
        attempt.withheld = True
        if conn.protocol is not None:
            conn.protocol.set_exception(aiohttp.ClientConnectionError())
        conn.close()


class Transport:
    """Sends requests; close it with `aclose`. Bound to the event loop of its first request."""

    def __init__(self, config: CapillaryConfig) -> None:
        verify = httpx.create_ssl_context()
        self._transport = AiohttpTransport(verify=verify, client=lambda: _session(config, verify))
        self._seconds = config.timeout_seconds
        timeout = httpx.Timeout(self._seconds, connect=min(_CONNECT_SECONDS, self._seconds))
        self.extensions = {"timeout": timeout.as_dict()}
        """Give this to every `httpx.Request`: httpx-aiohttp reads the four-part time-outs from it.

        connect is aiohttp's sock_connect, read its sock_read, pool its connect (waiting and connecting);
        write has no counterpart there. All of them lie within the time-out of the whole request.
        """

    async def send(
        self, request: httpx.Request, may_send: Callable[[], bool] = always
    ) -> Reply | Unsent | Doubtful:
        """Send it once and read the answer, in at most `timeout_seconds`; follows no redirect.

        `may_send` is asked of a request with a body, right before it leaves; on False nothing is sent.
        """
        attempt = _Attempt(may_send)
        marker = _ATTEMPT.set(attempt)
        try:
            async with asyncio.timeout(self._seconds):
                response = await self._transport.handle_async_request(request)
                try:
                    return await _read(response)
                finally:
                    await response.aclose()
        except FAILURES as error:
            if attempt.withheld:
                return Unsent(FaultKind.WITHHELD, "not sent: no longer allowed to")
            return translate(error, connected=attempt.connected)
        finally:
            _ATTEMPT.reset(marker)

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        await self._transport.aclose()


async def _read(response: httpx.Response) -> Reply:
    chunks: list[bytes] = []
    size = 0
    flaw = None
    # httpx's own reading costs more and brings decompression only.
    encoded = "content-encoding" in response.headers
    body = response.aiter_bytes() if encoded else cast("httpx.AsyncByteStream", response.stream)
    try:
        async for chunk in body:
            size += len(chunk)
            if size > BODY_LIMIT:
                flaw = f"more than {BODY_LIMIT} bytes"
                break
            chunks.append(chunk)
    except httpx.DecodingError:
        flaw = "damaged compression"
    return Reply(response.status_code, response.headers, b"" if flaw else b"".join(chunks), flaw)


def _session(config: CapillaryConfig, verify: ssl.SSLContext) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=_Connector(
            limit=config.max_connections, keepalive_timeout=config.keepalive_seconds, ssl=verify
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        request_class=_Request,
    )
    # It would send a lookup whose connection breaks once more, outside of every count and budget.
    session._retry_connection = False  # noqa: SLF001 - aiohttp's own test client sets it so
    return session
