"""One HTTP exchange, bounded in time, connections and bytes; what the network does is a value.

Works on httpx's transport API, one step below `httpx.AsyncClient`. What the client adds is all unwanted
here: redirects, cookies, authentication flows, environment proxies, and a log line per request that holds
the URL and so the identifier. It costs a quarter of the CPU of a request.

The transport is our own, on aiohttp's connections: httpx's pool looks at every connection for every request,
and httpx-aiohttp parses each URL and each header several times.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, cast

import aiohttp
import httpx
from yarl import URL

from worker.capillary.config import CapillaryConfig
from worker.capillary.failures import FAILURES, broken, translate
from worker.capillary.reply import Reply
from worker.domain.answers import Doubtful, FaultKind, Unsent

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.client import ClientTimeout
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of an answer after decompression; 100 promotions of a real page are below 1 MiB."""

TARGET: Final = "target"
"""httpx's extension that holds what stands in the request line: path and query, as they go out."""

_CHUNK: Final = 16 * 1024
"""Bytes that are decompressed at once, to a thousand times as many, before `BODY_LIMIT` is looked at."""

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


class _Body(httpx.AsyncByteStream):
    """An answer's body as it arrives, not decompressed."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._answer.content.iter_chunked(_CHUNK)

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body was not read to its end."""
        await self._answer.__aexit__(None, None, None)


class _Carrier(httpx.AsyncBaseTransport):
    """Carries httpx's requests on aiohttp's connections; what fails is aiohttp's exception or OSError.

    Goes by the extension `target`; a request's `url` names the endpoint only, and nobody.
    """

    def __init__(self, config: CapillaryConfig) -> None:
        """Read the certificates to trust; raises ValueError where they cannot be read."""
        self._config = config
        try:
            self._verify = httpx.create_ssl_context()
        except OSError as error:
            unread = "the certificates that SSL_CERT_FILE or SSL_CERT_DIR name cannot be read"
            raise ValueError(f"{unread}: {type(error).__name__}") from None
        url = httpx.URL(config.base_url)
        self._origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; returns once the answer's head is there."""
        if self._session is None:
            self._session = _session(self._config, self._verify)
        target: bytes = request.extensions[TARGET]
        answer = await self._session.request(
            request.method,
            URL(self._origin + target.decode("ascii"), encoded=True),
            headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
            data=request.read() or None,
            allow_redirects=False,
        )
        return httpx.Response(
            answer.status, headers=answer.raw_headers, stream=_Body(answer), request=request
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


class Transport:
    """Sends requests; close it with `aclose`. Bound to the event loop of its first request."""

    def __init__(self, config: CapillaryConfig) -> None:
        self._transport = _Carrier(config)
        self._seconds = config.timeout_seconds

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
        except Exception as error:  # noqa: BLE001 - a fault of ours, or of a library, is no event's
            return broken(error, connected=attempt.connected)
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
    seconds = config.timeout_seconds
    session = aiohttp.ClientSession(
        connector=_Connector(
            limit=config.max_connections,
            keepalive_timeout=config.keepalive_seconds,
            ssl=verify,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        request_class=_Request,
        auto_decompress=False,
        # All within the time-out of the whole request; `connect` counts the wait for a connection as well.
        timeout=aiohttp.ClientTimeout(
            connect=seconds, sock_connect=min(_CONNECT_SECONDS, seconds), sock_read=seconds
        ),
    )
    # It would send a lookup whose connection breaks once more, outside of every count and budget.
    session._retry_connection = False  # noqa: SLF001 - aiohttp's own test client sets it so
    return session
