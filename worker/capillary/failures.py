"""Decides what a failed exchange means: was anything sent.

The exceptions do not say it. So the transport notes when a request gets its connection; before that moment
nothing was sent, after it everything may have been.

    aiohttp.ClientError        e.g. ClientResponseError for an answer that is not HTTP
    OSError                    includes TimeoutError, of which the whole-request time-out is one

Texts of these exceptions may hold the request's URL, and with it an identifier: only class names go on
from here.
"""

from pathlib import Path

import aiohttp

from worker.domain.answers import Doubtful, FaultKind, Unsent

FAILURES = (aiohttp.ClientError, OSError)
"""Everything that network and server can make an exchange raise."""


class Unbounded(aiohttp.ClientPayloadError):
    """An answer sent more than an answer may, before its body or around it."""


def translate(error: BaseException, *, connected: bool) -> Unsent | Doubtful:
    """Return what the failure means; `connected` says whether the request ever had a connection.

    A kept-alive connection that the server closes while we write counts as sent: it may have read it all.
    """
    detail = _name(error)
    if not connected:
        return Unsent(FaultKind.NOT_CONNECTED, detail)
    if isinstance(error, TimeoutError):
        return Doubtful(FaultKind.TIMEOUT, detail)
    if isinstance(error, aiohttp.ClientResponseError | Unbounded):
        return Doubtful(FaultKind.MALFORMED, detail)
    return Doubtful(FaultKind.DISCONNECTED, detail)


def place_of(error: BaseException) -> str:
    """Name an exception of ours by its type and its place in the code: its text might hold an identifier."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else "?"
    return f"{type(error).__name__} at {where}"


def broken(error: BaseException, *, connected: bool) -> Unsent | Doubtful:
    """Return what an exception means that nobody expected: a fault of ours, never the event's."""
    detail = place_of(error)
    return Doubtful(FaultKind.INTERNAL, detail) if connected else Unsent(FaultKind.INTERNAL, detail)


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
