"""The circuit before the API: while an endpoint is down its callers wait, and one at a time tries.

Lookups and enrolments have a circuit each: one may be down while the other serves, and what became of an
enrolment must be looked up all the same.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum

from worker.domain.answers import Fault, Refused
from worker.domain.breaker import Breaker
from worker.ports import Sleep, Tracker


class Call(StrEnum):
    """What is asked of the API for a customer."""

    LOOKUP = "lookup"
    ISSUE = "issue"


@dataclass(frozen=True, slots=True)
class OutagePolicy:
    """When the API counts as down, and how often to try then."""

    threshold: int = 10
    probe_seconds: float = 5.0


class Circuit:
    """The circuit of one kind of call."""

    def __init__(
        self,
        call: Call,
        policy: OutagePolicy,
        *,
        tracker: Tracker,
        sleep: Sleep,
        timer: Callable[[], float],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin closed; `changed` is called whenever the circuit has opened or closed."""
        self._call = call
        self._policy = policy
        self._breaker = Breaker(policy.threshold)
        self._tracker = tracker
        self._sleep = sleep
        self._timer = timer
        self._changed = changed
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._probing: asyncio.Task[None] | None = None
        self._served_at = float("-inf")
        self._last_fault: Fault | Refused | None = None
        self._told = False

    @property
    def is_open(self) -> bool:
        """Whether the API counts as down for this kind of call."""
        return self._breaker.is_open

    async def admit(self) -> None:
        """Return once the circuit is closed, or when it is this caller's turn to try."""
        if not self.is_open:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def heard(self, customer: Hashable, answer: object) -> bool:
        """Take an answer in; return whether the API served the customer with it."""
        was_open = self.is_open
        served = self._breaker.heard(customer, answer)
        if served:
            self._served_at = self._timer()
        elif isinstance(answer, Fault | Refused):
            self._last_fault = answer
        if self.is_open and not was_open:
            self._open()
        elif was_open and not self.is_open:
            self._close()
        if served and self._told:
            self._told = False
            self._tracker.outage(self._call, is_open=False, fault=None)
        return served

    def served_since(self, moment: float) -> bool:
        """Whether anybody was served after that moment of the timer."""
        return self._served_at > moment

    async def _probe(self) -> None:
        """Let one of those that wait try, then another: one customer may fail for reasons of its own.

        Where nobody waits, the next event has to show it: with consumption paused there would be none.
        """
        while self.is_open:
            await self._sleep(self._policy.probe_seconds)
            self._tracker.outage(self._call, is_open=True, fault=self._last_fault)
            if not self._let_one_go():
                self._breaker.half_open()
                self._changed()

    def _open(self) -> None:
        self._told = True
        self._tracker.outage(self._call, is_open=True, fault=self._last_fault)
        self._probing = asyncio.get_running_loop().create_task(self._probe())
        self._changed()

    def _close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
        while self._let_one_go():
            pass
        self._changed()

    def _let_one_go(self) -> bool:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return True
        return False


class Circuits:
    """Both circuits, and whether the API is there at all."""

    def __init__(
        self,
        policy: OutagePolicy,
        *,
        tracker: Tracker,
        sleep: Sleep,
        timer: Callable[[], float],
        serves: Callable[[], Awaitable[bool]],
        changed: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """Begin closed; `serves` asks something harmless, `changed` is told whether a circuit is open now."""
        self._timer = timer
        self._serves = serves
        self._asking = asyncio.Lock()
        self._alive_at = float("-inf")
        self._of = {
            call: Circuit(
                call,
                policy,
                tracker=tracker,
                sleep=sleep,
                timer=timer,
                changed=lambda: changed(self.is_open),
            )
            for call in Call
        }

    def __getitem__(self, call: Call) -> Circuit:
        """Return the circuit of a kind of call."""
        return self._of[call]

    @property
    def is_open(self) -> bool:
        """Whether the API counts as down for any kind of call."""
        return any(circuit.is_open for circuit in self._of.values())

    async def served_others(self, call: Call, since: float, *, by_asking: bool = True) -> bool:
        """Whether the API has served anybody since a moment of the timer: what failed since then is to blame.

        Where nobody else was served meanwhile the API is asked something harmless, `by_asking`.
        """
        circuit = self._of[call]
        if circuit.is_open:
            return False
        if circuit.served_since(since) or not by_asking:
            return circuit.served_since(since)
        async with self._asking:
            if self._alive_at < since and await self._serves():
                self._alive_at = self._timer()
        return self._alive_at >= since
