"""What may happen to the brokers of a cluster: several die at once, or all are restarted in turn.

A worker waits for them. None may end, but for one whose session ran out with a record of the ledger on its
way: that one once for each disaster.
"""

from collections.abc import Mapping
from typing import Final

from tests.crash.broker_faults import Away, BrokerFault, End, NobodyFollows, Rolling
from tests.crash.disaster import SHOWN_BY_A_TIMELINE, Disaster, DisasterRun
from worker.stream.exit_status import EXIT_STUCK

_ALL: Final = (0, 1, 2)
_AWAY_SECONDS: Final = 15.0
"""More than twice the workers' session time-out."""
_LAGGING_SECONDS: Final = 1.5
"""Half of a broker's session time-out: those that do not follow still count as in sync."""


class BrokerDisasters(DisasterRun):
    """Two workers, which are fed little by little while brokers take events."""

    def two_at_once(self) -> None:
        """Kill two of three brokers, other ones each time: nothing is acknowledged until one is back."""
        spared = self._random.sample(_ALL, len(_ALL))
        self._let(*(Away(End.KILLED, _without(number), _AWAY_SECONDS) for number in spared))

    def all_at_once(self) -> None:
        """Kill all brokers, twice."""
        self._let(*[Away(End.KILLED, _ALL, _AWAY_SECONDS)] * 2)

    def leaders_without_followers(self) -> None:
        """Kill each broker after others stopped following it for a moment: what it alone had is lost."""
        leaders = self._random.sample(_ALL, len(_ALL))
        self._let(*(NobodyFollows(leader, _without(leader), _LAGGING_SECONDS) for leader in leaders))

    def rolling_restart(self) -> None:
        """Restart all brokers one after another, as an upgrade of Kafka does, and back again."""
        order = tuple(self._random.sample(_ALL, len(_ALL)))
        self._let(Rolling(order), Rolling(order[::-1]))

    def _let(self, *faults: BrokerFault) -> None:
        """Let them happen after equal parts of the events; close the books."""
        for number in SHOWN_BY_A_TIMELINE:
            self._offer(number)
        self.prepare()
        self._start()
        for number, fault in enumerate(faults, 1):
            self._wait_for(number * len(self._fed) // (len(faults) + 2))
            self._break(fault)
        self._wait_whole()
        self._end()
        self._nobody_ends_again()
        if others := [status for status in self.ended_by_themselves if status != EXIT_STUCK]:
            self.findings.append(f"workers did not wait for brokers, and ended with {others}")


def _without(number: int) -> tuple[int, ...]:
    return tuple(one for one in _ALL if one != number)


BROKER_DISASTERS: Final[Mapping[str, Disaster[BrokerDisasters]]] = {
    "two-of-three-brokers-die": Disaster(BrokerDisasters, BrokerDisasters.two_at_once, brokers=3),
    "all-brokers-die": Disaster(BrokerDisasters, BrokerDisasters.all_at_once, brokers=3),
    "leaders-die-unfollowed": Disaster(BrokerDisasters, BrokerDisasters.leaders_without_followers, brokers=3),
    "all-brokers-restart": Disaster(BrokerDisasters, BrokerDisasters.rolling_restart, brokers=3),
}
