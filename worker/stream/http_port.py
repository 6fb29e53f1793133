"""The HTTP port: liveness, readiness and metrics, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web
from mode import Service

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Probes:
    """What the port answers with; called on the event loop at each request."""

    live: Callable[[], bool]
    ready: Callable[[], bool]
    exposition: Callable[[str], tuple[bytes, str]]
    """From an Accept header to the metrics and their media type."""


class HttpPort(Service):
    """Serves from before the worker connects until after it has drained."""

    def __init__(self, host: str, port: int, probes: Probes, **kwargs: Any) -> None:  # noqa: ANN401 - mode's own
        self._address = (host, port)
        self._probes = probes
        self._runner: web.AppRunner | None = None
        super().__init__(**kwargs)

    async def on_start(self) -> None:
        """Bind the port; raises OSError where it is taken."""
        app = web.Application()
        app.router.add_get("/live", self._live)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._address, shutdown_timeout=1.0).start()

    async def on_stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _live(self, _: web.Request) -> web.Response:
        return _answer(self._probes.live(), "live")

    async def _ready(self, _: web.Request) -> web.Response:
        return _answer(self._probes.ready(), "ready")

    async def _metrics(self, request: web.Request) -> web.Response:
        body, media_type = self._probes.exposition(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": media_type})


def _answer(good: bool, word: str) -> web.Response:  # noqa: FBT001 - the probe's one question
    return web.Response(status=200 if good else 503, text=word if good else f"not {word}")
