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

from worker.circuit import Call, Circuits
from worker.domain.answers import Fault, Refused, Throttled
from worker.domain.faults import treatment
from worker.ports import Sleep, Tracker

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
        tracker: Tracker,
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

    async def may_go_on(self, attempts: int, began: float) -> bool:
        """Whether an enrolment, found not to have happened, may be asked for once more."""
        return attempts < self._policy.max_attempts or not await self._circuits.served_others(
            Call.ISSUE, began
        )

    async def _repeat(
        self, kind: Call, customer: Hashable, call: Callable[[int], Awaitable[A]]
    ) -> tuple[A, int]:
        attempts = failures = 0
        failing_since: float | None = None
        circuit = self._circuits[kind]

        async def attempt() -> tuple[A, bool]:
            nonlocal attempts
            await circuit.admit()
            attempts += 1
            answer = await call(attempts - 1)
            return answer, circuit.heard(customer, answer)

        async def again(state: RetryCallState) -> bool:
            nonlocal failures, failing_since
            answer, served = _result(state)
            if served or not isinstance(answer, Fault | Refused):
                return False
            if isinstance(answer, Refused):
                return True
            kept_to = treatment(answer)
            if kind is Call.ISSUE and kept_to.may_be_applied:
                return False
            if failing_since is None:
                failing_since = self._timer()
            failures += kept_to.gives_up
            if not kept_to.gives_up or failures < self._policy.max_attempts:
                return True
            by_asking = not kept_to.by_configuration
            if await self._circuits.served_others(kind, failing_since, by_asking=by_asking):
                return False
            # Only failures while others are served are this event's own.
            failures, failing_since = 0, None
            return True

        def wait(state: RetryCallState) -> float:
            answer, _ = _result(state)
            seconds = self._delay(answer, attempts)
            self._tracker.waiting(kind, answer, attempts, seconds)
            return seconds

        retrying = AsyncRetrying(sleep=self._sleep, wait=wait, retry=again)
        last: tuple[A, bool] = await retrying(attempt)
        return last[0], attempts

    def _delay(self, fault: Fault | Refused, attempt: int) -> float:
        bound = min(self._policy.max_seconds, self._policy.initial_seconds * 2.0 ** min(attempt - 1, 32))
        delay = self._jitter() * bound
        return max(fault.retry_after or 0.0, delay) if isinstance(fault, Throttled) else delay


def _result(state: RetryCallState) -> tuple[Fault | Refused, bool]:
    assert state.outcome is not None  # noqa: S101 - tenacity sets it before it asks
    return cast("tuple[Fault | Refused, bool]", state.outcome.result())
