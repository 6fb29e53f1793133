"""Waiting an outage out: who waits, who tries, and when it is over; in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.unit.virtual_time import run_in_virtual_time, settle
from tests.support.use_case.fakes import FakeTracker
from tests.support.use_case.values import found
from worker.domain.answers import Doubtful, FaultKind, Notice, Refused
from worker.resilience.circuit import Call, Circuits, OutagePolicy

BROKEN = Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")


class Scene:
    """Two circuits, what they told, and an API that is asked something harmless."""

    def __init__(self, threshold: int = 3) -> None:
        self.tracker = FakeTracker()
        self.changes: list[bool] = []
        self.is_up = True
        self.asked = 0
        self.circuits = Circuits(
            OutagePolicy(threshold, probe_seconds=5.0),
            tracker=self.tracker,
            sleep=asyncio.sleep,
            timer=self.now,
            serves=self._serves,
            changed=self.changes.append,
        )

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _serves(self) -> bool:
        self.asked += 1
        await asyncio.sleep(0.1)
        return self.is_up

    def fail(self, call: Call, customers: str = "abc") -> None:
        for customer in customers:
            self.circuits[call].heard(customer, BROKEN)


def run(scene: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    """Play a scene, in no time."""

    async def main() -> None:
        await scene(Scene())

    run_in_virtual_time(main())


def test_while_it_is_closed_nobody_waits() -> None:
    """Two failures of three are no outage."""

    async def main(scene: Scene) -> None:
        scene.fail(Call.LOOKUP, "ab")
        await scene.circuits[Call.LOOKUP].admit()
        assert scene.now() == 0.0
        assert scene.changes == []

    run(main)


def test_one_after_another_tries_and_the_first_success_lets_all_go_on() -> None:
    """A try every OUTAGE_PROBE_SECONDS, each time another customer's; nobody else asks meanwhile."""

    async def main(scene: Scene) -> None:
        circuit, tried = scene.circuits[Call.LOOKUP], list[tuple[str, float]]()

        async def caller(customer: str) -> None:
            while True:
                await circuit.admit()
                tried.append((customer, scene.now()))
                if circuit.heard(customer, found() if scene.now() >= 20 else BROKEN):
                    return

        scene.fail(Call.LOOKUP)
        async with asyncio.TaskGroup() as tasks:
            for customer in "xyz":
                tasks.create_task(caller(customer))
        # At 15 it was newcomers' turn, and none came.
        assert tried == [("x", 5), ("y", 10), ("z", 20), ("x", 20), ("y", 20)]
        assert scene.changes == [True, False]
        assert scene.tracker.outages[-1] == ("lookup", False)

    run(main)


def test_where_nobody_waits_the_next_event_shows_whether_the_api_is_back() -> None:
    """Consumption goes on after a while; one more failure pauses it again, a success ends the outage."""

    async def main(scene: Scene) -> None:
        circuit = scene.circuits[Call.ISSUE]
        scene.fail(Call.ISSUE)
        await asyncio.sleep(4.0)
        assert scene.changes == [True]
        await asyncio.sleep(2.0)
        assert (scene.changes, circuit.is_open) == ([True, False], False)
        circuit.heard("d", BROKEN)
        assert scene.changes == [True, False, True]
        await asyncio.sleep(6.0)
        circuit.heard("e", found())
        await asyncio.sleep(60.0)
        assert scene.changes == [True, False, True, False]
        assert scene.tracker.outages == [("issue", True)] * 4 + [("issue", False)]

    run(main)


def test_an_answer_to_a_request_that_was_under_way_ends_the_outage() -> None:
    """It left before the circuit opened, and was served."""

    async def main(scene: Scene) -> None:
        scene.fail(Call.LOOKUP)
        waiting = asyncio.create_task(scene.circuits[Call.LOOKUP].admit())
        await settle()
        scene.circuits[Call.LOOKUP].heard("d", found())
        await settle()
        assert waiting.done()
        await asyncio.sleep(60.0)
        assert scene.tracker.outages == [("lookup", True), ("lookup", False)]

    run(main)


def test_who_gives_up_waiting_is_not_the_one_to_try() -> None:
    """A cancelled caller does not use up a try."""

    async def main(scene: Scene) -> None:
        circuit = scene.circuits[Call.LOOKUP]
        scene.fail(Call.LOOKUP)
        first, second = (asyncio.create_task(circuit.admit()) for _ in range(2))
        await settle()
        first.cancel()
        await asyncio.sleep(5.0)
        await settle()
        assert second.done()

    run(main)


def test_each_kind_of_call_has_its_own() -> None:
    """While enrolments fail, what became of one can be looked up; the worker counts as in an outage."""

    async def main(scene: Scene) -> None:
        scene.fail(Call.ISSUE)
        await scene.circuits[Call.LOOKUP].admit()
        assert scene.now() == 0.0
        assert scene.circuits.is_open
        scene.fail(Call.LOOKUP)
        scene.circuits[Call.ISSUE].heard("d", found())
        assert scene.circuits.is_open
        assert scene.changes == [True, True, True]

    run(main)


def test_customers_who_fail_for_reasons_of_their_own_do_not_keep_the_others_out() -> None:
    """All who wait fail for ever; after as many tries a newcomer is let in, and ends the outage."""

    async def main(scene: Scene) -> None:
        circuit, tried = scene.circuits[Call.LOOKUP], list[float]()

        async def poison(customer: str) -> None:
            while circuit.is_open:
                await circuit.admit()
                tried.append(scene.now())
                circuit.heard(customer, BROKEN)

        scene.fail(Call.LOOKUP)
        callers = [asyncio.create_task(poison(customer)) for customer in "abc"]
        await asyncio.sleep(16.0)
        assert (scene.changes, tried) == ([True, False], [5, 10])
        await circuit.admit()
        assert circuit.heard("newcomer", found())
        await asyncio.wait(callers, timeout=1.0)
        assert ("lookup", False) in scene.tracker.outages
        for caller in callers:
            caller.cancel()

    run(main)


def test_what_was_not_sent_says_nothing_of_the_api() -> None:
    """An identifier that cannot be sent is refused by ourselves: no outage ends with it."""

    async def main(scene: Scene) -> None:
        scene.fail(Call.LOOKUP)
        assert scene.circuits[Call.LOOKUP].heard("d", Refused((Notice(422, "blank"),), unsent=True))
        assert scene.circuits.is_open
        assert scene.circuits.proven_at(Call.LOOKUP, by_asking=True) < 0

    run(main)


def test_the_api_is_asked_once_for_all_who_fail_at_the_same_time() -> None:
    """That it answers shows that it is there; that anybody was served is another matter."""

    async def main(scene: Scene) -> None:
        await asyncio.sleep(1.0)
        scene.circuits[Call.LOOKUP].heard("a", BROKEN)
        await asyncio.gather(*(scene.circuits.ask(1.0) for _ in range(20)))
        assert scene.asked == 1
        assert scene.circuits.proven_at(Call.LOOKUP, by_asking=True) == scene.now()
        assert scene.circuits.proven_at(Call.LOOKUP, by_asking=False) < 0
        scene.circuits[Call.LOOKUP].heard("c", found())
        assert scene.circuits.proven_at(Call.LOOKUP, by_asking=False) == scene.now()

    run(main)
