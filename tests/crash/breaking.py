"""Lets brokers of a cluster end, freeze and come back, and waits for what that leads to."""

import time
from collections.abc import Callable
from typing import Final, assert_never

from tests.crash.broker_faults import Away, BrokerFault, End, NobodyFollows, Rolling
from tests.support.kafka.cluster import Cluster, not_whole
from tests.support.loop_thread import LoopThread

WHOLE_SECONDS: Final = 120.0
_GONE_SECONDS: Final = 5.0
"""How long the leader that nobody followed stays away: past its session, so that others lead."""
_PAUSE_SECONDS: Final = 0.2


class Breaking:
    """Breaks a cluster and mends it; `meanwhile` is called again and again while it waits."""

    def __init__(self, cluster: Cluster, loop: LoopThread, meanwhile: Callable[[], None]) -> None:
        self._cluster: Final = cluster
        self._loop: Final = loop
        self._meanwhile: Final = meanwhile

    def let(self, fault: BrokerFault, then: Callable[[], None] = lambda: None) -> None:
        """Let it happen, and block until all brokers serve again; `then` is done while they are away.

        They may not have all that they missed yet: see `wait_whole`.
        """
        match fault:
            case Away():
                self._away(fault, then)
            case NobodyFollows(leader, others, seconds):
                self._cluster.freeze(*others)
                self._wait(seconds)
                self._cluster.kill(leader)
                self._cluster.thaw(*others)
                self._wait(_GONE_SECONDS)
                self._cluster.start(leader)
            case Rolling(order):
                for number in order:
                    self.wait_whole()
                    self._cluster.stop(number)
                    self._cluster.start(number)
            case _:
                assert_never(fault)

    def wait_whole(self) -> float:
        """Block until each partition has all its replicas and its own leader; return how long it took.

        Raises AssertionError after `WHOLE_SECONDS`.
        """
        began = time.monotonic()
        while lacking := self._loop.run(not_whole(self._cluster.bootstrap_servers)):
            waited = time.monotonic() - began
            assert waited < WHOLE_SECONDS, (
                f"{lacking} lack replicas or their leader\n{self._cluster.log_tail()}"
            )
            self._wait(_PAUSE_SECONDS)
        return time.monotonic() - began

    def _away(self, fault: Away, then: Callable[[], None]) -> None:
        brokers = fault.brokers
        match fault.end:
            case End.KILLED:
                self._cluster.kill(*brokers)
            case End.STOPPED:
                self._cluster.stop(*brokers)
            case End.FROZEN:
                self._cluster.freeze(*brokers)
            case _:
                assert_never(fault.end)
        then()
        self._wait(fault.seconds)
        if fault.end is End.FROZEN:
            self._cluster.thaw(*brokers)
        else:
            self._cluster.start(*brokers)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._meanwhile()
            time.sleep(0.05)
