"""Calls to the API, repeated in place: exponential delay with full jitter, Retry-After, and when to stop.

A call that reached nobody (no connection, throttled, misconfigured) says nothing about the event: it is
repeated for as long as it takes. A call with an unusable answer is repeated RETRY_MAX_ATTEMPTS times if it
may be repeated at all, which a doubtful enrolment may not.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar, assert_never, cast

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from worker.domain.answers import Doubtful, Fault, Misconfigured, Throttled, Unsent
from worker.ports import Sleep, Tracker

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon. Seconds."""

    max_attempts: int = 5
    initial_seconds: float = 0.2
    max_seconds: float = 10.0


class Retrying:
    """Repeats calls by the policy; sleep and randomness come from outside."""

    def __init__(
        self,
        policy: RetryPolicy,
        tracker: Tracker,
        sleep: Sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._tracker = tracker
        self._sleep = sleep
        self._jitter = jitter

    async def lookup(self, call: Callable[[int], Awaitable[A]]) -> tuple[A, int]:
        """Repeat a read until it is answered; return the last answer and the number of attempts."""
        return await self._repeat("lookup", call, self._policy.max_attempts)

    async def issue(self, call: Callable[[int], Awaitable[A]]) -> tuple[A, int]:
        """Repeat an enrolment while certainly nothing came of it; a doubtful answer is returned as it is."""
        return await self._repeat("issue", call, 1)

    async def _repeat(
        self, endpoint: str, call: Callable[[int], Awaitable[A]], max_unusable: int
    ) -> tuple[A, int]:
        attempts = unusable = 0

        async def attempt() -> A:
            nonlocal attempts, unusable
            attempts += 1
            answer = await call(attempts - 1)
            unusable += isinstance(answer, Doubtful)
            return answer

        def wait(state: RetryCallState) -> float:
            assert state.outcome is not None  # noqa: S101 - tenacity sets it before it asks
            fault = cast("Fault", state.outcome.result())
            seconds = self._delay(fault, attempts)
            self._tracker.waiting(endpoint, fault, attempts, seconds)
            return seconds

        retrying = AsyncRetrying(
            sleep=self._sleep,
            wait=wait,
            retry=retry_if_result(lambda answer: isinstance(answer, Fault) and unusable < max_unusable),
        )
        return await retrying(attempt), attempts

    def _delay(self, fault: Fault, attempt: int) -> float:
        bound = min(self._policy.max_seconds, self._policy.initial_seconds * 2.0 ** min(attempt - 1, 32))
        match fault:
            case Throttled():
                return max(fault.retry_after or 0.0, self._jitter() * bound)
            case Unsent() | Doubtful() | Misconfigured():
                return self._jitter() * bound
        assert_never(fault)
