"""One HTTP exchange, bounded in time, connections and bytes; what the network does is a value.

Works on httpx's transport API, one step below `httpx.AsyncClient`. What the client adds is all unwanted
here: redirects, cookies, authentication flows, environment proxies, and a log line per request that holds
the URL and so the identifier. It costs a quarter of the CPU of a request.

The transport is our own, on aiohttp's connections: httpx's pool looks at every connection for every request,
and httpx-aiohttp parses each URL and each header several times.
"""

import asyncio
import random
import time
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Final, cast

import aiohttp
import httpx
from yarl import URL

from worker.capillary.config import CapillaryConfig
from worker.capillary.connections import ATTEMPT, BODY_LIMIT, Attempt, always, session
from worker.capillary.decompression import Inflation, encodings_of, is_readable
from worker.capillary.failures import FAILURES, broken, translate
from worker.capillary.reply import Reply
from worker.domain.answers import Doubtful, FaultKind, Unsent

TARGET: Final = "target"
"""httpx's extension that holds what stands in the request line: path and query, as they go out."""

_CHUNK: Final = 16 * 1024
"""Bytes that are read at once before `BODY_LIMIT` is looked at."""


class _Body(httpx.AsyncByteStream):
    """An answer's body as it arrives, not decompressed."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._answer.content.iter_chunked(_CHUNK)

    async def aclose(self) -> None:
        """Give the connection back, or close it if the body was not read to its end."""
        await self._answer.__aexit__(None, None, None)


class _Carrier(httpx.AsyncBaseTransport):
    """Carries httpx's requests on aiohttp's connections; what fails is aiohttp's exception or OSError.

    Goes by the extension `target`; a request's `url` names the endpoint only, and nobody.
    """

    def __init__(
        self, config: CapillaryConfig, timer: Callable[[], float], jitter: Callable[[], float]
    ) -> None:
        """Read the certificates to trust; raises ValueError if they cannot be read."""
        self._config = config
        self._timer = timer
        self._jitter = jitter
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
            self._session = session(self._config, self._verify, self._timer, self._jitter)
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

    def __init__(
        self,
        config: CapillaryConfig,
        timer: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`timer` counts seconds and only grows; by it connections age."""
        self._transport = _Carrier(config, timer, jitter)
        self._seconds = config.timeout_seconds

    async def send(
        self, request: httpx.Request, may_send: Callable[[], bool] = always
    ) -> Reply | Unsent | Doubtful:
        """Send it once and read the answer, in at most `timeout_seconds`; follows no redirect.

        `may_send` is asked of a request with a body, right before it leaves; on False nothing is sent.
        """
        attempt = Attempt(may_send)
        marker = ATTEMPT.set(attempt)
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
            if attempt.is_stale:
                return Unsent(
                    FaultKind.NOT_CONNECTED, "not sent: an answer that nobody asked for came before"
                )
            return translate(error, connected=attempt.connected)
        except Exception as error:  # noqa: BLE001 - a fault of ours, or of a library, is no event's
            return broken(error, connected=attempt.connected)
        finally:
            ATTEMPT.reset(marker)

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        await self._transport.aclose()


async def _read(response: httpx.Response) -> Reply:
    """Read the body, decompressed, within `BODY_LIMIT`; httpx's own decompression has no bound."""
    encodings = encodings_of(response.headers.get("content-encoding", ""))
    inflation = Inflation() if encodings else None
    body, flaw = bytearray(), None
    if not is_readable(encodings):
        return Reply(response.status_code, response.headers, b"", "an encoding that was not asked for")
    try:
        async for chunk in cast("httpx.AsyncByteStream", response.stream):
            body += inflation.feed(chunk, BODY_LIMIT + 1 - len(body)) if inflation else chunk
            if len(body) > BODY_LIMIT:
                flaw = f"more than {BODY_LIMIT} bytes"
                break
    except zlib.error:
        flaw = "damaged compression"
    if inflation and not flaw and not inflation.is_complete:
        flaw = "damaged compression"
    return Reply(response.status_code, response.headers, b"" if flaw else bytes(body), flaw)
