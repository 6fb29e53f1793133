"""The circuit before the API: while an endpoint is down its callers wait, and one at a time tries.

Lookups and enrolments have a circuit each: one may be down while the other serves, and what became of an
enrolment must be looked up all the same.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from dataclasses import dataclass
from enum import StrEnum

from worker.domain.answers import Fault, Refused
from worker.resilience.breaker import Breaker
from worker.resilience.ports import CallTracker
from worker.signs import Turn, waiting_for
from worker.timing import Sleep


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
        tracker: CallTracker,
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
        self._is_told = False

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
        with waiting_for(self._silent_seconds):
            await turn

    def heard(self, customer: Hashable, answer: object) -> bool:
        """Take an answer in; return whether it settles the call."""
        if isinstance(answer, Refused) and answer.unsent:
            return True
        was_open = self.is_open
        served = self._breaker.heard(customer, answer)
        if served:
            self._end()
        elif isinstance(answer, Fault | Refused):
            self._last_fault = answer
        if self.is_open and not was_open:
            self._begin()
        elif was_open and not self.is_open:
            self._changed()
        return served

    @property
    def served_at(self) -> float:
        """When anybody was served last, by the timer."""
        return self._served_at

    def _begin(self) -> None:
        self._is_told = True
        self._tracker.outage(self._call, is_open=True, fault=self._last_fault)
        if self._probing is None or self._probing.done():
            # In no event's context: it outlasts the one that it was begun by.
            self._probing = asyncio.get_running_loop().create_task(self._probe(), context=Context())
        self._changed()

    def _end(self) -> None:
        """Let all go on who wait, now that anybody was served."""
        self._served_at = self._timer()
        if self._probing is not None:
            self._probing.cancel()
            self._probing = None
        while self._let_one_go():
            pass
        if self._is_told:
            self._is_told = False
            self._tracker.outage(self._call, is_open=False, fault=None)

    async def _probe(self) -> None:
        """Let one of those that wait try, then another: one customer may fail for reasons of its own.

        When nobody waits, and now and then when those who wait may all have such reasons, newcomers show
        it: consumption goes on until the first of them fails.
        """
        tries = 0
        while True:
            await self._sleep(self._policy.probe_seconds)
            self._tracker.outage(self._call, is_open=True, fault=self._last_fault)
            tries += 1
            if tries % self._policy.threshold == 0 or not self._let_one_go():
                self._breaker.half_open()
                self._changed()

    def _silent_seconds(self) -> float:
        """Return 0 while the API is tried now and then; who waits without that waits in vain."""
        return 0.0 if self._probing is not None and not self._probing.done() else float("inf")

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
        tracker: CallTracker,
        sleep: Sleep,
        timer: Callable[[], float],
        serves: Callable[[], Awaitable[bool]],
        changed: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """Begin closed; `serves` asks something harmless, `changed` is told whether a circuit is open now."""
        self._timer = timer
        self._serves = serves
        self._asking = Turn()
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

    def proven_at(self, call: Call, *, by_asking: bool) -> float:
        """When it was last shown, by the timer, that the API serves: somebody, or `by_asking` at all."""
        served_at = self._of[call].served_at
        return max(served_at, self._alive_at) if by_asking else served_at

    async def ask(self, since: float) -> None:
        """Ask the API something harmless, unless that was answered since a moment of the timer."""
        async with self._asking:
            if self._alive_at < since and await self._serves():
                self._alive_at = self._timer()
