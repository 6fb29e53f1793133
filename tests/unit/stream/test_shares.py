"""Lanes and gate together: who gets how much of a budget, and how soon, in virtual time."""

import asyncio
from collections import Counter

from tests.support.unit.virtual_time import run_in_virtual_time
from tests.support.use_case.fakes import FakeLease
from topics.record import Position, Record
from worker.domain.priority import Priority
from worker.enrolment.delivery import Delivery
from worker.resilience.concurrency import ConcurrencyLimit
from worker.resilience.gate import ApiGate
from worker.resilience.pace import Pace
from worker.stream.delivery.lanes import Lanes
from worker.stream.delivery.room import Bounds

_OLD = b"old"
_LATENCY = 0.1


class Plant:
    """A worker whose events are a lookup and an enrolment each, at ten requests a second."""

    def __init__(self, in_flight: int) -> None:
        self.gate = ApiGate(ConcurrencyLimit(in_flight, slow_seconds=5.0), Pace(600))
        self.gate.share(1.0)
        self.asked: Counter[tuple[Priority, bytes]] = Counter()
        self.took: list[float] = []
        self.lanes = Lanes(self.handle, lambda record: record.key or b"", Bounds(in_flight), self.crash)
        self._offset = 0

    async def handle(self, delivery: Delivery) -> None:
        record = delivery.record
        value = record.value or b""
        for priority in (Priority.BACKLOG if value == _OLD else Priority.LIVE, Priority.BEGUN):
            entered = await self.gate.enter(priority)
            self.asked[priority, value] += 1
            await asyncio.sleep(_LATENCY)
            self.gate.leave(entered)
        if value != _OLD:
            self.took.append(asyncio.get_running_loop().time() - record.timestamp_ms / 1000)

    async def crash(self, error: Exception) -> None:
        raise error

    async def send(self, value: bytes, number: int = 1) -> None:
        for _ in range(number):
            self._offset += 1
            at = Position("activity", 0, self._offset)
            sent_ms = round(asyncio.get_running_loop().time() * 1000)
            record = Record(position=at, timestamp_ms=sent_ms, key=b"%d" % self._offset, value=value)
            await self.lanes.submit(Delivery(record, FakeLease()), is_backlog=value == _OLD)

    def share_of_old(self) -> float:
        """Return which share of the requests of late was for old events."""
        old = sum(number for (_, value), number in self.asked.items() if value == _OLD)
        share = old / self.asked.total()
        self.asked.clear()
        return share


def test_a_tenth_of_the_budget_stays_the_backlogs() -> None:
    """However many live events come; it has all of it when none do."""

    async def main() -> None:
        plant = Plant(64)
        await plant.send(_OLD, 2_000)
        await asyncio.sleep(10)
        assert plant.share_of_old() == 1.0
        for _ in range(120):
            await plant.send(b"new", 10)
            await asyncio.sleep(1)
        # A lookup of ten requests is an old event's, and its enrolment follows.
        assert 0.2 <= plant.share_of_old() <= 0.22
        await plant.lanes.drain(0)

    run_in_virtual_time(main())


def test_a_live_event_does_not_wait_for_a_backlog() -> None:
    """It is done in a second, with thousands before it and all slots of the backlog's taken."""

    async def main() -> None:
        plant = Plant(64)
        await plant.send(_OLD, 3_000)
        await asyncio.sleep(10)
        plant.asked.clear()
        for _ in range(60):
            await plant.send(b"new")
            await asyncio.sleep(1)
        assert len(plant.took) >= 59
        assert max(plant.took) < 1.0
        assert plant.share_of_old() > 0.75, "what is left of the budget is the backlog's"
        await plant.lanes.drain(0)

    run_in_virtual_time(main())
