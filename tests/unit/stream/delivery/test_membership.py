"""Our place in the consumer group: what a delivery allows, and for how long."""

import pytest

from worker.stream.delivery import membership as module
from worker.stream.delivery.membership import Lease, Membership

VALID = 10.0


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the clock that the membership reads."""
    clock = Clock()
    monkeypatch.setattr(module, "now", clock)
    return clock


@pytest.fixture
def membership(clock: Clock) -> Membership:
    """Give one that the group answered just now, in generation 7."""
    membership = Membership(VALID)
    membership.heard(clock.seconds, 7)
    return membership


def test_nothing_is_held_before_the_group_answered(clock: Clock) -> None:
    """Not even by the clock's first second: nothing was heard yet."""
    clock.seconds = 0.0
    membership = Membership(VALID)
    lease = Lease(membership, 7)
    assert (membership.generation, lease.held(), lease.is_certain(), membership.is_fresh()) == (
        -1,
        False,
        False,
        False,
    )


def test_a_delivery_is_held_in_its_own_generation_only(clock: Clock, membership: Membership) -> None:
    """After a rebalance what was delivered before it is another member's; what comes then is ours."""
    before = Lease(membership, 7)
    assert (before.held(), before.is_certain()) == (True, True)
    membership.heard(clock.seconds, 8)
    after = Lease(membership, 8)
    assert (before.held(), before.is_certain(), after.held(), after.is_certain()) == (
        False,
        False,
        True,
        True,
    )
    assert membership.generation == 8


@pytest.mark.parametrize(("passed", "is_certain"), [(0.0, True), (9.999, True), (10.0, False), (60.0, False)])
def test_it_is_certain_only_for_so_long_since_a_heartbeat_left(
    clock: Clock, membership: Membership, passed: float, *, is_certain: bool
) -> None:
    """The partition stays held: nobody said that it is lost. But nothing may be sent on it."""
    clock.seconds += passed
    lease = Lease(membership, 7)
    assert (lease.held(), lease.is_certain(), membership.is_fresh()) == (True, is_certain, is_certain)


def test_what_counts_is_when_the_request_left(clock: Clock, membership: Membership) -> None:
    """The group's patience began then, not when its answer came; a late answer to an older one is no news."""
    lease = Lease(membership, 7)
    clock.seconds += 12
    membership.heard(clock.seconds - 3, 7)
    membership.heard(clock.seconds - 8, 7)
    clock.seconds += 6.9
    assert lease.is_certain()
    clock.seconds += 0.1
    assert not lease.is_certain()


def test_whom_the_coordinator_does_not_know_holds_nothing(clock: Clock, membership: Membership) -> None:
    """Until it answers again, in a generation of its own."""
    lease = Lease(membership, 7)
    membership.lost()
    assert (membership.generation, lease.held(), lease.is_certain(), membership.is_fresh()) == (
        -1,
        False,
        False,
        False,
    )
    membership.heard(clock.seconds, 9)
    assert (lease.held(), Lease(membership, 9).is_certain()) == (False, True)


def test_who_gave_up_holds_nothing_whatever_the_group_says(clock: Clock, membership: Membership) -> None:
    """The process is about to end; a heartbeat that is answered now changes nothing."""
    lease = Lease(membership, 7)
    assert membership.serves()
    membership.give_up()
    membership.heard(clock.seconds, 7)
    assert (membership.serves(), lease.held(), lease.is_certain()) == (False, False, False)
    assert membership.is_fresh()


def test_silence_lasts_from_the_last_answer_or_from_the_beginning(clock: Clock) -> None:
    """Each answer ends it, however old its request; that the membership is lost is no answer of the group."""
    membership = Membership(VALID)
    clock.seconds += 30
    assert membership.silent_seconds() == 30
    membership.heard(clock.seconds - 20, 7)
    assert membership.silent_seconds() == 0
    clock.seconds += 5
    membership.lost()
    assert membership.silent_seconds() == 5
