"""The HTTP port: liveness, readiness and metrics, and nothing else. It answers before Kafka does."""

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from worker.settings import SettingsError
from worker.settings.naming import variable

_BACKLOG: Final = 128

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What the port answers with; called on the event loop at each request."""

    not_live: Callable[[], str | None]
    """Why the process wants a restart, in one line; None while it does not."""
    not_ready: Callable[[], str | None]
    """Why events are not handled yet, or no more; None while they are."""
    exposition: Callable[[str], tuple[bytes, str]]
    """From an Accept header to the metrics and their media type."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Take the port on each address of the host, and do not listen there yet.

    Raises SettingsError, with the remedy, when it cannot be had.
    """
    bound: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            bound.append(taken := socket.socket(family, kind, protocol))
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            taken.bind(address)
    except (OSError, UnicodeError) as error:
        for taken in bound:
            taken.close()
        raise SettingsError((_refusal(host, port, error),)) from None
    return bound


def _refusal(host: str, port: int, error: Exception) -> str:
    host_name, port_name = variable("http_host"), variable("http_port")
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror | UnicodeError):
        return (
            f"{host_name} is {host}, which leads to no address; set it to one of this machine, or to 0.0.0.0"
        )
    if number == errno.EADDRINUSE:
        return (
            f"{port_name} is {port}, and another process listens there on {host}; "
            "stop that one, or choose another port"
        )
    if number in (errno.EACCES, errno.EPERM):
        return f"{port_name} is {port}, which this process may not listen on; choose one from 1024 on"
    if number == errno.EADDRNOTAVAIL:
        return f"{host_name} is {host}, no address of this machine; set it to one, or to 0.0.0.0 for all"
    return f"{host_name} is {host}, {port_name} is {port}: cannot listen there ({error}); correct either"


class HttpPort:
    """Serves from before the worker connects until after it has drained."""

    def __init__(self, bound: Sequence[socket.socket], probes: Probes) -> None:
        """Answer on these sockets, with these probes until there are others."""
        self._bound = bound
        self.probes = probes
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Begin to answer; raises SettingsError when another process listens there by now."""
        app = web.Application()
        app.router.add_get("/live", self._live)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        for taken in self._bound:
            try:
                # Two processes may bind while neither listens.
                taken.listen(_BACKLOG)
            except OSError as error:
                host, port = taken.getsockname()[:2]
                await self.close()
                raise SettingsError((_refusal(host, port, error),)) from None
            await web.SockSite(self._runner, taken).start()

    async def close(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _live(self, _: web.Request) -> web.Response:
        return _answer("live", self.probes.not_live())

    async def _ready(self, _: web.Request) -> web.Response:
        return _answer("ready", self.probes.not_ready())

    async def _metrics(self, request: web.Request) -> web.Response:
        body, media_type = self.probes.exposition(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": media_type})


def _answer(word: str, why_not: str | None) -> web.Response:
    if why_not is None:
        return web.Response(text=word)
    return web.Response(status=503, text=f"not {word}: {why_not}")
