"""The gate of all requests: who passes when, in virtual time."""

import asyncio
from collections import Counter

import pytest

from tests.support.unit.virtual_time import run_in_virtual_time, settle
from worker.domain.answers import Doubtful, FaultKind, Throttled
from worker.domain.priority import Priority
from worker.resilience.concurrency import ConcurrencyLimit
from worker.resilience.gate import ApiGate
from worker.resilience.pace import Pace


def gate(*, at_once: int = 100, budget: int = 0) -> ApiGate:
    """Return a gate that takes five seconds for slow."""
    made = ApiGate(ConcurrencyLimit(at_once, slow_seconds=5.0), Pace(budget))
    made.share(1.0)
    return made


def now() -> float:
    """Return the seconds that have passed."""
    return asyncio.get_running_loop().time()


def test_no_more_are_under_way_than_the_limit_says() -> None:
    """The rest wait, and the next passes when one leaves."""

    async def main() -> None:
        narrow, passed = gate(at_once=2), list[int]()

        async def request(number: int) -> None:
            entered = await narrow.enter(Priority.LIVE)
            passed.append(number)
            await asyncio.sleep(1.0)
            narrow.leave(entered)

        async with asyncio.TaskGroup() as tasks:
            for number in range(5):
                tasks.create_task(request(number))
            await settle()
            assert (passed, narrow.waiting) == ([0, 1], 3)
        assert passed == [0, 1, 2, 3, 4]
        assert now() == 3.0

    run_in_virtual_time(main())


def test_what_is_begun_passes_before_what_begins() -> None:
    """With a small budget an enrolment waits for no lookup that came before it."""

    async def main() -> None:
        slow, passed = gate(budget=60), list[str]()

        async def request(name: str, priority: Priority) -> None:
            slow.leave(await slow.enter(priority))
            passed.append(name)

        async with asyncio.TaskGroup() as tasks:
            for number in range(3):
                tasks.create_task(request(f"lookup {number}", Priority.LIVE))
            await settle()
            tasks.create_task(request("issue", Priority.BEGUN))
        assert passed == ["issue", "lookup 0", "lookup 1", "lookup 2"]
        assert now() == 4.0

    run_in_virtual_time(main())


def test_a_backlog_gives_way_and_keeps_a_tenth() -> None:
    """While all are waiting, a tenth of the budget is for live events and a tenth for the backlog."""

    async def main() -> None:
        slow, passed = gate(budget=600), list[Priority]()

        async def ask_on(priority: Priority) -> None:
            while True:
                slow.leave(await slow.enter(priority))
                passed.append(priority)

        tasks = [asyncio.create_task(ask_on(each)) for each in 4 * [Priority.BACKLOG, Priority.LIVE]]
        await asyncio.sleep(10.05)
        passed.clear()
        await asyncio.sleep(60.0)
        assert Counter(passed) == {Priority.LIVE: 540, Priority.BACKLOG: 60}
        tasks.extend(asyncio.create_task(ask_on(Priority.BEGUN)) for _ in range(4))
        await asyncio.sleep(10.0)
        passed.clear()
        await asyncio.sleep(60.0)
        assert Counter(passed) == {Priority.BEGUN: 480, Priority.LIVE: 60, Priority.BACKLOG: 60}
        for each in tasks:
            each.cancel()

    run_in_virtual_time(main())


def test_how_much_of_the_budget_is_used() -> None:
    """A third of it, all of it, none of it; and nothing can be told without a budget."""

    async def main() -> None:
        slow, free = gate(budget=600), gate()
        assert (slow.budget_used, free.budget_used) == (0.0, 0.0)
        for _ in range(1_000):
            slow.leave(await slow.enter(Priority.LIVE))
            free.leave(await free.enter(Priority.LIVE))
            await asyncio.sleep(0.3)
        assert slow.budget_used == pytest.approx(1 / 3, rel=0.01)
        for _ in range(3_000):
            slow.leave(await slow.enter(Priority.LIVE))
        assert slow.budget_used == pytest.approx(1.0, rel=0.01)
        assert slow.budget_used <= 1.0
        slow.share(0.5)
        assert slow.budget_used == 1.0
        await asyncio.sleep(600.0)
        assert slow.budget_used == pytest.approx(0.0, abs=0.01)
        slow.share(0.0)
        assert (slow.budget_used, free.budget_used) == (0.0, 0.0)

    run_in_virtual_time(main())


def test_a_request_given_up_takes_no_room() -> None:
    """Cancelled while it waits, or in the moment in which it may pass."""

    async def main() -> None:
        narrow = gate(at_once=1)
        entered = await narrow.enter(Priority.LIVE)
        waiting = [asyncio.create_task(narrow.enter(Priority.LIVE)) for _ in range(3)]
        await settle()
        waiting[0].cancel()
        await settle()
        narrow.leave(entered)
        waiting[1].cancel()
        await settle()
        assert waiting[1].cancelled()
        assert waiting[2].done()
        assert (narrow.waiting, narrow.is_held_back) == (0, False)
        narrow.leave(waiting[2].result())
        assert (await asyncio.wait_for(narrow.enter(Priority.BEGUN), 0.1)) == now()

    run_in_virtual_time(main())


def test_a_throttled_request_silences_all() -> None:
    """Retry-After holds everybody's requests; then they leave slowly."""

    async def main() -> None:
        open_gate = gate()
        for _ in range(100):
            open_gate.leave(await open_gate.enter(Priority.LIVE))
        entered = await open_gate.enter(Priority.LIVE)
        open_gate.leave(entered, Throttled(20.0))
        await open_gate.enter(Priority.BEGUN)
        assert now() == 20.0
        assert open_gate.requests_per_second < 20

    run_in_virtual_time(main())


def test_a_share_that_grows_wakes_those_who_wait() -> None:
    """A replica without partitions lets nothing pass; with partitions it does."""

    async def main() -> None:
        ours = gate(budget=6000)
        ours.share(0.0)
        request = asyncio.create_task(ours.enter(Priority.LIVE))
        await asyncio.sleep(10.0)
        assert not request.done()
        assert ours.is_held_back
        ours.share(1.0)
        await asyncio.sleep(0.02)
        assert request.done()

    run_in_virtual_time(main())


def test_requests_that_get_slow_shrink_what_is_under_way() -> None:
    """A time-out is the slowest of answers."""

    async def main() -> None:
        wide = gate(at_once=8)
        entered = [await wide.enter(Priority.LIVE) for _ in range(8)]
        await asyncio.sleep(10.0)
        for moment in entered:
            wide.leave(moment, Doubtful(FaultKind.TIMEOUT, "slow"))
        assert wide.limit == 6
        wide.begin_again()
        assert wide.limit == 1

    run_in_virtual_time(main())
