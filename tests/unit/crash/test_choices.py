"""What a seed decides in the crash laboratory."""

from collections import Counter

import pytest

from tests.crash.changes import Begin, End, LetIn, Revoke
from tests.crash.choices import (
    Freeze,
    Join,
    Kill,
    Leave,
    Offer,
    Options,
    Redrive,
    Replay,
    Rest,
    RestartBroker,
    customers_of_events,
    schedule,
)
from worker.enrolment.checkpoints import Checkpoint


def test_a_seed_reproduces_every_choice() -> None:
    """The same options give the same run; another seed another one."""
    for choose in (schedule, customers_of_events):
        assert choose(Options(seed=7)) == choose(Options(seed=7))
        assert choose(Options(seed=7)) != choose(Options(seed=8))


def test_a_schedule_has_what_was_asked_for() -> None:
    """So many of each, while there is work, with named points among the kills and one guest at a time."""
    options = Options(kills=40, broker_restarts=3, freezes=2, guests=4, promotions=5, redrives=3, replays=2)
    due = schedule(options)
    counts = Counter(type(one.what) for one in due)
    disturbances = {Kill: 40, RestartBroker: 3, Freeze: 2, Join: 4, Leave: 4}
    assert counts == disturbances | {Offer: 5, Redrive: 3, Replay: 2}
    assert [one.settled for one in due] == sorted(one.settled for one in due)
    assert all(0 < one.settled < options.events for one in due if not isinstance(one.what, Offer))
    kills = [one.what for one in due if isinstance(one.what, Kill)]
    assert {kill.checkpoint for kill in kills} == {None, *Checkpoint}
    guests = 0
    for one in due:
        guests += isinstance(one.what, Join) - isinstance(one.what, Leave)
        assert guests in {0, 1}


@pytest.mark.parametrize(
    ("given", "seed", "trusted"), [(-1, 1, 0), (-1, 2, 20), (0, 2, 0), (7.5, 1, 7.5), (7.5, 2, 7.5)]
)
def test_every_second_seed_lets_workers_trust_what_they_know(given: float, seed: int, trusted: float) -> None:
    """Unless it is said; only then something changes at Capillary."""
    options = Options(seed=seed, trust_seconds=given)
    assert options.trusts == trusted
    changing = [one for one in schedule(options) if isinstance(one.what, LetIn | Begin | End | Revoke)]
    assert bool(changing) is bool(trusted)
    assert all(0 < one.settled < options.events for one in changing)


def test_workers_rest_once_somebody_was_let_in() -> None:
    """Else nobody would see whether they trust for too long."""
    due = schedule(Options(seed=2))
    let_in = [one.settled for one in due if isinstance(one.what, LetIn)]
    rests = [at for at, one in enumerate(due) if isinstance(one.what, Rest)]
    assert [due[at].settled for at in rests] == let_in[-2:]
    assert all(any(isinstance(one.what, LetIn) for one in due[max(0, at - 3) : at]) for at in rests)
    assert not any(isinstance(one.what, Rest) for one in schedule(Options(seed=1)))
