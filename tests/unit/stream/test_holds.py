"""Which partitions are not read, and until when."""

from worker.stream.holds import Holds

ONE, OTHER = ("retry-1", 0), ("retry-1", 1)


def test_a_partition_is_held_until_its_head_is_due_and_no_other_is() -> None:
    """Another hold replaces the earlier one; a new assignment begins anew."""
    seconds = 0.0
    holds = Holds(lambda: seconds)
    holds.hold(ONE, 5.0)
    assert (holds.held(ONE), holds.held(OTHER)) == (True, False)
    seconds = 5.0
    assert not holds.held(ONE)
    holds.hold(ONE, 5.0)
    holds.forget()
    assert not holds.held(ONE)


def test_an_outage_holds_all_and_outlasts_an_assignment() -> None:
    """Whoever is assigned meanwhile is not read either."""
    holds = Holds(lambda: 0.0)
    holds.outage = True
    holds.forget()
    assert holds.held(ONE)
