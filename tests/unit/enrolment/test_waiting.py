"""Waiting for the API is no failure of ours, however long and in whatever way; a hang is, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final, cast

import httpx
import pytest

from tests.support.unit.virtual_time import run_in_virtual_time
from tests.support.use_case.fakes import FakeTracker
from tests.support.use_case.values import NOW, event, record
from worker.capillary.auth import OAuthAuthenticator
from worker.capillary.exchange import Exchange, Target
from worker.capillary.ports import Endpoint, NoObserver
from worker.capillary.reply import Reply
from worker.capillary.transport import Transport
from worker.domain.answers import Doubtful, Fault, FaultKind, Issued, Throttled
from worker.domain.priority import Priority
from worker.enrolment.admission import Admitted, admit
from worker.enrolment.identities import Identities
from worker.enrolment.rules import Rules
from worker.resilience.circuit import Circuits, OutagePolicy
from worker.resilience.concurrency import ConcurrencyLimit
from worker.resilience.gate import ApiGate
from worker.resilience.pace import Pace
from worker.resilience.retrying import Retrying, RetryPolicy
from worker.signs import Signs, Turn, count_down
from worker.stream.health.watchdog import Pulse, Watch
from worker.telemetry.spans import Spans

_LONG: Final = 1600.0
_PATIENCE: Final = 100.0
"""Of one event ten times as much, and the probe fails at half."""
_REQUEST_SECONDS: Final = 9.9
_DOWN: Final = Doubtful(FaultKind.TIMEOUT, "slow")
_TARGET: Final = Target(Endpoint.LOOKUP, "GET", "http://api", Priority.LIVE)


class Slow:
    """A transport whose every request takes just under the time-out."""

    async def send(self, *_: object) -> Reply:
        """Answer."""
        await asyncio.sleep(_REQUEST_SECONDS)
        return Reply(200, {}, b"{}")


class Plant:
    """What a worker reaches the API through, put together as in production, and its watchdog."""

    def __init__(self, *, budget: int = 0, at_once: int = 256) -> None:
        self.loop = asyncio.get_running_loop()
        self.signs = Signs(self.loop.time)
        self.watch = Watch(_PATIENCE, silence=1e9, timer=self.loop.time)
        self.progress = self.finished = 0
        self.gate = ApiGate(ConcurrencyLimit(at_once, slow_seconds=5.0), Pace(budget))
        self.gate.share(1.0)
        tracker = FakeTracker()
        self.circuits = Circuits(
            OutagePolicy(10),
            tracker=tracker,
            sleep=self.wait,
            timer=self.loop.time,
            serves=self._serves,
        )
        self.retrying = Retrying(RetryPolicy(), self.circuits, tracker, self.wait, self.loop.time)
        self.exchange = Exchange(cast("Transport", Slow()), NoObserver(), Spans(), self.gate)

    async def wait(self, seconds: float) -> None:
        """Wait as the composition does."""
        await count_down(seconds, self._turn)

    async def ask(self) -> Reply:
        """Send a request, as a page of a lookup."""

        def build(_: object) -> httpx.Request:
            return httpx.Request("GET", "http://api")

        answer = await self.exchange.once(_TARGET, build, lambda _: Issued(1, ()))
        self.progress += 1
        return cast("Reply", answer)

    async def event(self, handle: Callable[[], Awaitable[object]]) -> None:
        """Handle an event, as the composition does."""
        with self.signs.event():
            await handle()
        self.finished += 1

    async def watched(self, *events: Coroutine[Any, Any, None], seconds: float) -> str | None:
        """Run so long, or until all is done; return why the worker was found stuck, or its probe failed."""
        tasks = [asyncio.create_task(event) for event in events]
        until = self.loop.time() + seconds
        try:
            while self.loop.time() < until and not all(task.done() for task in tasks):
                await asyncio.sleep(1.0)
                self.progress += self.gate.is_held_back or self.circuits.is_open
                reason = self.watch.stuck(
                    Pulse(
                        finished=self.finished,
                        progress=self.progress,
                        recovered=0,
                        has_work=True,
                        silent_seconds=0.0,
                        event_seconds=self.signs.longest_silence(),
                    )
                )
                if reason or self.watch.flaw() is not None:
                    return reason or "the probe failed"
            return None
        finally:
            for task in tasks:
                task.cancel()
            for fault in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(fault, Exception):
                    raise fault

    async def _turn(self, seconds: float) -> None:
        self.progress += 1
        await asyncio.sleep(seconds)

    async def _serves(self) -> bool:
        await asyncio.sleep(_REQUEST_SECONDS)
        return False


async def _quiet_outage() -> str | None:
    plant = Plant()

    async def call(_: int) -> Fault:
        await asyncio.sleep(_REQUEST_SECONDS)
        return _DOWN

    def event(customer: int) -> Coroutine[Any, Any, None]:
        return plant.event(lambda: plant.retrying.lookup(customer, call))

    return await plant.watched(*(event(customer) for customer in range(3)), seconds=_LONG)


async def _open_circuit() -> str | None:
    plant = Plant()

    async def call(_: int) -> Fault:
        return _DOWN

    def event(customer: int) -> Coroutine[Any, Any, None]:
        return plant.event(lambda: plant.retrying.lookup(customer, call))

    return await plant.watched(*(event(customer) for customer in range(40)), seconds=_LONG)


async def _long_retry_after() -> str | None:
    plant = Plant()

    async def call(_: int) -> Fault:
        return Throttled(_LONG)

    return await plant.watched(plant.event(lambda: plant.retrying.lookup(1, call)), seconds=_LONG)


async def _held_lock_of_a_customer() -> str | None:
    plant, turn = Plant(), Turn()

    async def handle() -> None:
        async with turn:
            await plant.retrying.lookup(1, throttled)

    async def throttled(_: int) -> Fault:
        return Throttled(_LONG / 4)

    return await plant.watched(*(plant.event(handle) for _ in range(3)), seconds=_LONG)


async def _held_turn_of_an_identity() -> str | None:
    plant, own = Plant(), admit(record(event()), Rules(), NOW)
    assert isinstance(own, Admitted)
    identities = Identities(FakeTracker(), lambda _: None)

    async def handle() -> None:
        async with identities.turn(own):
            await plant.retrying.lookup(1, throttled)

    async def throttled(_: int) -> Fault:
        return Throttled(_LONG / 4)

    return await plant.watched(*(plant.event(handle) for _ in range(3)), seconds=_LONG)


async def _tiny_budget() -> str | None:
    plant = Plant(budget=1)
    return await plant.watched(*(plant.event(plant.ask) for _ in range(120)), seconds=_LONG)


async def _one_at_a_time() -> str | None:
    plant = Plant(at_once=1)
    return await plant.watched(*(plant.event(plant.ask) for _ in range(400)), seconds=_LONG)


async def _many_pages() -> str | None:
    plant = Plant()

    async def handle() -> None:
        for _ in range(500):
            await plant.ask()

    return await plant.watched(plant.event(handle), seconds=_LONG)


async def _token_behind_the_pace() -> str | None:
    plant = Plant(budget=1)
    plant.gate.leave(await plant.gate.enter(Priority.BEGUN), Throttled(_LONG))

    async def fetch() -> Any:  # noqa: ANN401 - never answers here
        return await plant.ask()

    auth = OAuthAuthenticator(fetch, lambda: datetime.now(UTC))
    return await plant.watched(*(plant.event(auth.header) for _ in range(3)), seconds=_LONG)


@pytest.mark.parametrize(
    "scene",
    [
        _quiet_outage,
        _open_circuit,
        _long_retry_after,
        _held_lock_of_a_customer,
        _held_turn_of_an_identity,
        _tiny_budget,
        _one_at_a_time,
        _many_pages,
        _token_behind_the_pace,
    ],
    ids=lambda scene: scene.__name__.strip("_"),
)
def test_waiting_for_the_api_is_no_failure(scene: Callable[[], Coroutine[Any, Any, str | None]]) -> None:
    """However long; neither does the probe fail meanwhile."""
    assert run_in_virtual_time(scene()) is None


async def _never(_: object = None) -> Any:  # noqa: ANN401 - it never comes
    await asyncio.get_running_loop().create_future()


async def _awaits_what_never_comes(plant: Plant) -> Coroutine[Any, Any, None]:
    return plant.event(_never)


async def _call_that_never_returns(plant: Plant) -> Coroutine[Any, Any, None]:
    return plant.event(lambda: plant.retrying.lookup("hung", _never))


async def _behind_a_holder_that_hangs(plant: Plant) -> Coroutine[Any, Any, None]:
    turn = Turn()

    async def hang() -> None:
        async with turn:
            await _never()

    async def both() -> None:
        await asyncio.gather(plant.event(hang), plant.event(hang))

    return both()


async def _token_that_never_comes(plant: Plant) -> Coroutine[Any, Any, None]:
    auth = OAuthAuthenticator(_never, lambda: datetime.now(UTC))
    auth._sign = type(auth._sign)(plant.loop.time)
    return plant.event(auth.header)


@pytest.mark.parametrize(
    "hung",
    [
        _awaits_what_never_comes,
        _call_that_never_returns,
        _behind_a_holder_that_hangs,
        _token_that_never_comes,
    ],
    ids=lambda scene: scene.__name__.strip("_"),
)
@pytest.mark.parametrize("others", [True, False])
def test_a_hang_is_noticed(
    hung: Callable[[Plant], Coroutine[Any, Any, Coroutine[Any, Any, None]]],
    others: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Alone within the patience, and within ten times as long while all others get on, an outage included."""

    async def main() -> str | None:
        plant = Plant()

        async def busy() -> None:
            while True:
                await plant.event(plant.ask)

        async def down(_: int) -> Fault:
            return _DOWN

        outage = [plant.event(lambda: plant.retrying.lookup(1, down)), busy()] if others else []
        return await plant.watched(await hung(plant), *outage, seconds=(10 if others else 1) * _PATIENCE + 2)

    assert run_in_virtual_time(main()) == "the probe failed"
