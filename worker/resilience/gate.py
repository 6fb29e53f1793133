"""The gate that every request to the API passes: how many at once, how fast, and who goes first."""

import asyncio
from collections import deque

from worker.domain.answers import Doubtful, Fault, FaultKind, Throttled
from worker.domain.priority import Priority
from worker.resilience.concurrency import ConcurrencyLimit
from worker.resilience.pace import Pace
from worker.resilience.turns import Turns
from worker.signs import waiting_for


class ApiGate:
    """Implements `worker.enrolment.ports.Gate`, for all requests of one process, on one event loop.

    Requests that go on with an event already begun (an enrolment, what became of one) pass before those that
    begin another: with a small budget new events would otherwise spend it all. Of the others those for live
    events go before those for a backlog. At least a tenth of what passes is of either, as long as it waits.
    """

    def __init__(self, limit: ConcurrencyLimit, pace: Pace) -> None:
        self._limit = limit
        self._pace = pace
        self._turns = Turns()
        self._queues: dict[Priority, deque[asyncio.Future[None]]] = {each: deque() for each in Priority}
        self._under_way = 0
        self._timer: asyncio.TimerHandle | None = None
        self._moved_at = float("-inf")

    @property
    def limit(self) -> int:
        """How many requests may be under way now."""
        return self._limit.limit

    @property
    def requests_per_second(self) -> float:
        """How fast requests may leave now; infinite if nothing holds them."""
        return self._pace.rate(self._now())

    @property
    def is_held_back(self) -> bool:
        """Whether requests wait for the pace's sake; for those under way they would not wait long."""
        return self.waiting > 0 and self._pace.wait(self._now()) > 0

    @property
    def waiting(self) -> int:
        """How many requests wait to leave."""
        return sum(map(len, self._queues.values()))

    def silent_seconds(self) -> float:
        """Return how long ago a request came or went, 0 while requests wait for the pace's sake."""
        return 0.0 if self.is_held_back else self._now() - self._moved_at

    def share(self, share: float) -> None:
        """Keep to this share of the group's budget: as many partitions as are ours, of all."""
        self._pace.share(share, self._now())
        self._let_through()

    def begin_again(self) -> None:
        """Meet an API that was down gently."""
        self._limit.begin_again()

    @property
    def budget_used(self) -> float:
        """Which share of what may leave has left lately, 0 to 1; 0 without a budget."""
        return self._pace.used(self._now())

    async def enter(self, priority: Priority) -> float:
        """Wait for a turn; return when the request left, for `leave`, which must follow."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues[priority].append(turn)
        self._let_through()
        try:
            with waiting_for(self.silent_seconds):
                await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._under_way -= 1
            self._let_through()
            raise
        return self._now()

    def leave(self, entered_at: float, fault: Fault | None = None) -> None:
        """Make room; learn from how it went: a fault, or None for an answer or a request given up."""
        now = self._moved_at = self._now()
        if isinstance(fault, Throttled):
            self._pace.throttled(now, entered_at, fault.retry_after)
        else:
            timed_out = isinstance(fault, Doubtful) and fault.kind is FaultKind.TIMEOUT
            self._limit.answered(now, entered_at, self._under_way, timed_out=timed_out)
        self._under_way -= 1
        self._let_through()

    def _let_through(self) -> None:
        while self._under_way < self._limit.limit and (waiting := self._waiting()):
            seconds = self._pace.wait(self._now())
            if seconds > 0:
                self._look_again_in(seconds)
                return
            self._pace.take(self._now())
            self._moved_at = self._now()
            self._under_way += 1
            self._queues[self._turns.next(waiting)].popleft().set_result(None)

    def _waiting(self) -> list[Priority]:
        """Return of which priorities requests wait; those given up wait no more."""
        for queue in self._queues.values():
            while queue and queue[0].done():
                queue.popleft()
        return [priority for priority, queue in self._queues.items() if queue]

    def _look_again_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._let_through)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
