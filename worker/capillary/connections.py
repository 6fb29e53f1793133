"""Connections to the API: which may be used, for how long, and how much may come on one.

HTTP tells an answer from another by its order alone. So a connection on which anything came that nobody asked
for is closed before it is used: its bytes would be taken for the next request's answer.
"""

import asyncio
import random
import select
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import set_exception

from worker.capillary.config import CapillaryConfig
from worker.capillary.failures import Unbounded

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.client import ClientTimeout
    from aiohttp.client_reqrep import ClientRequest, ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

BODY_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of an answer after decompression; 100 promotions of a real page are below 1 MiB."""

_HEAD_LIMIT: Final = 64 * 1024
"""Bytes before an answer's body: of its own head, and of all that come before it (100, 103)."""
_WIRE_LIMIT: Final = BODY_LIMIT + BODY_LIMIT // 8
"""Bytes of an answer as they come, with its head, what stands around its chunks, and its trailers."""

_LONGEST_AGE_SECONDS: Final = 120.0
"""Of a connection. It is closed when it becomes idle at half of that or more, so that a changed DNS answer is
taken, and not by all connections at once."""
_DNS_SECONDS: Final = 10
_CONNECT_SECONDS: Final = 5.0
_FIRST_FINAL_STATUS: Final = 200


def always() -> bool:
    """Let a request go."""
    return True


class Attempt:
    """Whether one request got its connection, and who has the last word on sending it."""

    __slots__ = ("connected", "is_stale", "may_send", "withheld")

    def __init__(self, may_send: Callable[[], bool]) -> None:
        self.connected = False
        self.may_send = may_send
        self.withheld = False
        self.is_stale = False
        """It was not sent: something came on the connection that nobody asked for."""


ATTEMPT: ContextVar[Attempt] = ContextVar("ATTEMPT")


class _Protocol(ResponseHandler):
    """One connection: knows its end of life and what came unasked, and bounds what an answer may send."""

    def __init__(self, loop: asyncio.AbstractEventLoop, retires_at: float) -> None:
        super().__init__(loop)
        self.retires_at = retires_at
        self.is_new = True
        """No answer came yet."""
        self._heard = 0
        self._has_head = False

    def is_clean(self) -> bool:
        """Tell whether nothing came, read or unread, since the last answer ended."""
        transport = self.transport
        if transport is None or transport.is_closing() or self.should_close:
            return False
        # What a new connection holds unread may be TLS's own.
        return self.is_new or not _is_readable(transport)

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401 - aiohttp's
        self._heard, self._has_head = 0, False
        super().set_response_params(**params)

    def feed_data(self, data: Any, size: int = 0) -> None:  # noqa: ANN401 - aiohttp's
        self._has_head = self._has_head or data[0].code >= _FIRST_FINAL_STATUS
        self.is_new = self.is_new and not self._has_head
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        self._heard += len(data)
        super().data_received(data)
        if self._heard > (_WIRE_LIMIT if self._has_head else _HEAD_LIMIT):
            self._refuse()

    def _refuse(self) -> None:
        payload, transport = self._payload, self.transport
        error = Unbounded()
        self.set_exception(error)
        if payload is not None:
            set_exception(payload, error)
        if transport is not None:
            transport.abort()


def _is_readable(transport: asyncio.BaseTransport) -> bool:
    connection = transport.get_extra_info("socket")
    if connection is None:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class _Connector(aiohttp.TCPConnector):
    """Gives clean connections that are not too old; tells the attempt when it has one.

    From then on bytes may have left.
    """

    def __init__(self, timer: Callable[[], float], jitter: Callable[[], float], **options: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(**options)
        self._timer = timer
        self._jitter = jitter
        self._factory = self._connection  # type: ignore[assignment]  # aiohttp's own is a partial

    def _connection(self) -> _Protocol:
        age = _LONGEST_AGE_SECONDS * (1 - self._jitter() / 2)
        return _Protocol(self._loop, self._timer() + age)

    async def connect(
        self,
        req: "ClientRequest",
        traces: "list[Trace]",
        timeout: "ClientTimeout",  # noqa: ASYNC109 - aiohttp's name
    ) -> "Connection":
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if isinstance(protocol, _Protocol) and protocol.is_clean() and not self._is_old(protocol):
                ATTEMPT.get().connected = True
                return connection
            is_new = isinstance(protocol, _Protocol) and protocol.is_new
            connection.close()
            if is_new:
                raise aiohttp.ClientConnectionError("a new connection that cannot be used")

    def _release(
        self, key: "ConnectionKey", protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        super()._release(key, protocol, should_close=should_close or self._is_old(protocol))

    def _is_old(self, protocol: ResponseHandler) -> bool:
        return isinstance(protocol, _Protocol) and self._timer() >= protocol.retires_at


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
        attempt, protocol = ATTEMPT.get(), conn.protocol
        attempt.is_stale = isinstance(protocol, _Protocol) and not protocol.is_clean()
        attempt.withheld = not attempt.is_stale and not attempt.may_send()
        if not (attempt.is_stale or attempt.withheld):
            await super().write_bytes(writer, conn, content_length)
            return
        if protocol is not None:
            protocol.set_exception(aiohttp.ClientConnectionError())
        conn.close()


def session(
    config: CapillaryConfig,
    verify: ssl.SSLContext,
    timer: Callable[[], float],
    jitter: Callable[[], float] = random.random,
) -> aiohttp.ClientSession:
    """Return a session that sends what it is told to, once, and nothing of its own."""
    seconds = config.timeout_seconds
    made = aiohttp.ClientSession(
        connector=_Connector(
            timer,
            jitter,
            limit=config.max_connections,
            keepalive_timeout=config.keepalive_seconds,
            ttl_dns_cache=_DNS_SECONDS,
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
    made._retry_connection = False  # noqa: SLF001 - aiohttp's own test client sets it so
    return made
