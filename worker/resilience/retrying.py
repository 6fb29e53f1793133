"""Calls to the API, repeated in place: exponential delay with full jitter, Retry-After, and when to stop.

What is repeated and for how long is in the table of `worker.domain.faults`. A call that reached nobody says
nothing about its event: it is repeated for as long as it takes. One that may have failed for reasons of the
event is repeated RETRY_MAX_ATTEMPTS times, and further for as long as the API serves nobody else either. A
doubtful enrolment is not repeated here at all.
"""

import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar, cast

from tenacity import AsyncRetrying, RetryCallState

from worker.domain.answers import Doubtful, Fault, FaultKind, Refused, Throttled
from worker.domain.faults import treatment
from worker.resilience.circuit import Call, Circuits
from worker.resilience.ports import CallTracker
from worker.timing import Sleep

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon. Seconds."""

    max_attempts: int = 5
    initial_seconds: float = 0.2
    max_seconds: float = 10.0


class Retrying:
    """Repeats calls by the policy; timer, sleep and randomness come from outside."""

    def __init__(
        self,
        policy: RetryPolicy,
        circuits: Circuits,
        tracker: CallTracker,
        sleep: Sleep,
        timer: Callable[[], float],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._circuits = circuits
        self._tracker = tracker
        self._sleep = sleep
        self._timer = timer
        self._jitter = jitter

    async def lookup(self, customer: Hashable, call: Callable[[int], Awaitable[A]]) -> tuple[A, int]:
        """Repeat a read until it is answered; return the last answer and the number of attempts."""
        return await self._repeat(Call.LOOKUP, customer, call)

    async def issue(self, customer: Hashable, call: Callable[[int], Awaitable[A]]) -> tuple[A, int]:
        """Repeat an enrolment while certainly nothing came of it; a doubtful answer is returned as it is."""
        return await self._repeat(Call.ISSUE, customer, call)

    def served_since(self, kind: Call, moment: float) -> bool:
        """Tell whether the API served anybody since a moment of the timer."""
        return self._circuits[kind].served_at >= moment

    async def pause(self, kind: Call, fault: Fault, attempt: int) -> None:
        """Wait as before the next attempt of a call."""
        seconds = self._delay(fault, attempt)
        self._tracker.waiting(kind, fault, attempt, seconds)
        await self._sleep(seconds)

    def tries(self) -> "Tries":
        """Return a count of an enrolment's doubtful answers, for one who finds out between two of them."""
        return Tries(Call.ISSUE, self._policy.max_attempts, self._circuits, self._timer)

    async def _repeat(
        self, kind: Call, customer: Hashable, call: Callable[[int], Awaitable[A]]
    ) -> tuple[A, int]:
        attempts = 0
        circuit = self._circuits[kind]
        tries = Tries(kind, self._policy.max_attempts, self._circuits, self._timer)

        def is_left_to_the_caller(fault: Fault) -> bool:
            return kind is Call.ISSUE and treatment(fault).may_be_applied

        async def attempt() -> tuple[A, bool]:
            nonlocal attempts
            await circuit.admit()
            await tries.begin()
            attempts += 1
            answer = await call(attempts - 1)
            settled = circuit.heard(customer, answer)
            if isinstance(answer, Fault) and not settled and not is_left_to_the_caller(answer):
                tries.add(answer)
            return answer, settled

        answer, settled = await attempt()
        if settled or not isinstance(answer, Fault | Refused):
            # Most calls are answered at once, and need nothing that repeats them.
            return answer, attempts
        heard = [(answer, settled)]

        async def next_attempt() -> tuple[A, bool]:
            return heard.pop() if heard else await attempt()

        def is_tried_again(state: RetryCallState) -> bool:
            answer, settled = _result(state)
            if settled or not isinstance(answer, Fault | Refused):
                return False
            if isinstance(answer, Refused):
                return True
            return not is_left_to_the_caller(answer) and not tries.are_used_up

        def wait(state: RetryCallState) -> float:
            answer, _ = _result(state)
            seconds = self._delay(answer, attempts)
            self._tracker.waiting(kind, answer, attempts, seconds)
            return seconds

        retrying = AsyncRetrying(sleep=self._sleep, wait=wait, retry=is_tried_again)
        last: tuple[A, bool] = await retrying(next_attempt)
        return last[0], attempts

    def _delay(self, fault: Fault | Refused, attempt: int) -> float:
        bound = min(self._policy.max_seconds, self._policy.initial_seconds * 2.0 ** min(attempt - 1, 32))
        delay = self._jitter() * bound
        return max(fault.retry_after or 0.0, delay) if isinstance(fault, Throttled) else delay


class Tries:
    """Failures of a call in a row. They are its event's own only if others are served between them.

    Whoever fails while nobody is served waits out an outage, seen as one or not. So the last try counts only
    if it was shown, after the failure before it, that the API serves others; else the count begins anew.
    If nobody was served meanwhile, the API is asked something harmless before that try.
    """

    def __init__(self, kind: Call, most: int, circuits: Circuits, timer: Callable[[], float]) -> None:
        self._kind = kind
        self._most = most
        self._circuits = circuits
        self._timer = timer
        self._failures = 0
        self._failed_at: float | None = None
        self._used_up = False
        self._served_at = self._alive_at = float("-inf")

    async def begin(self) -> None:
        """Note, before a try, whether others are served."""
        failed_at = self._failed_at
        if failed_at is not None and self._failures >= self._most - 1 and self._proven() < failed_at:
            await self._circuits.ask(failed_at)
        self._served_at = self._proven(by_asking=False)
        self._alive_at = self._proven()

    @property
    def are_used_up(self) -> bool:
        """Whether it is time to give up; a doubtful request is sent no more once it is found out."""
        return self._used_up

    def add(self, fault: Fault) -> None:
        """Count a failure, if its kind is one that is given up in the end."""
        row = treatment(fault)
        if row.gives_up:
            self._count(by_asking=not row.by_configuration)

    def add_doubt(self, doubt: Doubtful) -> None:
        """Count a doubtful answer of a kind that is found out before the next try."""
        if doubt.kind is FaultKind.UNPROCESSABLE:
            self._used_up = True
        else:
            self._count(by_asking=not treatment(doubt).by_configuration)

    def _count(self, *, by_asking: bool) -> None:
        before, self._failed_at = self._failed_at, self._timer()
        self._failures += 1
        shown = self._alive_at if by_asking else self._served_at
        enough = self._failures >= self._most
        self._used_up = enough and before is not None and shown >= before
        if enough and not self._used_up:
            self._failures = min(self._most - 1, 1)

    def _proven(self, *, by_asking: bool = True) -> float:
        return self._circuits.proven_at(self._kind, by_asking=by_asking)


def _result(state: RetryCallState) -> tuple[Fault | Refused, bool]:
    assert state.outcome is not None  # noqa: S101 - tenacity sets it before it asks
    return cast("tuple[Fault | Refused, bool]", state.outcome.result())
