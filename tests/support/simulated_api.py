"""A simulated API with a clock that only the test moves, and a plain client that asks it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from worker.demo.simulator import Promotion, RunningSimulator, SimulatorOptions, World, running_simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WHO: Final = {"identifierName": "id", "identifierValue": "1", "source": "INSTORE"}
BODY: Final = {"programId": 469, "promotionId": 11}
BASIC: Final = {"Authorization": aiohttp.encode_basic_auth("simulator", "secret")}
LOOKUP: Final = "/v2/customers/lookup/promotionData"
ISSUE: Final = "/v2/promotion/issue"
LIST: Final = "/api_gateway/loyalty/v1/programs/promotions/list"


@dataclass
class Clock:
    """A clock that only the test moves, and a sleep that moves it."""

    now: datetime = field(default_factory=lambda: datetime(2026, 1, 31, 10, tzinfo=UTC))

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)


@dataclass
class Bench:
    """The simulator and its client; each request returns status and body."""

    simulator: RunningSimulator
    client: aiohttp.ClientSession
    clock: Clock

    async def get(
        self, path: str, query: dict[str, str] = WHO, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Ask the API about customer 1, if the query names nobody else."""
        url = self.simulator.api_url + path
        async with self.client.get(url, params=query, headers=BASIC | (headers or {})) as answer:
            return answer.status, await answer.json(content_type=None)

    async def issue(self, key: str = "k", body: dict[str, int] = BODY) -> tuple[int, Any]:
        """Enrol customer 1; raises TimeoutError after half a second."""
        async with self.client.post(
            self.simulator.api_url + ISSUE,
            params=WHO,
            json=body,
            headers=BASIC | {"Idempotency-Key": f'"{key}"'},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(0.5),
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def control(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask the control port."""
        async with self.client.request(method, self.simulator.control_url + path, json=body) as answer:
            return answer.status, await answer.json()

    @property
    def applied(self) -> int:
        """How many enrolments were applied."""
        return len(self.simulator.world.applied)


@asynccontextmanager
async def running_bench(
    options: SimulatorOptions | None = None, *promotions: Promotion
) -> AsyncIterator[Bench]:
    """Run a simulator with customers 1 to 3 and these promotions, else with promotion 11."""
    clock = Clock()
    world = World.with_customers(3, *(promotions or (Promotion(promotion_id=11),)))
    options = options or SimulatorOptions()
    async with (
        running_simulator(options, world=world, clock=clock, sleep=clock.sleep) as simulator,
        aiohttp.ClientSession() as client,
    ):
        yield Bench(simulator, client, clock)


def timeline(answer: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """Return the timeline of a lookup's first promotion."""
    shown = answer["promotions"][0]["customerPromotionTimelines"]
    assert isinstance(shown, list)
    return shown
