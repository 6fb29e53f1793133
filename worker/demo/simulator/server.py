"""Starts and stops a simulated API with its control port."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web

from worker.demo.simulator.api import Api
from worker.demo.simulator.control import Control
from worker.demo.simulator.simulation import Simulation
from worker.demo.simulator.standard import standard_promotions
from worker.demo.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from worker.demo.simulator.books import RequestBooks
    from worker.demo.simulator.faults import FaultPlan
    from worker.demo.simulator.options import SimulatorOptions

_SHUTDOWN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator that answers; the parts are the live ones, for tests in the same process."""

    api_url: str
    control_url: str
    simulation: Simulation

    @property
    def world(self) -> World:
        """The present world; the control port may put another in its place."""
        return self.simulation.world

    @property
    def faults(self) -> FaultPlan:
        """The fault plan."""
        return self.simulation.faults

    @property
    def requests(self) -> RequestBooks:
        """The request log, the counts and the concurrency watch."""
        return self.simulation.requests


@asynccontextmanager
async def running_simulator(
    options: SimulatorOptions,
    *,
    world: World | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncIterator[RunningSimulator]:
    """Run a simulator until the block ends; both ports answer when it begins.

    Without a `world` there are the standard promotions and `options.customers` customers. Raises OSError
    if a port cannot be taken, ValueError for options that cannot be read. Requests in work at the end
    are cut off after a second.
    """
    if world is None:
        world = World.with_customers(options.customers, *standard_promotions(), org_id=options.org_id)
    simulation = Simulation(options, world=world, clock=clock, sleep=sleep)
    api = web.AppRunner(Api(simulation).application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    control = web.AppRunner(
        Control(simulation).application(),
        access_log=None,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    try:
        api_url = await _listen(api, options.host, options.port)
        control_url = await _listen(control, options.control_host, options.control_port)
        yield RunningSimulator(api_url, control_url, simulation)
    finally:
        simulation.stopping.set()
        await api.cleanup()
        await control.cleanup()


async def serve(
    options: SimulatorOptions,
    *,
    started: Callable[[RunningSimulator], object] = lambda _: None,
) -> None:
    """Run a simulator until SIGTERM or SIGINT, or until cancelled; `started` is told where it listens.

    Raises what `running_simulator` raises.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with running_simulator(options) as simulator:
            started(simulator)
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    address = runner.addresses[0]
    return f"http://{host}:{address[1]}"
