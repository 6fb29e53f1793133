"""The last word on sending a request: it is asked right before the bytes leave."""

import asyncio

import pytest

from worker.capillary.client import CapillaryClient
from worker.capillary.config import Basic, CapillaryConfig
from worker.demo.simulator import Customer, Promotion, SimulatorOptions, World, running_simulator
from worker.domain.answers import FaultKind, Issued, Unsent
from worker.domain.promotions import Identifier, IdentifierName

pytestmark = pytest.mark.asyncio

CUSTOMER = Identifier(IdentifierName.CUSTOMER_ID, "1", None)
WORLD = World([Promotion(promotion_id=7)], [Customer.synthetic(1)])


async def test_what_may_not_be_sent_does_not_leave() -> None:
    """Neither on a new nor on a used connection; the next request that may go succeeds."""
    async with (
        running_simulator(SimulatorOptions(), world=WORLD) as simulator,
        CapillaryClient(
            CapillaryConfig(base_url=simulator.api_url, credentials=Basic("simulator", "secret"))
        ) as client,
    ):
        for number in range(2):
            withheld = await client.issue(CUSTOMER, 469, 7, f"key-{number}", may_send=lambda: False)
            assert isinstance(withheld, Unsent)
            assert withheld.kind is FaultKind.WITHHELD
            assert isinstance(await client.issue(CUSTOMER, 469, 7, f"key-{number}"), Issued)
        assert [one.idempotency_key for one in simulator.requests.log] == ["key-0", "key-1"]


async def test_the_question_comes_as_late_as_the_writing() -> None:
    """It must be asked by the task that writes: a process may be frozen between connecting and writing."""
    askers: list[asyncio.Task[object] | None] = []

    def may_send() -> bool:
        askers.append(asyncio.current_task())
        return True

    async with (
        running_simulator(SimulatorOptions(), world=WORLD.without_history()) as simulator,
        CapillaryClient(
            CapillaryConfig(base_url=simulator.api_url, credentials=Basic("simulator", "secret"))
        ) as client,
    ):
        assert isinstance(await client.issue(CUSTOMER, 469, 7, "key", may_send=may_send), Issued)
    assert len(askers) == 1
    assert askers != [asyncio.current_task()]
