"""The worker as a process: its event loop, its services, its exit status."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import faust
import uvloop
from mode import Service

from worker.stopping import Stop, Work
from worker.stream.app import Stream

_YOUNG_OBJECTS: Final = 10_000
"""How many more there must be before garbage is looked for; Python's 700 are two events' worth."""


class Closing(Service):
    """Closes something of ours once the application, started after it, has stopped."""

    def __init__(self, close: Callable[[], Awaitable[None]], **kwargs: Any) -> None:  # noqa: ANN401 - mode's own
        self._close = close
        super().__init__(**kwargs)

    async def on_stop(self) -> None:
        """Close it."""
        await self._close()


class Background(Service):
    """Runs work of ours beside the application, which starts after it; cancels it in the end."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], **kwargs: Any) -> None:  # noqa: ANN401 - mode's own
        self._work = work
        super().__init__(**kwargs)

    @Service.task
    async def _run(self) -> None:
        await self._work()


class Process(faust.Worker):
    """Faust's worker without its answers to signals: SIGTERM and SIGINT are ours, the others say nothing.

    Faust's own answers to SIGUSR1 and SIGUSR2 write out local variables, customers' names among them.
    """

    def install_signal_handlers(self) -> None:
        """Pass over what would end the process, or have it write."""
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)

    def stop_soon(self) -> None:
        """Begin the stop, from any thread; nothing happens once the loop is closed."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._schedule_shutdown, signal.SIGTERM)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop that everything of the process runs on, made current."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def serve(stream: Stream, loop: asyncio.AbstractEventLoop, stop: Stop, *services: Service) -> int:
    """Run until told to stop (returns 0 after the drain) or until the application gives up (returns 1).

    A changed partition count ends it as a signal does, and returns 1.

    Services start before the application and stop after it. Raises what the application refused.
    """
    base, flow = stream.base, stream.flow
    worker = Process(
        base.app,
        *services,
        loop=loop,
        loglevel=None,
        override_logging=False,
        redirect_stdouts=False,
        quiet=True,
    )
    worker.spinner = None
    _spare_the_collector()
    stop.works(
        Work(drain_seconds=flow.drain_seconds, begin=worker.stop_soon, drained=flow.drained.is_set),
    )
    try:
        worker.execute_from_commandline()
    except SystemExit as stopped:
        if base.refusal.error is not None:
            raise base.refusal.error from None
        return 0 if stopped.code in (0, None) and not base.guards.partitions.refused else 1


def _spare_the_collector() -> None:
    """Look for garbage less often, and never among what was made so far.

    Hundreds of events in flight keep their objects alive for as long as the API takes: a collector that
    comes every few events looks at them again and again, and at all modules with them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
