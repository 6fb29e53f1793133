"""Decides what a failed exchange means: was anything sent.

httpx-aiohttp cannot be asked: it turns every `aiohttp.ClientConnectionError`, also a reset after the whole
request was written, into `httpx.ConnectTimeout`. So the transport notes when a request gets its connection;
before that moment nothing was sent, after it everything may have been.

    httpx.HTTPError            what the transport translated; the cause is aiohttp's
    httpx.InvalidURL
    aiohttp.ClientError        what it did not, e.g. ClientResponseError for an answer that is not HTTP
    OSError                    includes TimeoutError, of which the whole-request time-out is one

Texts of these exceptions may hold the request's URL, and with it an identifier: only class names go on
from here.
"""

import aiohttp
import httpx

from worker.domain.answers import Doubtful, FaultKind, Unsent

FAILURES = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError)
"""Everything that network and server can make an exchange raise."""


def translate(error: BaseException, *, connected: bool) -> Unsent | Doubtful:
    """Return what the failure means; `connected` says whether the request ever had a connection.

    A kept-alive connection that the server closes while we write counts as sent: it may have read it all.
    """
    cause = error.__cause__ if isinstance(error, httpx.HTTPError) and error.__cause__ else error
    detail = _name(cause)
    if not connected:
        return Unsent(FaultKind.NOT_CONNECTED, detail)
    if isinstance(cause, TimeoutError | httpx.TimeoutException):
        return Doubtful(FaultKind.TIMEOUT, detail)
    if isinstance(cause, aiohttp.ClientResponseError):
        return Doubtful(FaultKind.MALFORMED, detail)
    return Doubtful(FaultKind.DISCONNECTED, detail)


def _name(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error
        return (
            f"{name}: {type(reason).__name__}: {reason.strerror}"
            if reason.strerror
            else f"{name}: {type(reason).__name__}"
        )
    return name
