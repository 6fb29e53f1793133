"""The use case with the real client against the simulator: what certain answers of the API come to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.use_case.building import UseCase, real
from tests.support.use_case.fakes import FakePublisher, FakeTracker
from tests.support.use_case.values import event, record
from worker.capillary.client import CapillaryClient
from worker.capillary.config import Basic, CapillaryConfig, OAuth
from worker.demo.simulator import (
    Endpoint,
    FaultRule,
    Promotion,
    RunningSimulator,
    SimulatorOptions,
    World,
    running_simulator,
)
from worker.domain.answers import FaultKind, Unsent
from worker.domain.faults import describe
from worker.enrolment.rules import Rules
from worker.resilience.circuit import Circuits, OutagePolicy
from worker.resilience.retrying import Retrying, RetryPolicy

pytestmark = pytest.mark.asyncio

PROMOTION = Promotion(promotion_id=65001, name="Weekend bonus", limit_per_customer=10)
SETTLE_SECONDS = 0.1


@dataclass
class Shop:
    """A simulated API, and the use case that meets it."""

    simulator: RunningSimulator
    use_case: UseCase
    tracker: FakeTracker
    publisher: FakePublisher
    client: CapillaryClient
    told: list[dict[str, Any]] = field(default_factory=list)

    async def visit(self, customer: int) -> dict[str, Any]:
        """Handle one event of the customer; return its only outcome."""
        given = event(eventId=f"evt-{customer}", customer={"customerId": customer})
        before = len(self.publisher.outcomes)
        await self.use_case.handle(record(given))
        assert self.tracker.faults == []
        outcomes = [json.loads(outcome.to_json()) for _, outcome in self.publisher.outcomes[before:]]
        only: dict[str, Any]
        (only,) = [told for told in outcomes if told["activity"]["eventId"] == f"evt-{customer}"]
        self.told.append(only)
        return only

    def applied(self, customer: int) -> int:
        """Return how often the customer was enrolled."""
        return sum(one.customer_id == customer for one in self.simulator.world.applied)


@asynccontextmanager
async def _shop(
    *,
    credentials: Basic | OAuth | None = None,
    **options: Any,  # noqa: ANN401 - see SimulatorOptions
) -> AsyncIterator[Shop]:
    world = World.with_customers(50, PROMOTION, org_id=1800)
    async with running_simulator(SimulatorOptions(org_id=1800, **options), world=world) as simulator:
        config = CapillaryConfig(
            base_url=simulator.api_url,
            credentials=credentials or Basic("simulator", "secret"),
            timeout_seconds=3.0,
        )
        async with CapillaryClient(config) as client:
            tracker, publisher = FakeTracker(), FakePublisher([])
            time = real()
            circuits = Circuits(
                OutagePolicy(10, 0.05),
                tracker=tracker,
                sleep=time.sleep,
                timer=time.timer,
                serves=client.serves,
            )
            policy = RetryPolicy(5, 0.01, 0.05)
            use_case = UseCase(
                api=client,
                rules=Rules(settle_seconds=SETTLE_SECONDS),
                publisher=publisher,
                tracker=tracker,
                time=time,
                retrying=Retrying(policy, circuits, tracker, time.sleep, time.timer),
            )
            yield Shop(simulator, use_case, tracker, publisher, client)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("name", ["api_error", "api_warning"])
@pytest.mark.parametrize("code", [521, 461])
async def test_who_capillary_is_busy_with_is_enrolled_all_the_same(status: int, name: str, code: int) -> None:
    """Lookup and enrolment each say so twice; both are tried again in place, and nothing is an outage."""
    async with _shop(error_status=status) as shop:
        for endpoint in (Endpoint.LOOKUP, Endpoint.ISSUE):
            shop.simulator.faults.add(FaultRule(name=name, endpoint=endpoint, code=code, count=2))
        told = await shop.visit(3)
    assert (told["outcome"], shop.applied(3), told.get("reconciled")) == ("ENROLLED", 1, None)
    busy = Unsent(FaultKind.BUSY, f"busy: {code}, try after some time")
    waits = [(endpoint, fault) for endpoint, fault, _, _ in shop.tracker.waits]
    assert waits == [*[("lookup", busy)] * 2, *[("issue", busy)] * 2]
    assert shop.tracker.outages == []


@pytest.mark.parametrize("name", ["api_error", "api_warning"])
async def test_who_stays_busy_is_deferred_as_busy(name: str) -> None:
    """Not rejected, and not told that nothing is available."""
    async with _shop() as shop:
        shop.simulator.faults.add(FaultRule(name=name, endpoint=Endpoint.LOOKUP, code=521))
        told = await shop.visit(3)
    assert (told["outcome"], told["reason"], told["attempts"]) == ("DEFERRED", "busy", 5)


STATUSES = (
    *(
        202,
        206,
        302,
        307,
        400,
        401,
        402,
        403,
        404,
        405,
        406,
        408,
        409,
        410,
        411,
        413,
        414,
        415,
        421,
        422,
        425,
    ),
    *(426, 428, 431, 451, 499, 500, 501, 502, 503, 504, 520, 521, 522, 524, 527, 599),
)


async def _answered(shop: Shop, name: str) -> list[tuple[int, str, bool, int]]:
    """Let each customer's enrolment be answered once with another status; return what came of each."""
    for customer, status in enumerate(STATUSES, start=1):
        who = frozenset({customer})
        rule = FaultRule(name=name, endpoint=Endpoint.ISSUE, status=status, count=1, customer_ids=who)
        shop.simulator.faults.add(rule)
    told = await asyncio.gather(*(shop.visit(customer) for customer in range(1, len(STATUSES) + 1)))
    return [
        (status, outcome["outcome"], outcome.get("reconciled", False), shop.applied(customer))
        for customer, (status, outcome) in enumerate(zip(STATUSES, told, strict=True), start=1)
    ]


