"""A run whose brokers are broken under load, one after another or several at once."""

import time
from datetime import UTC, datetime
from functools import partial
from typing import Final

from tests.crash.breaking import Breaking
from tests.crash.broker_faults import Away, BrokerFault, named, takes_events
from tests.crash.chronicle import Chronicle
from tests.crash.ground import Ground
from tests.crash.outlook import in_flight
from tests.crash.run import Run, W
from worker.stream.exit_status import EXIT_STUCK

_PROGRESS: Final = 20
"""So many events are settled between two times that brokers are broken."""
_TRICKLE: Final = 50
_TRICKLE_SECONDS: Final = 2.0
"""So many events come in that time while some brokers are away and the others take them."""


class ClusterRun(Run[W]):
    """Workers on a ground of one broker or several."""

    def __init__(self, on: Ground) -> None:
        super().__init__(on)
        self.chronicle: Final = Chronicle()
        self._settled_at_fault = 0
        self._allowed_ends = 0
        """How often workers may have ended because they lost their partitions with records on their way."""
        self._takes_events = False
        """While brokers are away: whether the others do."""
        self._trickled_at = 0.0
        self._breaking: Final = Breaking(on.cluster, on.lab.loop, self._meanwhile)

    def _break(self, fault: BrokerFault) -> None:
        """Break a whole cluster with work in flight, after progress since the last time."""
        self._wait_whole()
        self._nobody_ends_again()
        self._wait_for(self._settled_at_fault + _PROGRESS)
        _, count = self._at_work(*self._workers)
        self._note(f"brokers: {named(fault)}, {count} events in flight")
        self.chronicle.broker_faults[named(fault)] += 1
        self.chronicle.in_flight_at_fault.append(count)
        self._takes_events = takes_events(fault)
        self._allowed_ends = self._fenced() + len(self._workers)
        self._breaking.let(fault, partial(self._kill_without_brokers, fault))
        self._takes_events = False
        self._standstills.append(datetime.now(UTC))
        self._settled_at_fault = self._outlook.look()
        self._note("all brokers serve again")

    def _nobody_ends_again(self) -> None:
        """Raise AssertionError if workers ended by themselves more than once each since the last fault."""
        fenced = self._fenced()
        assert fenced <= self._allowed_ends, f"{fenced - self._allowed_ends} workers ended once more"

    def _fenced(self) -> int:
        return self.ended_by_themselves.count(EXIT_STUCK)

    def _wait_whole(self) -> None:
        """Block until the cluster has all its replicas; nothing is fed meanwhile."""
        seconds = self._breaking.wait_whole()
        self.chronicle.waited_seconds = max(seconds, self.chronicle.waited_seconds)

    def _kill_without_brokers(self, fault: BrokerFault) -> None:
        """Kill the worker that is to die while brokers are away, if there is one, and start it again."""
        if not isinstance(fault, Away) or fault.worker is None:
            return
        self._revive()
        worker = self._workers[fault.worker]
        self.chronicle.in_flight_at_kill.append(in_flight(worker))
        self.chronicle.kills_without_brokers += 1
        worker.kill()
        self._note(f"worker {fault.worker} was killed while brokers are away")
        worker.start()

    def _meanwhile(self) -> None:
        """Go on while brokers are away or come back, with some events more if others take them."""
        self._revive()
        now = time.monotonic()
        if self._takes_events and now - self._trickled_at > _TRICKLE_SECONDS:
            self._trickled_at = now
            self._upstream.go_on(self._fed, self._outlook.look(), _TRICKLE)
