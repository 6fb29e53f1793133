"""What a failed exchange means."""

import socket
from ssl import SSLError

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from worker.capillary.failures import translate
from worker.domain.answers import Doubtful, FaultKind, Unsent

KEY = ConnectionKey("host", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
REQUEST_INFO = aiohttp.RequestInfo(URL("http://host"), "GET", CIMultiDictProxy(CIMultiDict()))


@pytest.mark.parametrize(
    ("cause", "kind", "name"),
    [
        (aiohttp.ServerDisconnectedError(), FaultKind.DISCONNECTED, "ServerDisconnectedError"),
        (aiohttp.ClientOSError(104, "reset"), FaultKind.DISCONNECTED, "ClientOSError"),
        (aiohttp.ClientPayloadError("cut"), FaultKind.DISCONNECTED, "ClientPayloadError"),
        (aiohttp.SocketTimeoutError("?identifierValue=1"), FaultKind.TIMEOUT, "SocketTimeoutError"),
        (aiohttp.ClientResponseError(REQUEST_INFO, ()), FaultKind.MALFORMED, "ClientResponseError"),
    ],
)
def test_after_the_connection_everything_is_in_doubt(cause: Exception, kind: FaultKind, name: str) -> None:
    """Once a request had its connection no failure proves that nothing was sent."""
    assert translate(cause, connected=True) == Doubtful(kind, name)


def test_the_whole_request_timing_out() -> None:
    """The same time-out is harmless before the connection and in doubt after it."""
    assert translate(TimeoutError(), connected=False) == Unsent(FaultKind.NOT_CONNECTED, "TimeoutError")
    assert translate(TimeoutError(), connected=True) == Doubtful(FaultKind.TIMEOUT, "TimeoutError")


@pytest.mark.parametrize(
    ("cause", "detail"),
    [
        (
            aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "Connection refused")),
            "ClientConnectorError: ConnectionRefusedError: Connection refused",
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name or service not known")),
            "ClientConnectorDNSError: gaierror: Name or service not known",
        ),
        (aiohttp.ClientConnectorSSLError(KEY, SSLError()), "ClientConnectorSSLError: SSLError"),
        (aiohttp.ConnectionTimeoutError("https://host/?identifierValue=1"), "ConnectionTimeoutError"),
    ],
)
def test_without_a_connection_nothing_was_sent(cause: Exception, detail: str) -> None:
    """What fails before the connection is safe to repeat; the detail says why and holds no URL."""
    assert translate(cause, connected=False) == Unsent(FaultKind.NOT_CONNECTED, detail)