async def test_an_enrolment_that_was_applied_and_answered_otherwise_is_never_repeated() -> None:
    """Under any status, behind it an HTML page: what became of it is read, and it is told as reconciled."""
    async with _shop() as shop:
        came_of_it = await _answered(shop, "html_after_apply")
    assert came_of_it == [(status, "ENROLLED", True, 1) for status in STATUSES]


async def test_an_enrolment_that_was_not_applied_and_answered_otherwise_is_repeated() -> None:
    """The same answers with nothing behind them: once that is read, it is enrolled; but 422 is final."""
    async with _shop() as shop:
        came_of_it = await _answered(shop, "html")
    assert came_of_it == [
        (status, "REJECTED", False, 0) if status == 422 else (status, "ENROLLED", False, 1)
        for status in STATUSES
    ]


@pytest.mark.parametrize("refusal", ["401", "403", "error"])
async def test_tokens_that_end_early_are_renewed(refusal: str) -> None:
    """Told to last 300 seconds, they last a third of one: everybody is enrolled, once."""
    oauth = OAuth("simulator-key", "simulator-secret")
    options = {"token_ends_after_seconds": 0.3, "token_refusal": refusal, "latency": "20ms"}
    async with _shop(credentials=oauth, **options) as shop:
        for first in range(1, 21, 4):
            await asyncio.gather(*(shop.visit(customer) for customer in range(first, first + 4)))
            await asyncio.sleep(0.1)
        tokens = shop.simulator.simulation.doorman.tokens_given
    assert [told["outcome"] for told in shop.told] == ["ENROLLED"] * 20
    assert [shop.applied(customer) for customer in range(1, 21)] == [1] * 20
    assert tokens > 2


@pytest.mark.parametrize("name", ["authorisation_503"])
async def test_503_about_authorisation_is_waited_out(name: str) -> None:
    """It is an outage for as long as it lasts."""
    async with _shop() as shop:
        shop.simulator.faults.add(FaultRule(name=name, count=3))
        told = await shop.visit(3)
    assert told["outcome"] == "ENROLLED"
    assert "access group" in describe(shop.tracker.waits[0][1])
