"""What happens to brokers, as a seed decides it."""

from collections import Counter

import pytest

from tests.crash.broker_faults import (
    Away,
    BrokerFault,
    End,
    NobodyFollows,
    Rolling,
    broker_faults,
    named,
    takes_events,
)
from tests.crash.choices import Options, RestartBroker, schedule
from tests.support.kafka.cluster import Controllers

_KINDS = {
    "1 killed",
    "1 stopped",
    "1 frozen",
    "2 killed",
    "2 stopped",
    "2 frozen",
    "leader killed whom nobody follows",
    "rolling restart",
}


@pytest.mark.parametrize("seed", range(1, 20))
def test_each_kind_comes_before_any_comes_again(seed: int) -> None:
    """So many as were asked for, over the whole run, by seed."""
    faults = broker_faults(seed, 11, 3, 2)
    shares = [share for share, _ in faults]
    assert shares == sorted(shares)
    assert 0.02 < shares[0] < 0.12
    assert 0.8 < shares[-1] < 0.95
    counts = Counter(named(fault) for _, fault in faults)
    assert (set(counts), counts.total(), max(counts.values())) == (_KINDS, 11, 2)
    assert broker_faults(seed, 11, 3, 2) == faults != broker_faults(seed + 1, 11, 3, 2)


def test_whom_it_meets_and_for_how_long() -> None:
    """Never all brokers at once; frozen past their session, 3 s, but for those that are to seem in sync."""
    workers = set()
    for seed in range(100):
        for _, fault in broker_faults(seed, 8, 3, 2):
            match fault:
                case Away(end, brokers, seconds, worker):
                    workers.add(worker)
                    assert 1 <= len(set(brokers)) == len(brokers) <= 2
                    assert set(brokers) < {0, 1, 2}
                    assert seconds > (3 if end is End.FROZEN else 0)
                case NobodyFollows(leader, others, seconds):
                    assert sorted([leader, *others]) == [0, 1, 2]
                    assert seconds < 3
                case Rolling(order):
                    assert sorted(order) == [0, 1, 2]
    assert workers == {None, 0, 1}


@pytest.mark.parametrize(
    ("fault", "takes"),
    [
        (Away(End.KILLED, (0,), 5), True),
        (Away(End.STOPPED, (2,), 5), True),
        (Away(End.FROZEN, (0,), 5), False),
        (Away(End.KILLED, (0, 2), 5), False),
        (NobodyFollows(0, (1, 2), 1), False),
        (Rolling((0, 1, 2)), True),
    ],
)
def test_when_events_can_be_written(fault: BrokerFault, *, takes: bool) -> None:
    """Two of three replicas must have what is acknowledged."""
    assert takes_events(fault) is takes


def test_a_schedule_breaks_a_cluster_and_restarts_an_only_broker() -> None:
    """So many times for each broker; what else happens stays as it is."""
    one = schedule(Options(broker_restarts=3, seed=3))
    three = schedule(Options(broker_restarts=3, brokers=3, seed=3))
    assert sum(isinstance(due.what, RestartBroker) for due in one) == 3
    assert not any(isinstance(due.what, BrokerFault) for due in one)
    assert sum(isinstance(due.what, BrokerFault) for due in three) == 9
    assert not any(isinstance(due.what, RestartBroker) for due in three)
    assert all(0 < due.settled < 20_000 for due in three if isinstance(due.what, BrokerFault))


def test_four_seeds_in_a_row_have_all_there_is_of_trust_and_controllers() -> None:
    """Unless it is said."""
    drawn = {(Options(seed=seed).trusts, Options(seed=seed).where_controllers_are) for seed in range(4)}
    assert drawn == {(trust, where) for trust in (0, 20) for where in Controllers}
    said = {Options(seed=seed, controllers="apart").where_controllers_are for seed in range(4)}
    assert said == {Controllers.APART}


@pytest.mark.parametrize(
    ("brokers", "trust_seconds", "ahead"), [(1, 0, 0), (1, 20, 400), (3, 0, 200), (3, 20, 200)]
)
def test_how_many_events_wait(brokers: int, trust_seconds: float, ahead: int) -> None:
    """A cluster is fed little by little: else all was handled before its last fault."""
    assert Options(brokers=brokers, trust_seconds=trust_seconds).ahead == ahead
